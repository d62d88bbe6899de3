"""Reading, writing and conversion of pictures."""
