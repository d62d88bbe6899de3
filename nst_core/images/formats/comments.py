"""Text in the user comment of EXIF data, which JPEG, WebP and TIFF files have."""

import json

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from nst_core.images.formats.contents import Text
from nst_core.images.metadata.exif_data import comment_in, user_comment


def comment_of(text: Text) -> str:
    """Return all text of a file as one comment of ASCII; empty if there is none."""
    return json.dumps({**text}) if text else ""


def comment_text(image: Image.Image) -> dict[str, str]:
    """Return the text that `comment_of` made a comment of, from an opened file.

    It is {} if the file has no comment, or somebody else's.
    """
    try:
        if isinstance(image, TiffImageFile):
            comment = comment_in(image.fp) if image.fp else ""
        else:
            comment = user_comment(image.info.get("exif"))
        found = json.loads(comment) if comment.startswith("{") else {}
    except ValueError:
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
