"""Rows -> jobs: pictures examined, identities known, so that the work can begin or be skipped."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from nst_core.identity import row_key, row_seed, style_key
from nst_core.networks import CATALOGUE
from nst_core.networks.loading import EncoderReference
from nst_core.networks.weight_files import WeightsError
from nst_core.octaves import octave_shapes
from nst_core.pictures import Picture, PictureError, PictureFacts, examine, fit, load
from nst_core.places import Place, PlaceField, may_be_address, name_of, told
from nst_core.settings import Settings
from tasks.encoders import Encoders
from tasks.faults import Fault, as_fault, reason_of
from tasks.row_warnings import warnings_of_pictures
from tasks.rows import Row

MOST_THREADS = min(4, os.cpu_count() or 1)
"""Of those that decode pictures; more would need many gigabytes where pictures are very large."""


class Job(BaseModel):
    """A row that can run: small and plain, as it crosses task boundaries.

    Attributes:
        content_shape, style_shape: height and width of the pictures as they are, in pixels.
        encoder: the network that sees, its weights checked.
        style_key: identity of the style's targets.
        key: identity of the result.
        warnings: what is odd about the pictures.
    """

    model_config = ConfigDict(frozen=True)

    line: int
    content: PlaceField
    style: PlaceField
    output: str
    settings: Settings
    encoder: EncoderReference
    content_sha256: str
    style_sha256: str
    content_shape: tuple[int, int]
    style_shape: tuple[int, int]
    style_key: str
    key: str
    seed: int
    max_pixels: int
    warnings: tuple[str, ...] = ()

    @property
    def content_name(self) -> str:
        """What people call the content."""
        return name_of(self.content)

    @property
    def style_name(self) -> str:
        """What people call the style."""
        return name_of(self.style)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result, in pixels."""
        return fit(*self.content_shape, self.settings.size, enlarge=self.settings.enlarge)

    @property
    def multiplications(self) -> float:
        """Of a forward pass in every step of all octaves, to which time is nearly proportional."""
        shapes = octave_shapes(*self.shape, self.settings.octaves).values()
        pixels = sum(height * width for height, width in shapes)
        return self.settings.steps * pixels * work_of(self.settings).multiplications_per_pixel


class Work(NamedTuple):
    """What each pixel of a forward pass takes."""

    multiplications_per_pixel: float
    activations_per_pixel: float


def work_of(settings: Settings) -> Work:
    """Of the layers that these settings look at, and those before them."""
    taps = {*settings.content_layer_weights, *settings.style_layer_weights}
    topology = CATALOGUE[settings.encoder].topology
    return Work(topology.work_per_pixel(taps), topology.activations_per_pixel(taps))


