"""Large arrays in the computer's memory, worked on strip by strip and in place.

An optimizer in TensorFlow holds several copies of its state, because tensors never change. Of
pictures for print, each copy takes gigabytes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.optimizers.descent import RUNNING, Evaluation

Array = NDArray[np.float32]
Objective = Callable[[Array], Evaluation]
"""A function of a picture, whose evaluation contains a new array and NumPy scalars."""

STRIP = 1 << 18
"""Numbers that are worked on at a time."""


def strips(size: int) -> Iterator[slice]:
    """Yield slices that cover an array of this size."""
    yield from (slice(begin, begin + STRIP) for begin in range(0, size, STRIP))


def flat(array: Array) -> Array:
    """Return the same numbers in one dimension, as a view."""
    view = array.reshape(-1)
    assert view.base is not None or view is array
    return view


def owned(state: Any) -> Any:
    """Return a state with NumPy arrays that may be changed; what is one already is not copied."""

    def own(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.flags.writeable and value.flags.c_contiguous:
            return value
        return np.array(value)

    return tf.nest.map_structure(own, state)


def repeat(step: Callable[[Any], Any], state: Any, steps: int) -> Any:
    """Return the state after up to this many steps, which change its arrays.

    This is `descent.repeat` for such arrays.

    Args:
        step: function from a state, whose arrays it may change, to the next.
        state: the state to begin with; a state has a `status`.
        steps: fewer are taken if the status stops being `RUNNING`.
    """
    state = owned(state)
    for _ in range(steps):
        if state.status != RUNNING:
            break
        state = step(state)
    return state


def is_finite(evaluation: Evaluation) -> bool:
    """Return whether the value and the whole gradient are finite."""
    gradient = flat(evaluation.gradient)
    parts = (gradient[part] for part in strips(gradient.size))
    return bool(np.isfinite(evaluation.value)) and all(np.isfinite(part).all() for part in parts)


def finite_or_infinity(evaluation: Evaluation) -> np.float32:
    """Return the value if the evaluation is finite, or else infinity, above any other value."""
    return np.float32(evaluation.value if is_finite(evaluation) else np.inf)
