"""Rows that take their steps together: each gets what it gets alone, whatever the others do."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nst_core.transfer.optimization import together as module
from nst_core.transfer.optimization.checkpoint import Checkpoint
from nst_core.transfer.optimization.optimization import NotFiniteError
from nst_core.transfer.optimization.together import Together, reason_alone
from nst_core.transfer.pictures.frames import FrameBefore
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import Iterate, Outcome, finish, iterates
from nst_core.transfer.tiles.grid import Tiles
from tests.encoders import random_pixels, tiny_encoder

ENCODER = tiny_encoder()
LAYERS = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}
SETTINGS = Settings(size=70, steps=25, octaves=2, tolerance=0, **LAYERS)
ADAM = {"optimizer": "adam", "average": 0.9, "carry_state": True, "learning_rate_decay": "cosine"}
WEIGHTS = (0.05, 0.5, 5)

STILL = np.zeros((67, 70, 2), np.float32)
"""The flow of a frame in which nothing moves."""

Follow = Callable[[Iterate], None]


def row(
    index: int,
    settings: Settings,
    together: Together | None = None,
    follow: Follow | None = None,
    checkpoint: Checkpoint | None = None,
    kind: str = "plain",
) -> Outcome:
    """Stylize a row of this number, which decides its content, its style and its weights.

    It may have a mask, or be a frame after another one.
    """
    settings = settings.model_copy(update={"content_weight": WEIGHTS[index]})
    targets = style_targets(ENCODER, random_pixels(40, 48, 10 + index), settings)
    content = random_pixels(67, 70, index)
    steps = iterates(
        *(ENCODER, content, targets, settings),
        seed=index,
        content_mask=np.tri(67, 70, 20 * index, np.float32) if kind == "mask" else None,
        before=FrameBefore(content, content[::-1], STILL) if kind == "frame" else None,
        together=together,
        checkpoint=checkpoint,
    )
    return finish(steps, follow)


def same(left: Outcome, right: Outcome) -> bool:
    facts = ("losses", "start_losses", "steps", "evaluations", "stop_reason", "recoveries")
    equal = all(getattr(left, name) == getattr(right, name) for name in facts)
    return equal and bool(np.array_equal(left.pixels, right.pixels))


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows wait for each other for as long as it takes, so that nothing depends on time."""
    monkeypatch.setattr(module, "PATIENCE", 600)


def run_together(
    settings: Settings,
    together: Together,
    follows: tuple[Follow | None, ...] = (None,) * 3,
    kind: str = "plain",
) -> list[Future[Outcome]]:
    """Stylize all rows at the same time; none takes a step before all have begun."""
    begun = threading.Barrier(len(follows))

    def follow(index: int, iterate: Iterate) -> None:
        if iterate.step == 0 and iterate.octave == 1:
            begun.wait()
        if found := follows[index]:
            found(iterate)

    with ThreadPoolExecutor(len(follows)) as threads:
        return [
            threads.submit(row, index, settings, together, partial(follow, index), kind=kind)
            for index in range(len(follows))
        ]


@pytest.mark.parametrize("choices", [{}, ADAM, {"tolerance": 0.05}], ids=["lbfgs", "adam", "ends"])
def test_three_rows_get_the_same_bits_together_as_alone(choices: dict[str, Any]) -> None:
    settings = SETTINGS.model_copy(update=choices)
    together = Together(3)
    futures = run_together(settings, together)
    for index, future in enumerate(futures):
        assert same(future.result(), row(index, settings))
    assert together.largest_batch == 3


@pytest.mark.parametrize("kind", ["mask", "frame"])
def test_rows_with_masks_and_frames_get_the_same_bits_together(kind: str) -> None:
    settings = SETTINGS.model_copy(
        update={"steps": 15, "style_measure": "gram:1 moments:1", "normalize_gradients": True}
    )
    together = Together(3)
    for index, future in enumerate(run_together(settings, together, kind=kind)):
        assert same(future.result(), row(index, settings, kind=kind))
    assert together.largest_batch == 3
    assert not same(row(0, settings, kind=kind), row(0, settings))


def test_no_batch_has_more_rows_than_it_may() -> None:
    settings = SETTINGS.model_copy(update={"octaves": 1, "steps": 10})
    together = Together(2)
    for index, future in enumerate(run_together(settings, together)):
        assert same(future.result(), row(index, settings))
    assert together.largest_batch == 2
    with pytest.raises(ValueError, match="found 0 rows"):
        Together(0)


class StoppedError(Exception):
    pass


def test_a_row_that_is_stopped_leaves_the_others_as_they_are() -> None:
    def stop(iterate: Iterate) -> None:
        if iterate.step >= 10:
            raise StoppedError

    first, second, third = run_together(SETTINGS, Together(3), (None, stop, None))
    with pytest.raises(StoppedError):
        second.result()
    assert same(first.result(), row(0, SETTINGS))
    assert same(third.result(), row(2, SETTINGS))


