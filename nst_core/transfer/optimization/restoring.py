"""The state of an optimizer from a checkpoint."""

from collections.abc import Sequence
from typing import Any

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.losses.losses import LossTerms
from nst_core.transfer.optimization.checkpoint import Checkpoint, CheckpointError
from nst_core.transfer.optimizers.descent import Best
from nst_core.transfer.optimizers.lbfgs import Lbfgs
from nst_core.transfer.optimizers.optimizers import Optimizer
from nst_core.transfer.settings import Settings


def restored(
    checkpoint: Checkpoint,
    optimizer: Optimizer,
    terms: Sequence[str],
    settings: Settings,
    shape: tuple[int, int],
) -> Any:
    """Return the optimizer's state from a checkpoint.

    Args:
        checkpoint: where to continue.
        optimizer: that of the row.
        terms: the names of the terms that the row has.
        settings: name the style layers.
        shape: height and width of the octave.

    Raises:
        CheckpointError: the checkpoint belongs to another optimizer, shape or network.
    """
    none: dict[str, Any] = dict.fromkeys(optimizer.State._fields, 0)
    losses = LossTerms(
        total=0,
        terms=dict.fromkeys(terms, 0),
        style_layers=dict.fromkeys(settings.style_layer_weights, 0),
    )
    form = optimizer.State(**none | {"best": Best(0, 0, losses)})
    try:
        state = tf.nest.pack_sequence_as(form, [*map(tf.constant, checkpoint.arrays)])
    except ValueError as error:
        raise CheckpointError(f"found {len(checkpoint.arrays)} arrays: {error}") from error
    found, expected = tuple(state.best.point.shape), (*shape, 3)
    if found != expected:
        raise CheckpointError(f"found a picture of shape {found}, expected {expected}")
    if isinstance(optimizer, Lbfgs):
        history = (optimizer.memory, *expected)
        if (kept := tuple(state.position_deltas.shape)) != history:
            raise CheckpointError(f"found a history of shape {kept}, expected {history}")
    if others := {array.dtype.name for array in checkpoint.arrays} - {"float32", "int32"}:
        raise CheckpointError(f"found {others.pop()}, expected float32 and int32")
    return state
