"""The command nst-batch."""
