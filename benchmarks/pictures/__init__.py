"""`make pictures`: fixed contents in fixed styles, as sheets to look at and figures to compare.

The `catalog` has contents and styles of different nature, and `pairs` which of them are rendered.
The driver (`__main__`) renders each pair with each candidate (`candidates`, `rendering`), draws a
sheet of each (`sheets`), and writes what the scores say (`report`).
"""
