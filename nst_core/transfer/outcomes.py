"""What a stylization yields on its way, and what it returns in the end."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nst_core.images.pixels import Pixels
from nst_core.images.saving import WithPicture
from nst_core.transfer.losses.terms import Losses
from nst_core.transfer.optimization.checkpoint import Checkpoint


@dataclass(frozen=True)
class Iterate(WithPicture):
    """The best picture so far, to be shown, or for a progress bar.

    Like an `Outcome`, it has `image`, a Pillow image, and `save(path)`.

    Attributes:
        octave, octaves: number of the current octave, from 1, and of all octaves.
        step, steps: steps done and planned, over all octaves; an octave that ends early skips some.
        step_of_octave: steps done at this octave's size.
        work_done: share of all work, from 0 to 1; a step counts by its number of pixels.
        evaluations: number of evaluations of loss and gradient so far.
        losses: losses of `pixels`, at this octave's size.
        pixels: sRGB in [0, 1], float32, (height, width, 3) of this octave.
        checkpoint: returns a copy of the optimization's state, from which `iterates` continues.
    """

    octave: int
    octaves: int
    step: int
    steps: int
    step_of_octave: int
    work_done: float
    evaluations: int
    losses: Losses
    pixels: Pixels
    checkpoint: Callable[[], Checkpoint] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Outcome(WithPicture):
    """A finished picture and the facts to report about it.

    Its pixels are also a Pillow image, `image`, and `save(path)` saves them.

    Attributes:
        pixels: sRGB, uint8, (height, width, 3): what is saved.
        losses: losses of exactly these 8-bit pixels.
        start_losses: losses of the picture that the optimization started from, at the result's
            size.
        steps, evaluations: totals over all octaves.
        stop_reason: why the last octave ended: `steps` (all done), `plateau`, `converged` (no
            step lowers the loss), `diverged` (a loss was not finite a second time; the result is
            the best picture) or `budget` (`is_enough` said so; the result is the best picture).
        recoveries: how often the optimization went back to its best picture because a loss was not
            finite.
        unrounded: the pixels before they were rounded, sRGB in [0, 1], float32, if the settings ask
            for a depth of 16 bits or an enlarged result; None otherwise.
    """

    pixels: NDArray[np.uint8]
    losses: Losses
    start_losses: Losses
    steps: int
    evaluations: int
    stop_reason: str
    recoveries: int
    unrounded: Pixels | None = None

    @property
    def finest(self) -> Pixels | NDArray[np.uint8]:
        """The pixels before they were rounded, if the settings had a depth of 16 bits."""
        return self.pixels if self.unrounded is None else self.unrounded
