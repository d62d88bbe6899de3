"""Checkpoints: a stylization that continues from any of them ends with the same bits."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from nst_core.storage.files import write_atomic_parts
from nst_core.transfer.optimization.checkpoint import Checkpoint, CheckpointError
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import Iterate, Outcome, iterates
from tests.encoders import random_pixels, tiny_encoder

ENCODER = tiny_encoder()
LAYERS = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}
SETTINGS = Settings(size=64, steps=25, octaves=2, tolerance=0, **LAYERS)
CONTENT, STYLE = random_pixels(64, 64, 1), random_pixels(40, 48, 2)


def run(
    settings: Settings = SETTINGS, checkpoint: Checkpoint | None = None
) -> tuple[list[Iterate], Outcome]:
    """Return the iterates and the outcome of a stylization."""
    targets = style_targets(ENCODER, STYLE, settings)
    steps = iterates(ENCODER, CONTENT, targets, settings, seed=3, checkpoint=checkpoint)
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as stop:
            return found, stop.value


def facts(iterate: Iterate) -> tuple[Any, ...]:
    """Return all that an iterate says, as values that can be compared."""
    shown = replace(iterate, pixels=iterate.pixels.tobytes(), checkpoint=None)  # type: ignore[arg-type]
    return astuple(shown)


def same(left: Sequence[Iterate], right: Sequence[Iterate]) -> bool:
    return [*map(facts, left)] == [*map(facts, right)]


def after_storage(checkpoint: Checkpoint) -> Checkpoint:
    return Checkpoint.from_bytes(checkpoint.to_bytes())[0]


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        SETTINGS.model_copy(update={"optimizer": "adam", "best_of_every": 3}),
        SETTINGS.model_copy(update={"start": "noise", "clip": "end", "tolerance": 0.05}),
        SETTINGS.model_copy(
            update={
                "optimizer": "adam",
                "average": 0.9,
                "carry_state": True,
                "learning_rate_decay": "cosine",
                "color": "content",
                "start_blend": 0.2,
                "normalize_gradients": True,
            }
        ),
    ],
    ids=["lbfgs", "adam", "noise", "controls"],
)
def test_it_continues_to_the_same_bits_from_every_iterate(settings: Settings) -> None:
    undisturbed, outcome = run(settings)
    assert {iterate.octave for iterate in undisturbed} == {1, 2}
    for number, iterate in enumerate(undisturbed, 1):
        rest, again = run(settings, after_storage(iterate.checkpoint()))
        assert same(rest, undisturbed[number:])
        assert again.pixels.tobytes() == outcome.pixels.tobytes()
        assert astuple(replace(again, pixels=0)) == astuple(replace(outcome, pixels=0))


def test_notes_come_back() -> None:
    checkpoint = run()[0][1].checkpoint()
    _, notes = Checkpoint.from_bytes(checkpoint.to_bytes('a note: "ä"\n'))
    assert notes == 'a note: "ä"\n'


def test_it_is_a_copy() -> None:
    iterate = run()[0][1]
    first = iterate.checkpoint().to_bytes()
    assert iterate.checkpoint().to_bytes() == first


def test_it_is_a_safetensors_file_whose_parts_share_the_memory_of_the_arrays(
    tmp_path: Path,
) -> None:
    checkpoint = run()[0][1].checkpoint()
    found = safetensors.numpy.load(checkpoint.to_bytes("a note"))
    for index, array in enumerate(checkpoint.arrays):
        np.testing.assert_array_equal(found[str(index)], array)
        assert found[str(index)].dtype == array.dtype
    largest = max(checkpoint.arrays, key=lambda array: array.size)
    shared = [np.shares_memory(largest, np.frombuffer(it, np.uint8)) for it in checkpoint.parts()]
    assert any(shared)
    write_atomic_parts(tmp_path / "x", checkpoint.parts())
    assert (tmp_path / "x").read_bytes() == checkpoint.to_bytes()


@pytest.mark.parametrize("position", [0, 7, 100, -1])
def test_damaged_data_is_refused(position: int) -> None:
    data = bytearray(run()[0][1].checkpoint().to_bytes())
    data[position] ^= 0x55
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(bytes(data))


@pytest.mark.parametrize("length", [0, 5, 1000])
def test_torn_data_is_refused(length: int) -> None:
    data = run()[0][1].checkpoint().to_bytes()
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(data[:length])


@pytest.mark.parametrize(
    "others",
    [
        {"optimizer": "adam"},
        {"size": 48},
        {"octaves": 1},
        {"style_layers": "relu1_1"},
    ],
    ids=lambda others: next(iter(others)),
)
def test_that_of_another_stylization_is_refused(others: dict[str, Any]) -> None:
    last = run()[0][-2].checkpoint()
    with pytest.raises(CheckpointError, match="found"):
        run(SETTINGS.model_copy(update=others), last)


def test_arrays_of_other_types_are_refused() -> None:
    checkpoint = run()[0][1].checkpoint()
    arrays = [np.asarray(array, np.float64) for array in checkpoint.arrays]
    with pytest.raises(CheckpointError):
        run(checkpoint=replace(checkpoint, arrays=arrays))
