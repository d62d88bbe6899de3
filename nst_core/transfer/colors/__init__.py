"""The colors of pictures, and their transfer from one picture to another."""
