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


class Job(BaseModel):
    """A row that can run; small and plain, because it crosses task boundaries.

    Attributes:
        init, init_sha256: the picture that the row starts from, and its digest; None and empty if
            the settings say what it starts from.
        content_mask, content_mask_sha256, style_mask, style_mask_sha256: the masks that the row
            uses, and their digests; None and empty if there is none in a file.
        regions, style_regions: how many regions the masks have, as in `intake.masks.MasksOfRow`.
        content_shape, style_shape: height and width of the original pictures, in pixels.
        encoder: the feature network, with its weights checked.
        style_key: identity of the style's targets.
        key: identity of the result.
        warnings: what is odd about the pictures.
        priority: jobs with a higher number run first.
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
    content_mask: PlaceField | None = None
    content_mask_sha256: str = ""
    style_mask: PlaceField | None = None
    style_mask_sha256: str = ""
    regions: int = 0
    style_regions: int = 0

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
    stays the first, whose result the others copy.
    """
    highest: dict[str, float] = {}
    for job in jobs:
        highest[job.key] = max(job.priority, highest.get(job.key, job.priority))
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
