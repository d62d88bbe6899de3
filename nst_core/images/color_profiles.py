"""ICC profiles: conversion of pictures to sRGB, and profiles from gamma and chromaticities."""

import io
import struct
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from nst_core.images.decoder_notices import note
from nst_core.images.levels import from_levels, to_levels

SRGB_GAMMA = 0.45455
SRGB_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
"""x and y of white, red, green and blue."""

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert a picture to mode L or RGB, through its ICC profile if it has one that works.

    Args:
        image: of mode L, LA, RGB, RGBA or CMYK; transparency is dropped.
    """
    color = image.convert(image.mode.removesuffix("A")) if "A" in image.mode else image
    profile = image.info.get("icc_profile")
    if profile:
        try:
            return _through_profile(color, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except Exception as error:  # noqa: BLE001 - damaged profiles make it raise nearly anything
            note(f"its ICC profile does not work and is ignored ({error})")
    return color if color.mode == "L" else color.convert("RGB")


def to_space(image: Image.Image, space: bytes) -> Image.Image:
    """Convert a picture to the space of an ICC profile of RGB pixels.

    Args:
        image: as in `to_srgb`.
        space: one that `kept_profile` returned; empty for sRGB.
    """
    if not space:
        return to_srgb(image)
    if image.info.get("icc_profile") == space and image.mode in ("RGB", "RGBA"):
        return image.convert("RGB")
    srgb = to_srgb(image).convert("RGB")
    own = image.info.get("icc_profile")
    color = image.convert(image.mode.removesuffix("A")) if "A" in image.mode else image
    if own and color.mode == "RGB":
        # Directly, because sRGB on the way would lose colors.
        try:
            return _transformed(color, _opened(own), _opened(space))
        except ImageCms.PyCMSError:
            pass  # `to_srgb` has made a note of it
    return _transformed(srgb, _opened(srgb_profile()), _opened(space))


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def kept_profile(profile: bytes | None, mode: str) -> bytes:
    """Return the ICC profile of a picture whose colors a result may keep; empty if it is sRGB.

    Args:
        profile: that of the picture.
        mode: that of its pixels; only RGB and RGBA have colors to keep.
    """
    return _kept(profile) if profile and mode in ("RGB", "RGBA") else b""


@lru_cache(64)
def _kept(profile: bytes) -> bytes:
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    image = Image.fromarray(grid)
    try:
        opened, srgb = _opened(profile), _opened(srgb_profile())
        forth = np.asarray(_transformed(image, opened, srgb))
        back = np.asarray(_transformed(image, srgb, opened))
    except Exception:  # noqa: BLE001 - damaged profiles, and those of scanners, cannot be kept
        return b""
    is_srgb = max(np.abs(each.astype(int) - grid).max() for each in (forth, back)) <= 2
    return b"" if is_srgb else profile


def as_srgb(rgb: NDArray[np.float32], space: bytes) -> NDArray[np.float32]:
    """Convert pixels of a space to sRGB, for pictures that are only for viewing.

    Args:
        rgb: in [0, 1], (height, width, 3).
        space: as in `to_space`.
    """
    if not space:
        return rgb
    image = Image.fromarray(to_levels(rgb))
    return from_levels(np.asarray(_transformed(image, _opened(space), _opened(srgb_profile()))))


def _through_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Convert a picture to sRGB, in mode RGB.

    Raises:
        ImageCms.PyCMSError: the profile is for other pixels, or lacks what a conversion needs.
    """
    if image.mode == "L" and profile.profile.xcolor_space == "RGB ":
        image = image.convert("RGB")
    return _transformed(image, profile, _opened(srgb_profile()))


def _transformed(
    image: Image.Image, profile: ImageCms.ImageCmsProfile, to: ImageCms.ImageCmsProfile
) -> Image.Image:
    transform = ImageCms.buildTransform(
        profile,
        to,
        image.mode,
        "RGB",
        ImageCms.Intent.PERCEPTUAL,
        ImageCms.Flags.HIGHRESPRECALC,  # without it, dark grays are up to 2 levels off
    )
    return transform.apply(image)


@cache
def srgb_profile() -> bytes:
    """Return an ICC profile for sRGB, the same at any time."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made_at = slice(24, 36)
    return made[: made_at.start] + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + made[made_at.stop :]


def rgb_profile(gamma: float, chromaticities: Sequence[float]) -> bytes:
    """Return an ICC profile for RGB pixels, which also works for gray ones.

    Args:
        gamma: levels are light raised to this power, as in PNG: 0.45455 is like sRGB, 1 is linear.
        chromaticities: x and y of white, red, green and blue.

    Raises:
        ValueError: no such colors exist, for example because two of them are equal.
    """
    columns = _primaries(np.asarray(chromaticities, np.float64).reshape(4, 2))
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags = {name: _xyz(column) for name, column in zip(names, columns.T, strict=True)}
    return _profile(tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma)))


def _primaries(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return XYZ of full red, green and blue as columns, adapted to D50 (ICC.1, annex E)."""
    if (xy[:, 1] <= 0).any() or (xy < 0).any() or (xy > 1).any():
        raise ValueError("there are no colors of these chromaticities")
    xyz = np.stack([xy[:, 0], xy[:, 1], 1 - xy.sum(axis=1)]) / xy[:, 1]
    white, colors = xyz[:, 0], xyz[:, 1:]
    try:
        scaled = colors * np.linalg.solve(colors, white)
        adaptation = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    except np.linalg.LinAlgError as error:
        raise ValueError("its three colors lie on a line") from error
    columns: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ adaptation @ _BRADFORD @ scaled
    if not (np.isfinite(columns).all() and np.abs(columns).max() < 8):
        raise ValueError("there are no colors of these chromaticities")
    return columns


def _profile(tags: dict[bytes, bytes]) -> bytes:
    """Return a display profile with these tags, according to ICC.1:2001-04."""
    tags = {b"desc": b"desc".ljust(90, b"\0"), b"wtpt": _xyz(_D50), **tags}
    start, table, data = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = struct.pack(">I", start + len(data))
    head = size + bytes(4) + bytes.fromhex("02400000") + b"mntrRGB XYZ "
    head = (head + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp").ljust(68, b"\0")
    return (head + _fixed(_D50)).ljust(128, b"\0") + table + data


def _curve(gamma: float) -> bytes:
    exponent = min(round(256 / gamma), 0xFFFF)
    return b"curv" + struct.pack(">IIH", 0, 1, exponent)


def _xyz(color: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(color)


def _fixed(values: NDArray[np.float64]) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)
