"""The disk that the results of rows take: what finished ones took, or else an upper bound."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from nst_core.images.resize import fit
from nst_core.networks import CATALOGUE
from nst_core.transfer.losses.terms import terms_of
from nst_core.transfer.octaves import REPORT_EVERY, octave_shapes
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import COSTS, GRAM
from tasks.job import Job
from tasks.store.output_folder import THUMBNAIL_SIDE
from tasks.store.output_names import format_of
from tasks.store.records import PictureRecord

BLOCK = 4096
"""Most disks store files in blocks of this many bytes."""

BYTES_BESIDE_PIXELS = 8192
"""The most that a picture takes besides its pixels: its headers, the text in it, and the metadata
that identifies nobody."""

BYTES_OF_METADATA = 131_072
"""The most that all metadata of a photograph takes: as much as a JPEG file can hold."""

BYTES_OF_NUMBER = 24
"""The most that a number takes in a loss curve, with its comma."""

PAGE_BYTES_PER_PIXEL = 1.5
"""The most that a JPEG file of quality 85 takes; noise comes close, photographs take a fifth."""

BYTES_OF_ROW = 16_384
"""The most that a row takes elsewhere: its record, and its lines in the table and the page."""

BYTES_FOR_SCORES = 266_240
"""What is kept of each picture of a style for the scores, at each size."""

ARRAYS_OF_OPTIMIZER = {"lbfgs": 22, "adam": 4}
"""How many arrays of the picture's shape a checkpoint has, float32, with three channels."""


@dataclass(frozen=True)
class DiskUse:
    """The bytes that the rows of a batch will take, by kind of file.

    Attributes:
        checkpoints: of the rows that run at once, at worst; they are removed when rows are done.
        style_targets: those that go to the cache; the other files go to the output folder.
        is_learned: whether the size of the pictures is that of finished ones; otherwise it is an
            upper bound.
    """

    pictures: int = 0
    curves: int = 0
    page_pictures: int = 0
    records: int = 0
    checkpoints: int = 0
    style_targets: int = 0
    is_learned: bool = False

    @property
    def in_output(self) -> int:
        """The bytes in the output folder."""
        return self.pictures + self.curves + self.page_pictures + self.records + self.checkpoints


_Kind = tuple[str, int, int]


class PictureSizes:
    """Sizes of pictures, learned from finished ones of the same format."""

    def __init__(self, finished: Iterable[PictureRecord]) -> None:
        pixels: defaultdict[_Kind, int] = defaultdict(int)
        self._bytes: defaultdict[_Kind, int] = defaultdict(int)
        for record in finished:
            kind = _kind(str(record.file.path), record.settings)
            pixels[kind] += record.width * record.height
            self._bytes[kind] += record.file.size
        self._pixels = {kind: count for kind, count in pixels.items() if count}

    def is_known(self, job: Job) -> bool:
        """Return whether there is a finished picture of the same format."""
        return _kind(job.output, job.settings) in self._pixels

    def of(self, job: Job) -> int:
        """Return the bytes of a job's picture, or the most that its format can take."""
        height, width = job.file_shape
        kind = _kind(job.output, job.settings)
        if pixels := self._pixels.get(kind):
            return round(self._bytes[kind] / pixels * height * width)
        has_alpha = job.settings.keep_alpha and format_of(job.output).has_alpha
        # A file that cannot be compressed has a byte for each level, and one for each line.
        of_pixel = (4 if has_alpha else 3) * job.settings.depth // 8
        beside = BYTES_OF_METADATA if job.settings.metadata == "keep" else 0
        return round(1.001 * height * (1 + width * of_pixel)) + BYTES_BESIDE_PIXELS + beside


def _kind(path: str, settings: Settings) -> _Kind:
    """Return what decides, with the number of pixels, how large a picture's file is."""
    return PurePosixPath(path).suffix, settings.depth, settings.quality


def disk_use(
    rows: Sequence[Job],
    copies: Sequence[Job],
    styles: Iterable[Job],
    finished: Iterable[PictureRecord],
    at_once: int,
) -> DiskUse:
    """Return about how much disk the results of a batch take.

    Args:
        rows: the jobs to run.
        copies: the jobs that get a copy of an earlier row's picture and loss curve.
        styles: a job for each style whose targets are to be computed.
        finished: records of finished pictures to learn from.
        at_once: how many rows run at once.
    """
    sizes = PictureSizes(finished)
    written = [*rows, *copies]
    checkpoints = sorted(map(checkpoint_bytes, rows), reverse=True)
    return DiskUse(
        pictures=sum(_on_disk(sizes.of(job)) for job in written),
        curves=sum(_on_disk(curve_bytes(job)) for job in written),
        page_pictures=_page_pictures(rows),
        records=len(written) * BYTES_OF_ROW,
        checkpoints=sum(map(_on_disk, checkpoints[:at_once])),
        style_targets=sum(_on_disk(targets_bytes(job)) + BYTES_FOR_SCORES for job in styles),
        is_learned=bool(written) and all(map(sizes.is_known, written)),
    )


def curve_bytes(job: Job) -> int:
    """Return the most bytes that a job's loss curve takes."""
    numbers = 6 + len(terms_of(is_frame=job.previous is not None))
    points = len(_octaves(job)) * (-(-job.settings.steps // REPORT_EVERY) + 2)
    return (1 + points) * numbers * BYTES_OF_NUMBER


def checkpoint_bytes(job: Job) -> int:
    """Return the most bytes that a job's checkpoint takes: that of the largest size."""
    height, width = job.shape
    return (
        ARRAYS_OF_OPTIMIZER[job.settings.optimizer] * height * width * 12 + curve_bytes(job) + BLOCK
    )


def targets_bytes(job: Job) -> int:
    """Return the bytes of a style's targets: arrays of each loss for each size and layer."""
    topology, settings = CATALOGUE[job.settings.encoder].topology, job.settings
    channels = [topology.channels(layer) for layer in settings.style_layer_weights]
    # The file also has a header, which describes each array, and a record beside it.
    losses = {GRAM, *settings.style_loss_weights}
    arrays = sum(4 * COSTS[loss].target(count) + 300 for loss in losses for count in channels)
    # Each region of a color-coded mask has its own, and so have all of them together.
    return (1 + job.style_mask.regions) * settings.octaves * arrays + BLOCK


def _octaves(job: Job) -> dict[int, tuple[int, int]]:
    return octave_shapes(*job.shape, job.settings.octaves)


def _page_pictures(rows: Iterable[Job]) -> int:
    """Return the most bytes of the page's pictures, some of which rows share."""
    contents = {(job.content.sha256, job.shape) for job in rows}
    thumbnails = [job.shape for job in rows]
    thumbnails += {job.content.sha256: job.content.shape for job in rows}.values()
    styles = [style.pictures[0] for job in rows for style in job.styles]
    thumbnails += {picture.sha256: picture.shape for picture in styles}.values()
    shapes = [*(shape for _, shape in contents)]
    shapes += [fit(*shape, THUMBNAIL_SIDE) for shape in thumbnails]
    return sum(
        _on_disk(round(height * width * PAGE_BYTES_PER_PIXEL) + 1024) for height, width in shapes
    )


def _on_disk(size: int) -> int:
    """Return the bytes that a file of some size takes on a disk."""
    return -(-size // BLOCK) * BLOCK
