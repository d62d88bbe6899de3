"""The ladder of a row that needs more memory than there is: each rung needs less than the last.

A row begins on the first rung that fits by estimate. If memory cannot be allocated although it
should have fitted, the row goes on with the next rung.
"""

import gc
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from nst_core.devices import ProcessKilledError, is_allocation_failure, reserved_memory
from nst_core.errors import UserError
from nst_core.images.resize import fit
from nst_core.networks import CATALOGUE
from nst_core.networks.topology import Topology
from nst_core.transfer.memory import PAIRS, peak_memory
from nst_core.transfer.octaves import without_finest
from nst_core.transfer.settings import Settings
from nst_core.transfer.tiles.grid import Tiles, can_be_tiled, is_worth_it, layers_of
from tasks.job import Job

logger = logging.getLogger("nst_batch.rows")

Result = TypeVar("Result")


TILES = Tiles()

PROCESS_MB = 760
"""Resident memory of a run without its rows, most of it TensorFlow's (docs/benchmarks.md)."""

FEW_PAIRS = 3
"""How many earlier steps L-BFGS remembers if there is no memory for more."""


class NotEnoughMemoryError(MemoryError, UserError):
    """A row needs more memory than there is; the message says which size would fit."""


@dataclass(frozen=True)
class Rung:
    """One way to run a row.

    Attributes:
        left_out: how many of the finest octaves are left out; each halves the sides of the result.
        rematerialize: whether activations are computed twice instead of being kept.
        tiles: how it is computed tile by tile; None if the whole picture is computed at once.
    """

    left_out: int = 0
    rematerialize: bool = False
    tiles: Tiles | None = None

    def settings(self, job: Job) -> Settings:
        """Return the settings with which a row runs on this rung."""
        return without_finest(job.settings, job.shape, self.left_out)

    def shape(self, job: Job) -> tuple[int, int]:
        """Return height and width of a row's result on this rung, in pixels."""
        settings = self.settings(job)
        return fit(*job.content.shape, settings.size, enlarge=settings.enlarge)

    def degraded(self, job: Job) -> str:
        """Return how a row's result differs from what was asked for; empty if it does not."""
        parts = ["rematerialization"] if self.rematerialize else []
        if self.tiles:
            pairs = self.tiles.pairs
            few = (
                "" if pairs is None else f" and {pairs} instead of {PAIRS} steps in L-BFGS's memory"
            )
            parts.append(f"tiles{few}")
        if self.left_out:
            (height, width), (tall, wide) = self.shape(job), job.shape
            parts.append(f"{width} x {height} instead of {wide} x {tall}")
        return ", ".join(parts)


def rungs(job: Job, device: str = "CPU:0") -> Iterator[Rung]:
    """Yield the rungs of a row's ladder on a device, none of which needs more than those before.

    They go down to the smallest picture that the row's encoder takes.
    """
    least = math.inf
    for rung in _all_rungs(job):
        needed = needed_memory(job, device, rung)
        if needed <= least:
            yield rung
            least = needed


def _all_rungs(job: Job) -> Iterator[Rung]:
    """Yield all rungs of a row, in the order of preference."""
    settings, left_out = job.settings, 0
    topology = CATALOGUE[settings.encoder].topology
    smallest = topology.smallest_side(layers_of(settings))
    while not left_out or min(Rung(left_out).shape(job)) >= smallest:
        yield Rung(left_out)
        yield Rung(left_out, rematerialize=True)
        if is_worth_it(topology, settings, Rung(left_out).shape(job)):
            yield from (Rung(left_out, tiles=tiles) for tiles in _tiles(job, topology))
        left_out += 1


def _tiles(job: Job, topology: Topology) -> Iterator[Tiles]:
    """Yield the ways in which a row can be computed tile by tile."""
    is_frame = job.previous is not None
    if not job.content.mask.regions and can_be_tiled(topology, job.settings, is_frame=is_frame):
        yield TILES
        if job.settings.optimizer == "lbfgs":
            yield replace(TILES, pairs=FEW_PAIRS)


