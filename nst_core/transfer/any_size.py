"""Compilation of functions for pictures of any height and width."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nst_core.quiet_tensorflow import tf


def _without_size(tensor: tf.Tensor) -> tf.TensorSpec:
    """Turn (..., height, width, channels) into (..., any, any, channels); keep lower ranks."""
    shape = tensor.shape.as_list()
    if len(shape) >= 3:
        shape[-3:-1] = [None, None]
    return tf.TensorSpec(shape, tensor.dtype)


@dataclass(frozen=True)
class AnySize:
    """A function that is compiled for pictures of unknown height and width from the start.

    By default, TensorFlow compiles once for the first shape and once more for all others, which
    takes twice as much time and memory.
    """

    traced: Any

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "AnySize":
        """Return the function, which is compiled when it is first called."""
        # Our graphs branch and loop with TensorFlow's own functions. Autograph would spend half of
        # the time on looking for Python statements and translating them.
        return cls(tf.function(function, autograph=False))

    def __call__(self, *arguments: Any) -> Any:
        """Return the function's result; arguments are tensors, or structures of tensors."""
        specifications = tf.nest.map_structure(_without_size, arguments)
        return self.traced.get_concrete_function(*specifications)(*arguments)
