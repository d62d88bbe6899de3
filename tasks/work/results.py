"""The files of a finished row: its picture, its loss curve, and the page's pictures of it."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nst_core.images.color_profiles import as_srgb
from nst_core.images.formats.contents import Contents, Pixels
from nst_core.images.levels import from_levels
from nst_core.images.read import Picture
from nst_core.images.resize import enlarged
from nst_core.storage.files import make_durable
from nst_core.storage.places import name_of
from nst_core.transfer.identity import style_digest
from nst_core.transfer.losses.terms import loss_name
from nst_core.transfer.warnings import warnings_of_losses
from tasks.job import Job
from tasks.report.gallery.page_pictures import keep_content, keep_thumbnail
from tasks.store.curves import Point, curve_csv
from tasks.store.file_reference import FileReference
from tasks.store.output_folder import OutputFolder
from tasks.store.output_names import format_of
from tasks.store.provenance import KEYWORD, Provenance, StyleSource
from tasks.store.records import PictureRecord
from tasks.store.style_cache import StyleCache
from tasks.work.scores import scores_of

if TYPE_CHECKING:
    from nst_core.transfer.stylize import Outcome

LARGEST_LOSS = float(np.finfo(np.float32).max)
LONGEST_WARNING = 2000
"""The most characters of a warning; records allow no more."""


def write_results(
    job: Job,
    content: Picture,
    outcome: "Outcome",
    curve: list[Point],
    output: OutputFolder,
    cache: StyleCache,
    *,
    device: str,
    seconds: float,
    degraded: str = "",
) -> PictureRecord:
    """Write the picture, its curve and the page's pictures of it; return the picture's record.

    The record has the scores of the picture, for which `cache` has what they need of styles.
    """
    from nst_core.devices import peak_memory_mb

    facts = {**_facts(job, outcome), "degraded": degraded}
    contents = _contents(job, content, outcome, facts)
    picture = format_of(job.output).encode(contents)
    curve_file = FileReference.write(output.curve(job.output), curve_csv(curve))
    file = FileReference.write(output.picture(job.output), picture)
    _write_page_pictures(job, content, from_levels(outcome.pixels), file, output)
    # No record may survive a power failure that its files do not survive.
    make_durable(file.path, curve_file.path)
    made = (outcome.pixels.shape[0], outcome.pixels.shape[1])
    scores, unjudged = scores_of(job, content, contents.rgb, made, cache)
    return PictureRecord(
        key=job.key,
        file=file,
        curve=curve_file.path,
        curve_file=curve_file,
        width=contents.size[0],
        height=contents.size[1],
        seconds=seconds,
        device=device,
        peak_memory_mb=round(peak_memory_mb(device), 1),
        warnings=_warnings(job, outcome, degraded, unjudged),
        scores=scores,
        **facts,
    )


def _contents(job: Job, content: Picture, outcome: "Outcome", facts: dict[str, Any]) -> Contents:
    """Return what goes into the file of a row's result."""
    settings = job.settings
    rgb = outcome.pixels if outcome.unrounded is None else outcome.unrounded
    alpha: Pixels | None = content.alpha if settings.keep_alpha else None
    if settings.enlarge_result and rgb.shape[:2] != job.file_shape:
        rgb = enlarged(rgb, *job.file_shape, depth=settings.depth)
        alpha = None if alpha is None else enlarged(alpha, *job.file_shape, depth=settings.depth)
    return Contents(
        rgb,
        alpha,
        {KEYWORD: Provenance(**facts, **_sources(job)).to_text()},
        depth=settings.depth,
        quality=settings.quality,
        metadata=content.metadata.reduced(settings.metadata),
        profile=content.space,
    )


def _write_page_pictures(
    job: Job,
    content: Picture,
    pixels: NDArray[np.float32],
    file: FileReference,
    output: OutputFolder,
) -> None:
    """Write the page's pictures of a row's content and result, which are sRGB."""
    shown, pixels = as_srgb(content.rgb, content.space), as_srgb(pixels, content.space)
    keep_content(output, job.content.sha256, shown)
    keep_thumbnail(output, job.content.sha256, shown)
    keep_thumbnail(output, file.sha256, pixels)
    if not format_of(job.output).in_browsers:
        keep_content(output, file.sha256, pixels)


def _warnings(
    job: Job, outcome: "Outcome", degraded: str, unjudged: tuple[str, ...]
) -> tuple[str, ...]:
    """Return what is odd about the row although it is done."""
    ends = [f"degraded for lack of memory: {degraded}"] if degraded else []
    warnings = (
        *job.warnings,
        *warnings_of_losses(outcome, job.settings),
        *_warnings_of_end(outcome),
        *ends,
        *unjudged,
    )
    return tuple(warning[:LONGEST_WARNING] for warning in warnings)


def _warnings_of_end(outcome: "Outcome") -> Iterator[str]:
    """Yield that the row ended before it was finished, if it did."""
    from nst_core.transfer.stylize import ENDED_EARLY

    if outcome.stop_reason == ENDED_EARLY:
        yield (
            f"row-budget: the row ended with its best picture after {outcome.steps} steps, before "
            "it was finished; with --refresh, it is made again"
        )


def _facts(job: Job, outcome: "Outcome") -> dict[str, Any]:
    """Return how the picture was made, for both the table and the picture itself."""
    losses = outcome.losses
    return {
        "settings": job.settings.model_dump(),
        "seed": job.seed,
        "encoder_fingerprint": job.encoder.fingerprint,
        "total_loss": _recordable(losses.total),
        **{loss_name(term): _recordable(loss) for term, loss in losses.terms.items()},
        "style_layers": {layer: _recordable(loss) for layer, loss in losses.style_layers.items()},
        "start_loss": _recordable(outcome.start_losses.total),
        "steps": outcome.steps,
        "evaluations": outcome.evaluations,
        "stop_reason": outcome.stop_reason,
        "recoveries": outcome.recoveries,
    }


def _recordable(loss: float) -> float:
    """Return a loss that JSON can hold; a warning of the row says if it was not finite."""
    return loss if math.isfinite(loss) else LARGEST_LOSS


def _sources(job: Job) -> dict[str, Any]:
    styles = [
        StyleSource(
            name=style.name,
            pictures=tuple(picture.sha256 for picture in style.pictures),
        )
        for style in job.styles
    ]
    is_picture = len(styles) == len(job.styles[0].pictures) == 1
    first = job.styles[0].pictures[0]
    return {
        "key": job.key,
        "content": job.content.name,
        "content_sha256": job.content.sha256,
        "style": name_of(first.place) if is_picture else "; ".join(each.name for each in styles),
        "style_sha256": style_digest([style.sha256 for style in job.styles]),
        "styles": () if is_picture else styles,
        "init": name_of(job.init) if job.init else "",
        "init_sha256": job.init_sha256,
        "content_mask": job.content.mask.name,
        "content_mask_sha256": job.content.mask.sha256,
        "style_mask": job.style_mask.name,
        "style_mask_sha256": job.style_mask.sha256,
        "sequence": job.sequence,
        "frame": job.frame,
        "previous": job.previous.key if job.previous else "",
        "flow": name_of(job.flow) if job.flow else "",
        "flow_sha256": job.flow_sha256,
    }
