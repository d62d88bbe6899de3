"""What a batch stores: pictures, curves, records, style targets."""
