"""The optimizer that settings choose."""

import math

from nst_core.transfer.optimizers.adam import Adam
from nst_core.transfer.optimizers.extended_adam import ExtendedAdam
from nst_core.transfer.optimizers.lbfgs import Lbfgs
from nst_core.transfer.optimizers.learning_rate import is_extended
from nst_core.transfer.settings import Settings

Optimizer = Lbfgs | Adam


def optimizer_of(settings: Settings, pairs: int | None = None) -> Optimizer:
    """Return the optimizer that these settings choose.

    Args:
        settings: how to stylize.
        pairs: how many earlier steps L-BFGS remembers; None for as many as usual.
    """
    lower, upper = (0.0, 1.0) if settings.clip == "always" else (-math.inf, math.inf)
    if settings.optimizer == "lbfgs":
        return Lbfgs(lower, upper) if pairs is None else Lbfgs(lower, upper, memory=pairs)
    adam = Adam(lower, upper, beta_2=settings.beta_2, best_of_every=settings.best_of_every)
    return ExtendedAdam(**vars(adam), average=settings.average) if is_extended(settings) else adam
