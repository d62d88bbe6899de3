"""Rows that run at the same time, each in a thread of its own, and take their steps as one batch.

A row stays what it is alone: it has its own losses, stops, recoveries, checkpoints and errors. Only
the optimizer's steps are taken together, by rows whose tensors have the same form: pictures of the
same size, with the same encoder, optimizer, layers and kinds of losses. The rows of a batch may be
others at each report, and a row never waits long for one that does something else.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.optimization.compiled import Compiled
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.tiles.grid import Tiles

logger = logging.getLogger("nst_batch.together")

PATIENCE = 0.5
"""The most seconds for which a row waits for others that do something else, such as saving."""


SORTING = ("sliced", "histogram")
"""Style losses that sort; TensorFlow cannot apply the gradient of sorting to all rows at once."""


def reason_alone(
    settings: Settings,
    *,
    on_gpu: bool = False,
    rematerialize: bool = False,
    tiles: Tiles | None = None,
) -> str:
    """Return why a row takes its steps alone, whatever other rows there are; empty if it does not.

    Args:
        settings: how the row is stylized.
        on_gpu: whether it runs on a GPU.
        rematerialize, tiles: as in `stylize.iterates`.
    """
    if tiles:
        return "it is computed tile by tile"
    if rematerialize:
        return "its activations are computed again instead of being kept"
    if renewed := [name for name in settings.style_loss_weights if _is_renewed(name)]:
        return f"the targets of its style loss {renewed[0]} are renewed every few steps"
    if on_gpu and (sorting := [name for name in SORTING if name in settings.style_loss_weights]):
        return f"its style loss {sorting[0]} sorts, which a GPU cannot do for several rows at once"
    return ""


def _is_renewed(name: str) -> bool:
    return name in STYLE_LOSSES and STYLE_LOSSES[name].renewed is not None


@dataclass(eq=False)
class _Call:
    """A row's request for steps."""

    compiled: Compiled
    arguments: tuple[Any, ...]
    form: Any
    begun: float
    is_alone: bool = False
    is_done: bool = False
    state: Any = None

    @classmethod
    def of(cls, compiled: Compiled, arguments: tuple[Any, ...]) -> "_Call":
        form = tf.nest.map_structure(lambda tensor: (tensor.shape, tensor.dtype), arguments)
        return cls(compiled, arguments, form, time.monotonic())

    def fits(self, other: "_Call") -> bool:
        """Return whether the two rows can take steps together."""
        is_one = self is other
        are_free = not (self.is_alone or other.is_alone)
        return is_one or (
            are_free and self.compiled is other.compiled and bool(self.form == other.form)
        )


class Together:
    """Rows on one device that take their steps together, if they fit to each other.

    Every row runs in its own thread, and is given the same object (`stylize.iterates`). On a CPU,
    a row's picture has the same bits as alone; on a GPU, the last bits differ (`batch`).

    Args:
        most: the most rows in a batch, whose memory is about the sum of what they take alone.

    Attributes:
        most: the same, or fewer if a batch has failed for lack of memory; 1 if it failed otherwise.
        largest_batch: the most rows that were in a batch so far.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"found {most} rows that run together; expected at least 1")
        self.most = most
        self.largest_batch = 0
        self._changed = threading.Condition()
        self._waiting: list[_Call] = []
        self._rows, self._is_busy = 0, False

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Let other rows wait for this one, as long as the context lasts."""
        with self._changed:
            self._rows += 1
        try:
            yield
        finally:
            with self._changed:
                self._rows -= 1
                self._changed.notify_all()

    def advance(self, compiled: Compiled, *arguments: Any) -> Any:
        """Return what `Compiled.advance` returns for a row, which may be in a batch with others.

        Args:
            compiled: the functions of the row's octave.
            arguments: those of `Compiled.advance`.

        Raises:
            Exception: whatever the row raises alone. An error of a batch only ends the batch.
        """
        call = _Call.of(compiled, arguments)
        while not call.is_done:
            batch = self._next_batch(call)
            if batch == [call]:
                with self._turn(batch):
                    return compiled.advance(*arguments)
            if batch:
                with self._turn(batch):
                    self._advance_all(batch)
        return call.state

    def _next_batch(self, call: _Call) -> list[_Call]:
        """Wait until a row may begin with a batch, or until others are done with its steps."""
        with self._changed:
            self._waiting.append(call)
            self._changed.notify_all()
            while not call.is_done:
                left = call.begun + PATIENCE - time.monotonic()
                fitting = [other for other in self._waiting if call.fits(other)]
                everyone = len(self._waiting) >= self._rows or len(fitting) >= self.most
                is_idle = not self._is_busy and call in self._waiting
                if is_idle and (everyone or left <= 0 or call.is_alone):
                    others = [other for other in fitting if other is not call]
                    batch = [call, *others[: self.most - 1]]
                    self._waiting = [other for other in self._waiting if other not in batch]
                    self._is_busy = True
                    return batch
                self._changed.wait(max(left, 0) if is_idle else None)
        return []

    @contextmanager
    def _turn(self, batch: list[_Call]) -> Iterator[None]:
        """Leave the device to others at the end; rows that are not done then go on alone."""
        try:
            yield
        finally:
            with self._changed:
                self._is_busy = False
                for call in batch:
                    call.is_alone = not call.is_done
                self._waiting += [call for call in batch[1:] if not call.is_done]
                self._changed.notify_all()

    def _advance_all(self, batch: list[_Call]) -> None:
        """Set the states of the rows of a batch; if it fails, they stay without, and are told."""
        columns = zip(*(call.arguments for call in batch), strict=True)
        try:
            stacked = [
                tf.nest.map_structure(lambda *rows: tf.stack(rows), *column) for column in columns
            ]
            states = batch[0].compiled.advance_rows(*stacked)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - each row then raises its own error, if it has one
            is_memory = isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError))
            self.most = max(1, len(batch) // 2) if is_memory else 1
            logger.warning(
                "%d rows cannot take their steps together, and go on alone: %s", len(batch), error
            )
            return
        self.largest_batch = max(self.largest_batch, len(batch))
        for index, call in enumerate(batch):
            call.state = tf.nest.map_structure(lambda of_all: of_all[index], states)  # noqa: B023
            call.is_done = True
