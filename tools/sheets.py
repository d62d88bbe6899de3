"""What the scripts that draw sheets of pictures share."""

from pathlib import Path

from PIL import Image


def save(sheet: Image.Image, path: Path, most_bytes: int) -> None:
    """Save a sheet as a JPEG file, with a quality that is low enough for its size."""
    for quality in range(90, 10, -5):
        sheet.save(path, quality=quality)
        if path.stat().st_size <= most_bytes:
            return
