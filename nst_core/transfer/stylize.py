"""Stylization of a picture, coarse to fine: a generator of iterates, with an outcome at the end."""

import os
from collections.abc import Callable, Generator
from contextlib import closing, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nst_core.devices.tensor_float import decide_tf32
from nst_core.images.levels import from_levels, to_levels
from nst_core.images.pixels import PictureLike, Pixels
from nst_core.images.resize import resize
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import current_device
from nst_core.networks.loading import load_encoder
from nst_core.transfer.octaves import octave_shapes, shape_of_result, sized
from nst_core.transfer.optimization.checkpoint import Checkpoint, CheckpointError, Totals
from nst_core.transfer.optimization.optimization import OctaveTask, Report
from nst_core.transfer.optimization.together import Together
from nst_core.transfer.outcomes import Iterate as Iterate
from nst_core.transfer.outcomes import Outcome as Outcome
from nst_core.transfer.pictures.before_and_after import at_strength, finished_picture
from nst_core.transfer.pictures.frames import FrameBefore
from nst_core.transfer.pictures.start import Pictures, beginning
from nst_core.transfer.presets import DEFAULT_PRESET, PRESETS
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.blending import targets_of
from nst_core.transfer.styles.guidance import Guidance
from nst_core.transfer.styles.styles import Blend, Samples
from nst_core.transfer.styles.targets import StyleTargets
from nst_core.transfer.tiles.grid import Tiles

ENDED_EARLY = "budget"
"""The stop reason of a stylization that was ended before it was finished."""


def stylize(
    content: PictureLike,
    style: PictureLike | Samples | Blend,
    settings: Settings = PRESETS[DEFAULT_PRESET],
    *,
    weights: str | os.PathLike[str] | None = None,
    init: PictureLike | None = None,
    content_mask: PictureLike | None = None,
    style_mask: PictureLike | None = None,
    before: FrameBefore | None = None,
    on_iterate: Callable[[Iterate], None] | None = None,
    together: Together | None = None,
) -> Outcome:
    """Stylize one picture in the style of another (Gatys et al. 2016).

    Args:
        content, style: of any size and in any form that `images.pixels.as_pixels` takes: arrays,
            Pillow images, or what `images.read.load` returns. A style may also be several pictures
            of one style (`Samples`) or several styles, which `style_blend` weighs (`Blend`).
        settings: how to stylize; the result's longest side is `settings.size`, or the content's if
            smaller (unless `settings.enlarge`).
        weights: file or folder of the encoder's weights; see `load_encoder`.
        init: a picture to start from, whatever `settings.start` is; it fills the result.
        content_mask, style_mask: what is stylized, and what counts of the style (see `masks`).
        before: the frame before, if the content is a frame of a moving picture.
        on_iterate: called every few steps with the best picture so far.
        together: shared with other threads that stylize at the same time; see `iterates`.

    Raises:
        ValueError: `content` or `style` is not a picture, or has values out of range; a layer is
            unknown, a picture too small, or a mask unfit (`MaskError`); `init` with `before`.
        WeightsError: the encoder's weights are missing, or cannot be used.
        NotFiniteError: the loss of the starting picture is not finite.
    """
    pictures = Pictures.of(content, style, init, before)  # checked before weights are loaded
    settings = sized(settings, pictures.content.shape)
    encoder = load_encoder(settings.encoder, settings.pooling, weights)
    targets = targets_of(encoder, style, settings, style_mask)
    steps = iterates(
        *(encoder, content, targets, settings),
        seed=settings.seed or 0,
        style=style,
        init=pictures.init,
        content_mask=content_mask,
        before=before,
        together=together,
    )
    return finish(steps, on_iterate)


def finish(
    steps: Generator[Iterate, None, Outcome],
    on_iterate: Callable[[Iterate], None] | None = None,
) -> Outcome:
    """Run a generator of iterates to its end, and return the outcome."""
    show = on_iterate or (lambda _: None)
    # An error must not leave the generator unfinished, because other rows may wait for it.
    with closing(steps):
        while True:
            try:
                show(next(steps))
            except StopIteration as stop:
                outcome: Outcome = stop.value
                return outcome


