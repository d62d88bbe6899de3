"""What is kept of a batch: pictures, curves, records, style targets."""
