"""The tool that learns the compact encoder, here its first layers from few patches."""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import safetensors.numpy

from nst_core.networks.compact import layers
from nst_core.networks.topology import Convolution

TOOL = Path(__file__).parents[3] / "tools" / "learn_compact.py"


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the tool as a module, with three layers; the others would take minutes."""
    specification = importlib.util.spec_from_file_location("learn_compact", TOOL)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "learn_compact", module)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "TOPOLOGY", module.TOPOLOGY[:3])
    return module


def learn(learner: ModuleType, output: Path, seed: int) -> bytes:
    few = ["--crops", "6", "--patches", "900", "--rounds", "2"]
    learner.main([*few, "--seed", str(seed), "--output", str(output)])
    return output.read_bytes()


@pytest.mark.nights
def test_the_same_seed_gives_the_same_bytes(learner: ModuleType, tmp_path: Path) -> None:
    first, second = learn(learner, tmp_path / "a", 1), learn(learner, tmp_path / "b", 1)
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert learn(learner, tmp_path / "c", 2) != first


def test_units_respond_to_as_many_patches_as_the_recipe_says(
    learner: ModuleType,
) -> None:
    recipe = learner.Recipe(crops=6, patches=2000, rounds=2)
    paths = learner.photographs_of_scikit_image()
    crops = learner.draw_crops(paths, recipe, np.random.default_rng(0))
    assert crops.min() >= 0
    assert crops.max() <= 1
    _, kernel, bias = next(learner.learn(crops, learner.TOPOLOGY, recipe))
    responses = learner.convolve(crops, kernel, bias)
    assert responses.min() >= 0
    # Flat patches were left out of learning; the bias decides the responses to them.
    assert 0.3 < (responses > 0).mean() < 0.9
    assert 0.3 < responses.mean() < 2


def test_the_tool_learns_the_layers_of_the_encoder(learner: ModuleType, tmp_path: Path) -> None:
    weights = safetensors.numpy.load(learn(learner, tmp_path / "weights", 0))
    convolutions = [layer for layer in layers() if isinstance(layer, Convolution)][:3]
    channels = 3
    for layer in convolutions:
        assert weights[f"{layer.name}.weight"].shape == (3, 3, channels, layer.channels)
        assert weights[f"{layer.name}.bias"].shape == (layer.channels,)
        assert weights[f"{layer.name}.weight"].dtype == np.float16
        channels = layer.channels