def needed_memory(job: Job, device: str, rung: Rung = Rung()) -> int:
    """Return the estimated peak memory of a row on a rung of its ladder, in bytes."""
    settings = rung.settings(job)
    topology = CATALOGUE[settings.encoder].topology.with_pooling(settings.pooling)
    is_gpu = device.startswith("GPU")
    return peak_memory(
        *(topology, settings, rung.shape(job)),
        on_gpu=is_gpu,
        rematerialize=rung.rematerialize,
        regions=job.content.mask.regions,
        tiles=rung.tiles,
        is_frame=job.previous is not None,
        file_shape=job.file_shape if settings.enlarge_result else None,
    )


def memory_mb(job: Job, device: str) -> int:
    """Return the estimated peak memory of a row in megabytes, as it will be in the table.

    On a CPU, this is that of the whole process.
    """
    process = 0 if device.startswith("GPU") else PROCESS_MB
    return round(process + needed_memory(job, device) / 1e6)


def within_memory(
    job: Job,
    device: str,
    run: Callable[[Rung], Result],
    *,
    strict: bool = False,
    isolated: bool = False,
) -> Result:
    """Run a row on the first rung of its ladder on which its memory suffices.

    Args:
        job: the job of the row.
        device: the device that it runs on.
        run: runs the row on a rung.
        strict: run it as it was asked for, or not at all.
        isolated: whether `run` runs it in the process of the device.

    Raises:
        NotEnoughMemoryError: the memory suffices on no rung.
    """
    tf32 = job.settings.allows_tf32
    ladder, failed = [Rung()] if strict else [*rungs(job, device)], ""
    while True:
        needed = [needed_memory(job, device, rung) for rung in ladder]
        with reserved_memory(device, needed, isolated=isolated, tf32=tf32) as (choice, free):
            if choice is None:
                break
            ladder = ladder[choice:]
            _warn_if_degraded(job, ladder[0], free)
            try:
                return run(ladder[0])
            except Exception as error:
                if not is_allocation_failure(error):
                    raise
                failed = _how_it_failed(job, error)
        # What the row held is free once the exception, whose traceback refers to it, is gone.
        gc.collect()
        ladder = ladder[1:]
        if not ladder:
            break
    raise NotEnoughMemoryError(_why(job, device, free, failed, strict=strict))


def _how_it_failed(job: Job, error: Exception) -> str:
    """Log how a row failed for lack of memory, and return it as a clause."""
    if isinstance(error, ProcessKilledError):
        logger.warning("%s: %s", job.output, error.found)
        return error.found
    logger.warning("%s: memory cannot be allocated: %s", job.output, _brief(error))
    return "it cannot be allocated"


def _brief(error: Exception) -> str:
    """Return the beginning of an error's message, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _warn_if_degraded(job: Job, rung: Rung, free: int | None) -> None:
    if how := rung.degraded(job):
        there = "" if free is None else f" ({_megabytes(free)} are free)"
        logger.warning("%s: degraded for lack of memory%s: %s", job.output, there, how)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"


def _why(job: Job, device: str, free: int | None, failed: str, *, strict: bool) -> str:
    """Return what a row found, what it needs, and what to do; `failed` is how it failed at last."""
    (height, width), needed = job.shape, needed_memory(job, device)
    expected = f"expected about {_megabytes(needed)} for {width} x {height} pixels"
    or_ladder = ", run the batch without strict" if strict else ""
    otherwise = f"{or_ladder}, or end other programs on {device}"
    if free is None or free >= needed:
        known = "" if free is None else f", although {_megabytes(free)} seemed to be free"
        found = f"found that {failed}{known}"
        return f"memory: {expected}, {found}; lower size{otherwise}"
    size = largest_size(job, device, free)
    advice = f"lower size to {size}, which would fit" if size else "no size would fit: add memory"
    return f"memory: found {_megabytes(free)} free, {expected}; {advice}{otherwise}"


def largest_size(job: Job, device: str, free: int) -> int | None:
    """Return the largest `size` with which a row would fit undegraded; None if there is none.

    Args:
        job: the job of the row.
        device: the device that it runs on.
        free: the bytes that it can allocate.
    """

    def fits(size: int) -> bool:
        settings = job.settings.model_copy(update={"size": size})
        return needed_memory(job.model_copy(update={"settings": settings}), device) <= free

    sizes = range(16, max(job.shape))
    low, high = 0, len(sizes)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if fits(sizes[middle]) else (low, middle)
    return sizes[low - 1] if low else None