def test_a_row_whose_loss_is_not_finite_leaves_the_others_as_they_are() -> None:
    too_much = SETTINGS.model_copy(update={"style_weight": 3e38})
    together = Together(3)
    with ThreadPoolExecutor(3) as threads:
        futures = [
            threads.submit(row, index, settings, together)
            for index, settings in enumerate((SETTINGS, too_much, SETTINGS))
        ]
    with pytest.raises(NotFiniteError):
        futures[1].result()
    assert same(futures[0].result(), row(0, SETTINGS))
    assert same(futures[2].result(), row(2, SETTINGS))


@pytest.mark.parametrize("choices", [{}, ADAM], ids=["lbfgs", "adam"])
def test_a_checkpoint_of_a_row_among_others_continues_alone_and_the_other_way_round(
    choices: dict[str, Any],
) -> None:
    settings = SETTINGS.model_copy(update=choices)
    found: dict[str, Checkpoint] = {}

    def keep(name: str, iterate: Iterate) -> None:
        if iterate.octave == 2 and iterate.step_of_octave == 10:
            data = iterate.checkpoint().to_bytes()
            found[name] = Checkpoint.from_bytes(data)[0]

    among_others = Together(3)
    follows = (lambda it: keep("among others", it), None, None)
    for future in run_together(settings, among_others, follows):
        future.result()
    expected = row(0, settings, follow=lambda it: keep("alone", it))
    assert among_others.largest_batch == 3
    assert same(row(0, settings, checkpoint=found["among others"]), expected)
    together = Together(2)
    with ThreadPoolExecutor(2) as threads:
        continued = threads.submit(row, 0, settings, together, checkpoint=found["alone"])
        other = threads.submit(row, 1, settings, together)
    assert same(continued.result(), expected)
    assert same(other.result(), row(1, settings))


class Failing:
    """Functions that add to a number, and whose batches of more than `most` rows fail."""

    def __init__(self, error: Exception, most: int) -> None:
        self.error, self.most, self.sizes = error, most, list[int]()

    def advance(self, state: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        return state + tf.cast(steps, tf.float32)

    def advance_rows(self, states: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        self.sizes.append(len(states))
        if len(states) > self.most:
            raise self.error
        return self.advance(states, steps)


OUT_OF_MEMORY = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize(
    ("error", "most", "sizes", "left"),
    [
        (OUT_OF_MEMORY, 2, [4, 2, 2], 2),
        (MemoryError(), 1, [4, 2], 1),
        (ValueError("No pfor vectorization defined"), 0, [4], 1),
    ],
    ids=["memory", "more memory", "another error"],
)
def test_a_batch_that_fails_is_split_and_its_rows_go_on(
    error: Exception,
    most: int,
    sizes: list[int],
    left: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    functions, together = Failing(error, most), Together(4)
    compiled: Any = SimpleNamespace(advance=functions.advance, advance_rows=functions.advance_rows)
    begun = threading.Barrier(4)

    def steps_of_a_row(number: int) -> float:
        state = tf.constant(float(number))
        with together.joined():
            begun.wait()
            for _ in range(2):
                state = together.advance(compiled, state, tf.constant(10))
                begun.wait()
        return float(state)

    with ThreadPoolExecutor(4) as threads:
        found = [*threads.map(steps_of_a_row, range(4))]
    assert found == [20.0, 21.0, 22.0, 23.0]
    assert functions.sizes == sizes
    assert together.most == left
    assert "4 rows cannot take their steps together, and go on alone" in caplog.text


def test_rows_of_other_forms_and_those_that_do_something_else_are_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    functions, together = Failing(OUT_OF_MEMORY, 4), Together(4)
    compiled: Any = SimpleNamespace(advance=functions.advance, advance_rows=functions.advance_rows)
    with together.joined(), together.joined():  # another row, which never takes a step
        found = together.advance(compiled, tf.constant(1.0), tf.constant(10))
        assert float(found) == 11
        with ThreadPoolExecutor(2) as threads:
            states = [tf.constant(1.0), tf.constant([1.0, 2.0])]
            both = threads.map(lambda it: together.advance(compiled, it, tf.constant(1)), states)
            assert [np.asarray(it).tolist() for it in both] == [2.0, [2.0, 3.0]]
    assert functions.sizes == []


def test_the_reasons_for_steps_alone() -> None:
    assert reason_alone(SETTINGS) == reason_alone(SETTINGS, on_gpu=True) == ""
    assert "tile by tile" in reason_alone(SETTINGS, tiles=Tiles(64))
    assert "computed again" in reason_alone(SETTINGS, rematerialize=True)
    renewing = SETTINGS.model_copy(update={"style_measure": "gram:1 neighbors:1"})
    assert "neighbors are renewed" in reason_alone(renewing)
    sorting = SETTINGS.model_copy(update={"style_measure": "gram:1 sliced:1"})
    assert reason_alone(sorting) == ""
    assert "sliced sorts" in reason_alone(sorting, on_gpu=True)


def test_a_row_with_a_reason_to_be_alone_is_in_no_batch() -> None:
    settings = SETTINGS.model_copy(update={"style_measure": "neighbors", "octaves": 1, "steps": 10})
    together = Together(3)
    for index, future in enumerate(run_together(settings, together)):
        assert same(future.result(), row(index, settings))
    assert together.largest_batch == 0