@dataclass(frozen=True)
class Examined:
    """The rows of a manifest, each with all its faults, and the jobs of those without any."""

    rows: tuple[Row, ...]
    jobs: tuple[Job, ...]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Everything that is wrong, in manifest order."""
        return tuple(fault for row in self.rows for fault in row.faults)


Examination = PictureFacts | PictureError


def examine_rows(
    rows: Sequence[Row],
    encoders: Encoders,
    *,
    max_pixels: int,
    on_picture: Callable[[int, int], None] | None = None,
) -> Examined:
    """Open every picture that the rows name, once each, and give the good rows their identity.

    Args:
        rows: of a manifest.
        encoders: that these rows name.
        max_pixels: a picture with more is refused.
        on_picture: called after each picture with how many are done and how many there are.
    """
    paths = {
        path
        for row in rows
        for column, path in (("content", row.content), ("style", row.style))
        if column in row.cells and not row.has_fault_in(column)
    }
    found = _examine_all(sorted(paths, key=str), max_pixels, on_picture)
    examined = [_examine_row(row, encoders, found, max_pixels) for row in rows]
    jobs = tuple(job for _, job in examined if job)
    return Examined(tuple(row for row, _ in examined), jobs)


def _examine_all(
    paths: Sequence[Place], max_pixels: int, on_picture: Callable[[int, int], None] | None
) -> dict[Place, Examination]:
    def look(path: Place) -> Examination:
        try:
            return examine(path, max_pixels=max_pixels)
        except PictureError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever a file brings, others go on
            return PictureError(f"{told(path)}: {reason_of(error)}")

    found: dict[Place, Examination] = {}
    with ThreadPoolExecutor(max_workers=MOST_THREADS) as pool:
        for path, examination in zip(paths, pool.map(look, paths), strict=True):
            found[path] = examination
            if on_picture is not None:
                on_picture(len(found), len(paths))
    return found


def _examine_row(
    row: Row, encoders: Encoders, found: Mapping[Place, Examination], max_pixels: int
) -> tuple[Row, Job | None]:
    """The row with all its faults, and its job where there are none."""
    faults: list[Fault] = []
    job = None
    with as_fault(faults, row.line, "content", row.cell("content")):
        faults += _encoder_faults(row, encoders)
        faults += _picture_faults(row, found)
        faults += _size_faults(row.with_faults(faults), found)
        if not row.faults and not faults:
            job = _job(row, encoders, found, max_pixels)
    return row.with_faults(faults), job


def _encoder_faults(row: Row, encoders: Encoders) -> Iterable[Fault]:
    name = row.settings.encoder
    encoder = encoders.get((name, row.settings.pooling))
    if isinstance(encoder, WeightsError):
        yield Fault(row.line, "encoder", name, str(encoder))


def _picture_faults(row: Row, found: Mapping[Place, Examination]) -> Iterable[Fault]:
    for column, path in (("content", row.content), ("style", row.style)):
        is_named = column in row.cells and not row.has_fault_in(column)
        examination = found.get(path) if is_named else None
        if isinstance(examination, PictureError):
            cell, why = row.cells[column], str(examination)
            # A cell with the whole path has said where; a name has not. What looks like an address,
            # and is a path, may have a secret that none would look for in a path.
            if cell == told(path) or may_be_address(cell):
                why = why.removeprefix(f"{told(path)}: ")
            yield Fault(row.line, column, cell, why)


def _size_faults(row: Row, found: Mapping[Place, Examination]) -> Iterable[Fault]:
    content = found.get(row.content)
    at_fault = {fault.column for fault in row.faults}
    if at_fault & {"size", "enlarge", "content_layers", "style_layers", "preset", "encoder"}:
        return
    if not isinstance(content, PictureFacts):
        return
    settings = row.settings
    layers = {*settings.content_layer_weights, *settings.style_layer_weights}
    smallest = CATALOGUE[settings.encoder].topology.smallest_side(layers)
    height, width = fit(content.height, content.width, settings.size, enlarge=settings.enlarge)
    if min(height, width) < smallest:
        wrong = (
            f"it is worked on at {width} x {height} pixels; expected at least {smallest} each way: "
            "raise size, or set enlarge"
        )
        yield Fault(row.line, "content", row.cells["content"], wrong)


def _job(row: Row, encoders: Encoders, found: Mapping[Place, Examination], max_pixels: int) -> Job:
    content, style = found[row.content], found[row.style]
    encoder = encoders[row.settings.encoder, row.settings.pooling]
    assert isinstance(content, PictureFacts)
    assert isinstance(style, PictureFacts)
    assert isinstance(encoder, EncoderReference)
    targets_key = style_key(style.sha256, row.settings, encoder.fingerprint)
    key = row_key(content.sha256, targets_key, row.settings)
    return Job(
        line=row.line,
        content=row.content.absolute(),
        style=row.style.absolute(),
        output=row.output,
        settings=row.settings,
        encoder=encoder,
        content_sha256=content.sha256,
        style_sha256=style.sha256,
        content_shape=(content.height, content.width),
        style_shape=(style.height, style.width),
        style_key=targets_key,
        key=key,
        seed=row_seed(key, row.settings),
        max_pixels=max_pixels,
        warnings=tuple(warnings_of_pictures(content, style)),
    )


def load_picture(path: Place, sha256: str, *, size: int, enlarge: bool, max_pixels: int) -> Picture:
    """The picture, if it is still the one that was examined.

    Raises:
        PictureError: it changed meanwhile, so that its result would be kept as another's.
    """
    picture = load(path, size=size, enlarge=enlarge, max_pixels=max_pixels, warn=False)
    if picture.sha256 != sha256:
        raise PictureError(f"{told(path)}: the picture changed while the batch ran. Run it again.")
    return picture
