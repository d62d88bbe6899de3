"""The contents and styles: what each is, where it comes from, and its license.

All are in packages that this program needs anyway, or drawn by our code: nothing is downloaded. The
licenses are those that these packages name. Other formats and light are parts of pictures, never
edited ones.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import nst_core as nst
from benchmarks.pictures.relief import SAMPLES, landscape
from nst_core.images.levels import to_levels
from nst_core.samples.paintings import PAINTINGS

Levels = NDArray[np.uint8]

PAINTING_SIZE, PAINTING_SEED = 512, 1

CC0, PUBLIC_DOMAIN = "CC0", "public domain"
OURS = "this project's license"
"""Painted or drawn by our code."""

OWN = "own"
"""The nature of pictures that a developer adds."""

Kind = Literal["content", "style"]


class CatalogError(ValueError):
    """A developer's own pictures cannot be used."""


@dataclass(frozen=True)
class Entry:
    """A content or a style.

    Attributes:
        name: unique among the contents, or among the styles.
        nature: what kind of picture it is; the report has a median for each.
        about: further properties that make it hard, such as `dark` or `panorama`.
        source: where it comes from.
        license: what allows to use it.
        open: returns the picture: sRGB, uint8, (height, width, 3).
    """

    name: str
    nature: str
    about: str
    source: str
    license: str
    open: Callable[[], Levels]


def _sample(name: str, rows: slice = slice(None), columns: slice = slice(None)) -> Levels:
    """Return a part of a photograph of scikit-image, in color even if it is gray."""
    import skimage.data

    picture = np.asarray(getattr(skimage.data, name)())[rows, columns]
    levels = picture if picture.dtype == np.uint8 else to_levels(picture.astype(np.float32))
    return np.ascontiguousarray(levels if levels.ndim == 3 else np.stack([levels] * 3, axis=-1))


def _hopper() -> Levels:
    return _read(SAMPLES / "grace_hopper.jpg")


def _painting(name: str) -> Levels:
    return PAINTINGS[name](PAINTING_SIZE, PAINTING_SEED)


def _photograph(
    name: str,
    nature: str,
    about: str,
    of: str,
    license: str,  # noqa: A002
    part: tuple[int, int, int, int] | None = None,
) -> Entry:
    """Return an entry for a picture of scikit-image, or for a part: top, bottom, left, right."""
    where = () if part is None else (slice(*part[:2]), slice(*part[2:]))
    source = f"scikit-image, `{of}`" + (", a part" if part else "")
    return Entry(name, nature, about, source, license, partial(_sample, of, *where))


CONTENTS = (
    Entry(
        "admiral",
        "face",
        "portrait format, dark clothes; Grace Hopper, photographed for the U.S. Navy",
        "matplotlib, `grace_hopper.jpg`",
        PUBLIC_DOMAIN,
        _hopper,
    ),
    _photograph(
        "astronaut",
        "face",
        "portrait format; Eileen Collins, photographed for NASA",
        "astronaut",
        PUBLIC_DOMAIN,
        (0, 320, 100, 356),
    ),
    _photograph("cat", "animal", "close up, fine fur", "chelsea", CC0),
    _photograph("horse", "animal", "a silhouette: bright, with large empty parts", "horse", CC0),
    _photograph(
        "skyline",
        "building",
        "gray, bright; a tower and halls behind a lawn",
        "camera",
        CC0,
        (106, 246, 322, 512),
    ),
    _photograph(
        "launch_pad",
        "building",
        "portrait format, dark; lattices of steel",
        "rocket",
        PUBLIC_DOMAIN,
        (60, 427, 220, 490),
    ),
    Entry(
        "hills",
        "landscape",
        "panorama, bright; a valley under clouds",
        "drawn by our code from the elevations in matplotlib, `jacksboro_fault_dem.npz`",
        f"{OURS}; matplotlib's for the elevations",
        landscape,
    ),
    _photograph("photographer", "landscape", "gray; a dark figure on a lawn", "camera", CC0),
    _photograph(
        "galaxies",
        "sky",
        "panorama, very dark, fine dots",
        "hubble_deep_field",
        PUBLIC_DOMAIN,
        (200, 600, 0, 1000),
    ),
    _photograph("handwriting", "text", "panorama, gray, low contrast", "text", PUBLIC_DOMAIN),
    _photograph("coffee", "still life", "few large forms on dark wood", "coffee", CC0),
    _photograph(
        "coins", "still life", "gray, dark, many small forms", "coins", "no known restrictions"
    ),
)

STYLES = (
    *(
        Entry(name, nature, about, f"our painter `{name}`", OURS, partial(_painting, name))
        for name, nature, about in (
            ("swirls", "thick strokes", "strokes that follow a flow"),
            ("stained_glass", "outlines", "black lead around jewel colors"),
            ("hatching", "hatching", "lines that cross where it is dark, two inks"),
            ("mosaic", "mosaic", "small stones in rows"),
            ("cutouts", "flat color", "paper shapes with sharp edges"),
            ("pointillism", "fine texture", "dots of unmixed color"),
            ("disks", "large forms", "rings of color, each much larger than a stroke"),
        )
    ),
    _photograph("gravel", "photograph", "gray stones", "gravel", CC0),
)


def own(folder: Path, kind: Kind) -> tuple[Entry, ...]:
    """Return the pictures in a folder of a developer, in the order of their names.

    Raises:
        CatalogError: there is none.
    """
    suffixes = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in suffixes)
    if not paths:
        raise CatalogError(f"{folder}: found no {kind}, expected PNG, JPEG, WebP or TIFF files")
    return tuple(Entry(path.stem, OWN, "", str(path), "", partial(_read, path)) for path in paths)


def _read(path: Path) -> Levels:
    return to_levels(nst.load(path).rgb)


def named(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return entries by name.

    Raises:
        CatalogError: two have the same name.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.name in found:
            raise CatalogError(f"found two pictures {entry.name}, expected different names")
        found[entry.name] = entry
    return found
