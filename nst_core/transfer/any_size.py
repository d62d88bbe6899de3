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


def _without_count(tensor: tf.Tensor) -> tf.TensorSpec:
    """Turn (rows, ...) into (any, ...), and the rest into what `_without_size` turns it into."""
    of_row = _without_size(tensor[0])
    return tf.TensorSpec([None, *of_row.shape], tensor.dtype)


@dataclass(frozen=True)
class AnySize:
    """A function that is compiled for pictures of unknown height and width from the start.

    By default, TensorFlow compiles once for the first shape and once more for all others, which
    takes twice as much time and memory.
    """

    traced: Any
    form: Callable[[tf.Tensor], tf.TensorSpec] = _without_size

    @classmethod
    def of(cls, function: Callable[..., Any], *, of_rows: bool = False) -> "AnySize":
        """Return the function, which is compiled when it is first called.

        Args:
            function: of tensors, or structures of tensors.
            of_rows: whether all tensors have an axis of rows in front, which may be of any length.
        """
        # Our graphs branch and loop with TensorFlow's own functions. Autograph would spend half of
        # the time on looking for Python statements and translating them.
        return cls(
            tf.function(function, autograph=False), _without_count if of_rows else _without_size
        )

    def __call__(self, *arguments: Any) -> Any:
        """Return the function's result; arguments are tensors, or structures of tensors."""
        specifications = tf.nest.map_structure(self.form, arguments)
        return self.traced.get_concrete_function(*specifications)(*arguments)
