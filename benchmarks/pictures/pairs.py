"""The pairs that are rendered: each content twice, each style three times.

The styles that keep least of small parts (large forms, mosaic, thick strokes) meet the faces, where
a mistake is seen first. Each half has each content once, so a run that its time cut short has
seen all of them.
"""

PAIRS = (
    ("admiral", "mosaic"),
    ("cat", "hatching"),
    ("hills", "swirls"),
    ("coffee", "cutouts"),
    ("launch_pad", "stained_glass"),
    ("handwriting", "pointillism"),
    ("photographer", "disks"),
    ("coins", "gravel"),
    ("astronaut", "swirls"),
    ("skyline", "cutouts"),
    ("galaxies", "pointillism"),
    ("horse", "hatching"),
    ("admiral", "disks"),
    ("cat", "stained_glass"),
    ("hills", "hatching"),
    ("coffee", "gravel"),
    ("launch_pad", "pointillism"),
    ("handwriting", "cutouts"),
    ("photographer", "mosaic"),
    ("coins", "stained_glass"),
    ("astronaut", "mosaic"),
    ("skyline", "swirls"),
    ("galaxies", "disks"),
    ("horse", "gravel"),
)
"""Names of contents and styles of the `catalog`."""
