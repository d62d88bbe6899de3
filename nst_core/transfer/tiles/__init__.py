"""Losses, gradients and style targets of large pictures, computed tile by tile."""
