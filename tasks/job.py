"""A row that can run, and what it costs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from nst_core.images.resize import fit
from nst_core.networks import CATALOGUE
from nst_core.networks.loading import EncoderReference
from nst_core.storage.places import PlaceField, name_of
from nst_core.transfer.octaves import octave_shapes
from nst_core.transfer.settings import Settings
from tasks.row import Fault, Row


class StylePicture(BaseModel):
    """A picture of a style.

    Attributes:
        place: where it is.
        sha256: digest of its decoded content.
        shape: height and width of the original, in pixels.
    """

    model_config = ConfigDict(frozen=True)

    place: PlaceField
    sha256: str
    shape: tuple[int, int]


class JobStyle(BaseModel):
    """A style of a row: one picture, or all pictures of a folder.

    Attributes:
        place: the picture or the folder.
        pictures: in the order of their digests, so that names change nothing.
        sha256: digest of the style: of its picture, or of those of its pictures.
        key: identity of its targets.
        position: its place among the styles in the row's cell, from 0.
    """

    model_config = ConfigDict(frozen=True)

    place: PlaceField
    pictures: tuple[StylePicture, ...]
    sha256: str
    key: str
    position: int = 0

    @property
    def name(self) -> str:
        """Its name, for people."""
        return name_of(self.place)


class JobMask(BaseModel):
    """The mask of a picture; by default, the picture has none.

    Attributes:
        place, sha256: its file, and the digest of its decoded content; None and empty if it has
            regions and no file: it is then the transparency of its picture.
        regions: how many regions it has. A gray mask of a style has none: all of the content takes
            that part of the style.
    """

    model_config = ConfigDict(frozen=True)

    place: PlaceField | None = None
    sha256: str = ""
    regions: int = 0

    @property
    def name(self) -> str:
        """The name of its file, for people; empty if it has none."""
        return name_of(self.place) if self.place else ""


class JobContent(BaseModel):
    """The content of a row, with its mask.

    Attributes:
        place: where the picture is.
        sha256: digest of its decoded content.
        shape: height and width of the original, in pixels.
        mask: its mask.
        profile_sha256: digest of its ICC profile, if the row is seen in its space; otherwise empty.
        deep_sha256: digest of its levels of 16 bits, if they are used; otherwise empty.
    """

    model_config = ConfigDict(frozen=True)

    place: PlaceField
    sha256: str
    shape: tuple[int, int]
    mask: JobMask = JobMask()
    profile_sha256: str = ""
    deep_sha256: str = ""

    @property
    def name(self) -> str:
        """Its name, for people."""
        return name_of(self.place)


class PreviousFrame(BaseModel):
    """The frame before another one, as its job describes it.

    Attributes:
        line, key, output, content: of its job.
    """

    model_config = ConfigDict(frozen=True)

    line: int
    key: str
    output: str
    content: JobContent


class Job(BaseModel):
    """A row that can run; small and plain, because it crosses task boundaries.

    Attributes:
        styles: those with a weight above 0, all different. With `style_mix = blend`, their order
            is that of their digests, since a blend in another order is the same; otherwise, it is
            that of the cell.
        settings: those of the row, with the weights of these styles, in their order.
        init, init_sha256: the picture that the row starts from, and its digest; None and empty if
            the settings say what it starts from.
        style_mask: the mask of its only style.
        encoder: the feature network, with its weights checked.
        key: identity of the result.
        warnings: what is odd about the pictures.
        priority: jobs with a higher number run first.
        sequence, frame: the moving picture of which it is a frame, and its number there, from 1;
            empty and 0 if it is none.
        previous: the frame before; None if there is none.
        flow, flow_sha256: the file of the flow to that frame, and its digest; None and empty if the
            flow is computed.
        in_full: for a preview, the settings of the row in full.
    """

    model_config = ConfigDict(frozen=True)

    line: int
    content: JobContent
    styles: tuple[JobStyle, ...]
    output: str
    settings: Settings
    encoder: EncoderReference
    key: str
    seed: int
    max_pixels: int
    warnings: tuple[str, ...] = ()
    priority: float = 0.0
    init: PlaceField | None = None
    init_sha256: str = ""
    style_mask: JobMask = JobMask()
    sequence: str = ""
    frame: int = 0
    previous: PreviousFrame | None = None
    flow: PlaceField | None = None
    flow_sha256: str = ""
    in_full: Settings | None = None

    @property
    def whole(self) -> "Job":
        """The job of the row in full, if this is one of a preview; only good for estimates."""
        if self.in_full is None:
            return self
        # Rows that differ only in size may have the same preview.
        digest = hashlib.sha256((self.key + self.in_full.model_dump_json()).encode()).hexdigest()
        return self.model_copy(update={"settings": self.in_full, "in_full": None, "key": digest})

    @property
    def style_name(self) -> str:
        """The names of the styles, for people, in the order of the row's cell."""
        return "; ".join(style.name for style in self.styles_as_named)

    @property
    def styles_as_named(self) -> tuple[JobStyle, ...]:
        """The styles in the order of the row's cell."""
        return tuple(sorted(self.styles, key=lambda style: style.position))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result, in pixels."""
        return fit(*self.content.shape, self.settings.size, enlarge=self.settings.enlarge)

    @property
    def file_shape(self) -> tuple[int, int]:
        """Height and width of the result's file, in pixels."""
        is_smaller = max(self.shape) < max(self.content.shape)
        enlarge = self.settings.enlarge_result and is_smaller
        return self.content.shape if enlarge else self.shape

    @property
    def multiplications(self) -> float:
        """Multiplications of the forward passes in all steps and octaves.

        The time that a row takes is nearly proportional to them.
        """
        shapes = octave_shapes(*self.shape, self.settings.octaves).values()
        pixels = sum(height * width for height, width in shapes)
        return self.settings.steps * pixels * multiplications_per_pixel(self.settings)


def by_priority(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs in the order in which they run: by priority, else as in the manifest.

    Equal jobs share the highest priority among them. The first of them in the manifest therefore
    stays the first, whose result the others copy. A frame has at least the priority of the frames
    after it, which wait for it.
    """
    highest: dict[str, float] = {}
    for job in jobs:
        highest[job.key] = max(job.priority, highest.get(job.key, job.priority))
    for job in reversed(jobs):
        if job.previous and (before := job.previous.key) in highest:
            highest[before] = max(highest[before], highest[job.key])
    return sorted(jobs, key=lambda job: -highest[job.key])


def multiplications_per_pixel(settings: Settings) -> float:
    """Return the multiplications per pixel of a forward pass through the layers that are used."""
    taps = {*settings.content_layer_weights, *settings.style_layer_weights}
    return CATALOGUE[settings.encoder].topology.work_per_pixel(taps)


@dataclass(frozen=True)
class Examined:
    """The rows of a manifest, each with all its faults, and the jobs of those without any."""

    rows: tuple[Row, ...]
    jobs: tuple[Job, ...]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, in manifest order."""
        return tuple(fault for row in self.rows for fault in row.faults)
