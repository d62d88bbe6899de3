"""What can be chosen for the files of results; this module is quick to import, for help texts."""

from typing import Literal, TypeAlias

FormatName: TypeAlias = Literal["png", "jpeg", "webp", "tiff"]
"""The formats of results: the names of `write.WRITTEN_FORMATS` in lower case."""

MetadataChoice: TypeAlias = Literal["keep", "private", "none"]
"""What a result takes over of its photograph's metadata; see `Metadata.reduced`."""

DEPTHS = (8, 16)
"""The bits that a level can have."""

QUALITY = 90
"""The quality of JPEG and WebP files for which no other is chosen."""
