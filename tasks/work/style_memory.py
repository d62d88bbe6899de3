"""The memory of one style's targets: large styles are computed tile by tile if they must be."""

import logging
from collections.abc import Callable
from typing import TypeVar

from nst_core.images.resize import fit
from nst_core.networks import CATALOGUE
from nst_core.transfer.memory import style_memory
from nst_core.transfer.octaves import style_sides
from nst_core.transfer.tiles.grid import Tiles, is_worth_it, style_can_be_tiled
from tasks.job import Job, JobStyle

logger = logging.getLogger("nst_batch.style_targets")

Result = TypeVar("Result")


def within_style_memory(
    job: Job,
    style: JobStyle,
    device: str,
    compute: Callable[[Tiles | None], Result],
    *,
    isolated: bool = False,
) -> Result:
    """Compute a style's targets at once, or tile by tile if memory does not suffice for that.

    The targets are the same, except for rounding. Styles that are not much larger than a tile,
    whose losses are not sums over positions, or that have several pictures, rotations or a mask,
    are always computed at once.

    Args:
        job: a row that needs the targets.
        style: one of its styles.
        device: the device that they are computed on.
        compute: computes them with these tiles, or at once.
        isolated: whether `compute` does so in the process of the device.
    """
    from nst_core.devices import reserved_memory

    settings, topology = job.settings, CATALOGUE[job.settings.encoder].topology
    shape = fit(*style.pictures[0].shape, max(style_sides(settings)))
    # With `alpha_mask`, only the picture itself shows whether it has a mask.
    may_have_mask = job.style_mask.place is not None or settings.alpha_mask
    is_plain = len(style.pictures) == settings.style_rotations == 1 and not may_have_mask
    can_be_tiled = is_plain and style_can_be_tiled(topology, settings)
    if not (can_be_tiled and is_worth_it(topology, settings, shape)):
        return compute(None)
    ways, on_gpu = (None, Tiles()), device.startswith("GPU")
    needed = [style_memory(topology, settings, shape, on_gpu=on_gpu, tiles=how) for how in ways]
    with reserved_memory(device, needed, isolated=isolated, tf32=settings.allows_tf32) as (
        choice,
        _,
    ):
        # If even tiles may not fit, they are tried, because a style has no smaller size.
        tiles = ways[-1 if choice is None else choice]
        if tiles:
            logger.info("style %s: computed tile by tile, to save memory", style.name)
        return compute(tiles)
