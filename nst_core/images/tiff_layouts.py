"""TIFF pictures as Pillow reads them, and a check for those that it would misread."""

from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

_Base = ExifTags.Base

_SIGNED = 2
"""The value of the tag SampleFormat for signed levels."""


class OrientedTiff(TiffImageFile):
    """A TIFF file whose pixels stay as they are stored.

    Pillow rotates TIFF pictures by itself, even if only XMP asks for it; it rotates no others.
    """

    def _setup(self) -> None:
        try:
            super()._setup()
        except (KeyError, SyntaxError) as error:
            raise SyntaxError(f"{error}: TIFF with {_layout(self.tag_v2)}") from error
        self._size = self._tile_size

    def load_prepare(self) -> None:
        """Prepare like Pillow, but without checking the process-wide pixel limit again."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()

    def load_end(self) -> None:
        """Do nothing; Pillow would rotate the picture here."""

    @property
    def orientation(self) -> int:
        """The tag's value; 1 if there is none."""
        value = self.tag_v2.get(_Base.Orientation, 1)
        return value if isinstance(value, int) else 1

    def fault(self) -> str:
        """Return why Pillow (13.0) would silently misread the file; empty if it would not."""
        tags = self.tag_v2
        bits = max(_numbers(tags.get(_Base.BitsPerSample, (1,))), default=1)
        split = tags.get(_Base.PlanarConfiguration) == 2 and self.mode[0] not in "IF"
        if tags.get(_Base.NewSubfileType, 0) & 1:
            return "begins with a preview, as camera raw files do"
        if bits > 8 and tags.get(_Base.PhotometricInterpretation) == 0:
            return "has more than 8 bits with white as 0"
        if bits > 8 and split and tags.get(_Base.Compression) == 1:
            return "has more than 8 bits in separate planes"
        if _is_signed(self) and bits <= 8:
            return "has signed levels"
        return ""


def top_level(image: TiffImageFile) -> int:
    """Return the level of white in gray of more than 8 bits, or 1 for floating point.

    Levels of 32 bits count as 16 bits: programs that write them (Pillow is one) use no more.
    """
    if image.mode == "F":
        return 1
    bits = max(_numbers(image.tag_v2.get(_Base.BitsPerSample, (16,))), default=16)
    return 65535 if bits > 16 else int(2 ** (bits - _is_signed(image)) - 1)


def _is_signed(image: TiffImageFile) -> bool:
    return _SIGNED in _numbers(image.tag_v2.get(_Base.SampleFormat, ()))


def _numbers(value: Any) -> tuple[int, ...]:
    values = value if isinstance(value, tuple) else (value,)
    return tuple(number for number in values if isinstance(number, int))


def _layout(tags: Any) -> str:
    names = {"samples": _Base.SamplesPerPixel, "bits": _Base.BitsPerSample}
    names |= {"sample format": _Base.SampleFormat, "compression": _Base.Compression}
    names |= {"photometric interpretation": _Base.PhotometricInterpretation}
    return ", ".join(f"{name} {tags[tag]}" for name, tag in names.items() if tag in tags)