def iterates(
    encoder: Encoder,
    content: PictureLike,
    targets: StyleTargets,
    settings: Settings,
    *,
    seed: int,
    style: PictureLike | Samples | Blend | None = None,
    init: PictureLike | None = None,
    content_mask: PictureLike | None = None,
    before: FrameBefore | None = None,
    checkpoint: Checkpoint | None = None,
    is_enough: Callable[[], bool] = lambda: False,
    rematerialize: bool = False,
    tiles: Tiles | None = None,
    together: Together | None = None,
) -> Generator[Iterate, None, Outcome]:
    """Yield the iterates of one stylization, every few steps, and return its outcome.

    Args:
        encoder: the feature network, from `load_encoder`.
        content, style, settings, init, content_mask, before: as in `stylize`; see `needs_style`.
        targets: of `style_targets` with the same encoder and settings, or of `blended_targets`.
        seed: seed of the noise.
        checkpoint: of an iterate of the same stylization; this one continues to the same bits.
        is_enough: asked after each iterate; if true, the best picture, at full size, is the result.
        rematerialize: take less memory and more time.
        tiles: compute loss and gradient tile by tile; see `tiles.grid.can_be_tiled`. A checkpoint
            must then be taken before the next iterate, because the state changes in place.
        together: shared with other threads that stylize on the same device; rows that fit to each
            other take their steps as one batch (`together.reason_alone`). Close the generator if
            you leave it before its end, or the others wait for it.

    Raises:
        ValueError, NotFiniteError: as in `stylize`.
        CheckpointError: it belongs to another stylization.
        PrecisionError: on a GPU, this process has used another precision; see `tensor_float`.
    """
    decide_tf32(current_device(), allowed=settings.allows_tf32)
    given = Pictures.of(content, style, init, before)
    settings = at_strength(sized(settings, given.content.shape))
    shape = shape_of_result(encoder.topology, given.content.shape[:2], settings)
    guidance = Guidance.of(content, content_mask, targets, settings, shape)
    prepared, start, frame = beginning(encoder, given, targets, settings, shape, seed, guidance)
    octaves = octave_shapes(*shape, settings.octaves)
    parts = (encoder, prepared, targets, settings)
    how: dict[str, Any] = {"rematerialize": rematerialize, "tiles": tiles, "together": together}
    prepare = partial(OctaveTask.prepare, *parts, guidance=guidance, frame=frame, **how)
    with together.joined() if together else nullcontext():
        end = yield from _through(octaves, prepare, start, settings.steps, checkpoint, is_enough)
    covered = None if guidance is None else guidance.coverage
    finished = finished_picture(end.pixels, given.content, settings, covered)
    return _outcome(end, start, finished, settings)


class _End(NamedTuple):
    """The end of an optimization: the task of the last octave, and the best picture."""

    last: OctaveTask
    pixels: Pixels
    totals: Totals
    stop_reason: str


def _through(
    shapes: dict[int, tuple[int, int]],
    prepare: Callable[[int, tuple[int, int]], OctaveTask],
    start: Pixels,
    steps: int,
    checkpoint: Checkpoint | None,
    is_enough: Callable[[], bool],
) -> Generator[Iterate, None, _End]:
    """Optimize a picture at each octave, from the start or from a checkpoint.

    Args:
        shapes: height and width of each octave, by index.
        prepare: returns the task of an octave of this index and shape.
        start: the picture to start from, at the result's height and width.
        steps: steps planned for each octave.
        checkpoint: where to continue.
        is_enough: as in `iterates`.
    """
    last = max(shapes)
    if checkpoint and checkpoint.octave not in shapes:
        raise CheckpointError(f"found octave {checkpoint.octave}, expected one of {[*shapes]}")
    totals = checkpoint.before if checkpoint else Totals(0, 0, 0)
    report: Any = None
    for index, shape in shapes.items():
        if checkpoint and index < checkpoint.octave:
            continue
        task = prepare(index, shape)
        if checkpoint and index == checkpoint.octave:
            reports = task.resume(checkpoint)
            report = next(reports)
        else:
            reports = task.reports(_at(shape, report.pixels if report else start), report)
        for report in reports:
            yield _iterate(report, totals, shapes, index, steps)
            if is_enough() and not (report.stop_reason and index == last):
                task = task if index == last else prepare(last, shapes[last])
                pixels = _at(shapes[last], report.pixels)
                return _End(task, pixels, totals.plus(report.totals), ENDED_EARLY)
        totals = totals.plus(report.totals)
    return _End(task, report.pixels, totals, report.stop_reason)


def _at(shape: tuple[int, int], pixels: Pixels) -> Pixels:
    """Return a picture at this height and width; the same object if it has them already."""
    return pixels if pixels.shape[:2] == shape else resize(pixels, *shape)


def _iterate(
    report: Report,
    before: Totals,
    shapes: dict[int, tuple[int, int]],
    octave: int,
    steps: int,
) -> Iterate:
    """Return the state of the entire optimization, from the report of one octave.

    Args:
        report: the state of the current octave.
        before: totals of the previous octaves.
        shapes: height and width of each octave, by index.
        octave: index of the current one.
        steps: steps planned for each octave.
    """
    done = list(shapes).index(octave)
    return Iterate(
        octave=done + 1,
        octaves=len(shapes),
        step=done * steps + report.steps,
        steps=len(shapes) * steps,
        step_of_octave=report.steps,
        work_done=_work_done(shapes, octave, report.steps / steps),
        evaluations=before.evaluations + report.evaluations,
        losses=report.losses,
        pixels=np.clip(report.pixels, 0, 1),
        checkpoint=lambda: report.checkpoint(octave, before),
    )


def _outcome(end: _End, start: Pixels, finished: Pixels, settings: Settings) -> Outcome:
    """Return the picture as it is saved, with the losses of its rounded pixels."""
    saved = to_levels(finished)
    is_needed = settings.depth > 8 or settings.enlarge_result
    return Outcome(
        pixels=saved,
        losses=end.last.losses_of(from_levels(saved)),
        start_losses=end.last.losses_of(start),
        steps=end.totals.steps,
        evaluations=end.totals.evaluations,
        stop_reason=end.stop_reason,
        recoveries=end.totals.recoveries,
        unrounded=np.clip(finished, 0, 1) if is_needed else None,
    )


def _work_done(shapes: dict[int, tuple[int, int]], octave: int, share: float) -> float:
    areas = {index: height * width for index, (height, width) in shapes.items()}
    before = sum(area for index, area in areas.items() if index < octave)
    return (before + share * areas[octave]) / sum(areas.values())
