"""A row that can run, and what it costs."""

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


class PreviousFrame(BaseModel):
    """The frame before another one, as its job describes it.

    Attributes:
        line, key, output: of its job.
        content, content_sha256: its content picture.
    """

    model_config = ConfigDict(frozen=True)

    line: int
    key: str
    output: str
    content: PlaceField
    content_sha256: str


class Job(BaseModel):
    """A row that can run; small and plain, because it crosses task boundaries.

    Attributes:
        init, init_sha256: the picture that the row starts from, and its digest; None and empty if
            the settings say what it starts from.
        content_shape, style_shape: height and width of the original pictures, in pixels.
        encoder: the feature network, with its weights checked.
        style_key: identity of the style's targets.
        key: identity of the result.
        warnings: what is odd about the pictures.
        priority: jobs with a higher number run first.
        sequence, frame: the moving picture of which it is a frame, and its number there, from 1;
            empty and 0 if it is none.
        previous: the frame before; None if there is none.
        flow, flow_sha256: the file of the flow to that frame, and its digest; None and empty if the
            flow is computed.
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
    priority: float = 0.0
    init: PlaceField | None = None
    init_sha256: str = ""
    sequence: str = ""
    frame: int = 0
    previous: PreviousFrame | None = None
    flow: PlaceField | None = None
    flow_sha256: str = ""

    @property
    def content_name(self) -> str:
        """The content's name, for people."""
        return name_of(self.content)

    @property
    def style_name(self) -> str:
        """The style's name, for people."""
        return name_of(self.style)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result, in pixels."""
        return fit(*self.content_shape, self.settings.size, enlarge=self.settings.enlarge)

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
