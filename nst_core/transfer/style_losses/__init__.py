"""Style losses: what a picture must have in common with the style, one concept in each file."""
