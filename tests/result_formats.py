"""Formats that tests add to those of results, to show that one entry is all that a format needs."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from nst_core.images import write
from nst_core.images.levels import to_levels
from nst_core.images.write import Format, Pixels

DESCRIPTION = 270
"""The number of the tag `ImageDescription`."""


def _encode(
    rgb: Pixels, alpha: NDArray[np.float32] | None, text: Mapping[str, str] | None
) -> bytes:
    layers = [rgb] if alpha is None else [rgb, alpha]
    pixels = np.dstack([each if each.dtype == np.uint8 else to_levels(each) for each in layers])
    tags = {DESCRIPTION: json.dumps(text)} if text else {}
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "TIFF", tiffinfo=tags)
    return data.getvalue()


def _read_text(image: Image.Image) -> dict[str, str]:
    assert isinstance(image, TiffImageFile)
    text = image.tag_v2.get(DESCRIPTION)
    return dict(json.loads(text)) if text else {}


TIFF = Format("TIFF", (".tiff", ".tif"), _encode, has_alpha=True, read_text=_read_text)
OPAQUE_TIFF = replace(TIFF, has_alpha=False)


def add_format(patch: pytest.MonkeyPatch, added: Format) -> None:
    """Add a format to the list, which is all that a new format needs."""
    patch.setattr(write, "WRITTEN_FORMATS", (*write.WRITTEN_FORMATS, added))
