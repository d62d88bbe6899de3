"""The pairs of sample pictures that are stylized."""

PAIRS = (
    ("cat", "swirls"),
    ("cat", "woodcut"),
    ("coffee", "stained_glass"),
    ("astronaut", "mosaic"),
    ("rocket", "pointillism"),
)
"""Photographs and paintings; the first three are those of `benchmarks/optimizers.py`."""
