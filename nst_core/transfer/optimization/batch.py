"""Steps of several rows at once, by each row's own optimizer.

The tensors of a batch have an axis of rows in front. The parts of a step (`descent`) are written
for one row, and applied to each row, so that no row depends on others. A row that has ended, or
that has found its step, stays as it is while others go on.

* On a CPU, each row has the operations that it has alone, so it gets the same bits. A CPU that has
  more cores than a small picture can use works on several rows.
* On a GPU, the encoder runs once for the pictures of all rows, and everything else is done by few
  large operations. Sums then have another order than alone, so the last bits differ, and with them,
  after many steps, the pictures: a change of 1e-7 in the picture that an optimization starts from
  changes most pixels of its result by more than one level.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import activations_of_pictures
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.losses.losses import LossTerms, tapped_layers
from nst_core.transfer.optimizers.descent import Evaluation, Objective, Part, answered

Features = dict[str, tf.Tensor]


class _Batch:
    """What both kinds of batches share of `descent.Rows`."""

    def any(self, conditions: tf.Tensor) -> tf.Tensor:
        """Return whether any row meets its condition."""
        return tf.reduce_any(conditions)

    def kept(self, conditions: Callable[[], tf.Tensor], after: Any, before: Any) -> Any:
        """Return what is after a step for rows that meet their condition, or else before it."""
        met = conditions()

        def chosen(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
            of_row = tf.reshape(met, [-1, *[1] * (old.shape.rank - 1)])
            return tf.ensure_shape(tf.where(of_row, new, old), old.shape)

        return tf.nest.map_structure(chosen, after, before)


@dataclass(frozen=True)
class RowByRow(_Batch):
    """A batch in which each row has the operations that it has alone.

    Attributes:
        objective_of: returns the objective of one row, from its own part of `data`.
        data: structures of tensors of all rows, such as targets and weights.
    """

    objective_of: Callable[..., Objective]
    data: tuple[Any, ...]

    def each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return a function's result for each row; rows do not wait for each other."""
        of_row = tf.nest.map_structure(lambda it: tf.TensorSpec(it.shape[1:], it.dtype), arguments)
        traced = tf.function(function, autograph=False).get_concrete_function(*of_row)
        form = tf.nest.map_structure(
            lambda it: tf.TensorSpec(it.shape, it.dtype), traced.structured_outputs
        )
        return tf.map_fn(lambda row: function(*row), arguments, fn_output_signature=form)

    def once(self, part: Part, *arguments: Any) -> Any:
        """Return the result of a part of a step for each row."""

        def of_row(data: tuple[Any, ...], *row: Any) -> Any:
            return answered(part(*row), self.objective_of(*data))

        return self.each(of_row, self.data, *arguments)


@dataclass(frozen=True)
class AtOnce(_Batch):
    """A batch in which the encoder runs once for all rows.

    Attributes:
        encoder: the feature network.
        terms: returns the losses of a row from its pixels, targets, weights and activations.
        targets, weights: of all rows.
    """

    encoder: Encoder
    terms: Callable[..., LossTerms]
    targets: Any
    weights: Any

    def each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return a function's result for each row, by operations on all rows."""
        return tf.vectorized_map(
            lambda row: function(*row), arguments, fallback_to_while_loop=False
        )

    def once(self, part: Part, *arguments: Any) -> Any:
        """Return the result of a part of a step for each row, with one run of the encoder."""
        points = self.each(lambda *row: next(part(*row)), *arguments)
        with tf.GradientTape() as tape:
            tape.watch(points)
            layers = tapped_layers(self.targets)
            features = activations_of_pictures(self.encoder, points, layers)
        known = (points, features, self.targets, self.weights)
        terms, of_pixels, of_features = self.each(self._gradients, *known)
        gradient = of_pixels + tape.gradient(features, points, of_features)
        evaluations = Evaluation(terms.total, gradient, terms)
        return self.each(
            lambda found, *row: answered(part(*row), lambda _: found), evaluations, *arguments
        )

    def _gradients(
        self, pixels: tf.Tensor, features: Features, targets: Any, weights: Any
    ) -> tuple[LossTerms, tf.Tensor, Features]:
        """Return a row's losses, and the gradients of the total for its pixels and features."""
        with tf.GradientTape() as tape:
            tape.watch((pixels, features))
            terms = self.terms(pixels, targets, weights, features)
        return terms, *tape.gradient(
            terms.total, (pixels, features), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
