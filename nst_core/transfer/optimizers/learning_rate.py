"""Step sizes of the optimizers, with Adam's schedules, and which settings need more than Adam.

This module loads no TensorFlow.
"""

import math

from nst_core.transfer.settings import Settings

FIRST_LBFGS_STEP = 0.05
SMALLER_STEP = 0.1
"""The most by which L-BFGS's first step changes a pixel, and the factor of any optimizer's step
after a recovery."""


def step_size(settings: Settings, recoveries: int, done: float) -> float:
    """Return the step size of an optimizer at a moment of an octave.

    Args:
        settings: the optimizer, its learning rate and its schedule.
        recoveries: how often the octave went back to its best picture.
        done: the share of the octave's steps that are done, from 0 to 1.
    """
    factor = SMALLER_STEP**recoveries
    if settings.optimizer == "lbfgs":
        return FIRST_LBFGS_STEP * factor
    return settings.learning_rate * factor * _share(settings, done)


def has_schedule(settings: Settings) -> bool:
    """Return whether the step size changes during an octave."""
    return settings.optimizer == "adam" and settings.learning_rate_decay != "constant"


def is_extended(settings: Settings) -> bool:
    """Return whether these settings need `ExtendedAdam`."""
    return settings.optimizer == "adam" and (settings.average > 0 or settings.carry_state)


def _share(settings: Settings, done: float) -> float:
    """Return the share of the learning rate: 1 at the beginning, unless it is constant."""
    end = settings.learning_rate_end
    if settings.learning_rate_decay == "exponential":
        return float(end**done)
    if settings.learning_rate_decay == "cosine":
        return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2
    return 1.0
