"""The formats in which pictures are written, one in each file."""
