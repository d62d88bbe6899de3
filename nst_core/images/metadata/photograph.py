"""The metadata of a photograph: read from an opened file, and reduced to what a result may have."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import IptcImagePlugin
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from nst_core.images.decoder_notices import note
from nst_core.images.file_choices import MetadataChoice
from nst_core.images.metadata.exif_data import (
    ARTIST,
    COPYRIGHT,
    DESCRIPTION,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    ExifData,
    parse_exif,
    read_exif,
)
from nst_core.images.metadata.fields import Field, as_text
from nst_core.images.metadata.xmp import MOST_BYTES, kept_xmp, private_xmp
from nst_core.images.png_chunks import read_png_facts

_INCH, _CENTIMETER = 2, 3
"""The units of EXIF's resolution."""

_CENTIMETERS = 2.54
"""How many centimeters an inch has."""

_LONGEST_PRIVATE = 4000
"""The most bytes of a field in `private`; texts by people are shorter."""

_FROM_IPTC = {(2, 80): ARTIST, (2, 116): COPYRIGHT, (2, 120): DESCRIPTION}
"""The fields of IPTC that become fields of EXIF if EXIF lacks them."""


@dataclass(frozen=True)
class Metadata:
    """What a photograph says besides its pixels.

    Attributes:
        exif: its EXIF data, with author, copyright and caption from IPTC if EXIF has none.
        xmp: its XMP packet; empty if there is none.
        dpi: its resolution in pixels per inch, horizontal and vertical; None if it says nothing.
    """

    exif: ExifData = field(default_factory=ExifData)
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None

    def __bool__(self) -> bool:
        return bool(self.exif or self.xmp or self.dpi)

    @property
    def with_resolution(self) -> ExifData:
        """The EXIF data with the resolution, for formats that store it nowhere else."""
        if self.dpi is None or X_RESOLUTION in self.exif.main:
            return self.exif
        across, down = self.dpi
        own = [
            Field.of_ratio(X_RESOLUTION, across),
            Field.of_ratio(Y_RESOLUTION, down),
            Field.of_shorts(RESOLUTION_UNIT, _INCH),
        ]
        return replace(self.exif, main={**self.exif.main, **{one.tag: one for one in own}})

    def reduced(self, choice: MetadataChoice) -> "Metadata":
        """Return what of it a result may contain.

        Args:
            choice: `keep`: all but what is about the photograph's file, such as thumbnails and
                maker notes; `private`: only what identifies neither a person's device nor a place;
                `none`: nothing.
        """
        if choice == "none":
            return Metadata()
        if choice == "keep":
            return replace(self, xmp=kept_xmp(self.xmp))
        exif, xmp = self.exif.private.shorter(_LONGEST_PRIVATE), private_xmp(self.xmp)
        return Metadata(exif, xmp if len(xmp) <= MOST_BYTES else b"", self.dpi)


def read_metadata(image: ImageFile) -> Metadata:
    """Return the metadata of an opened picture whose pixels are not decoded yet.

    What is damaged is left out, with a note.
    """
    exif, xmp = _exif(image), image.info.get("xmp") or b""
    iptc = _iptc(image)
    missing = {
        tag: Field.of_text(tag, iptc[name])
        for name, tag in _FROM_IPTC.items()
        if iptc.get(name) and not (tag in exif.main and exif.main[tag].text)
    }
    packet = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    dpi = _usable(image.info.get("dpi")) or _usable(_dpi_of(exif))
    return Metadata(replace(exif, main={**exif.main, **missing}), packet, dpi)


def _exif(image: ImageFile) -> ExifData:
    file = image.fp
    try:
        if isinstance(image, TiffImageFile) and file is not None:
            before = file.tell()
            try:
                return read_exif(file)
            finally:
                file.seek(before)
        if isinstance(image, PngImageFile) and file is not None:
            data = read_png_facts(file).exif
        else:
            data = image.info.get("exif") or b""
        return parse_exif(data) if data else ExifData()
    except ValueError as error:
        note(f"its EXIF data is damaged and ignored ({error})")
        return ExifData()


def _iptc(image: ImageFile) -> dict[tuple[int, int], str]:
    """Return the texts of IPTC fields; several authors are separated by `; `."""
    try:
        found: Mapping[Any, Any] = IptcImagePlugin.getiptcinfo(image) or {}
    except Exception as error:  # noqa: BLE001 - damaged data makes it raise nearly anything
        note(f"its IPTC data is damaged and ignored ({error})")
        return {}
    texts = {}
    for name in found.keys() & _FROM_IPTC.keys():
        values = found[name] if isinstance(found[name], list) else [found[name]]
        texts[name] = "; ".join(filter(None, map(as_text, values)))
    return texts


def _dpi_of(exif: ExifData) -> tuple[float, ...]:
    """Return the resolution in EXIF data in pixels per inch; empty if there is none."""
    named = [exif.main.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    unit = exif.main.get(RESOLUTION_UNIT)
    factor = _CENTIMETERS if unit and unit.number == _CENTIMETER else 1
    return tuple(field.ratio * factor for field in named if field)


def _usable(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = map(float, dpi or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    is_usable = all(math.isfinite(each) and 1 <= each <= 65_535 for each in (across, down))
    return (across, down) if is_usable else None
