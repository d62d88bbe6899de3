"""The learner of the compact encoder, on a few patches."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy

from nst_core.networks.compact import layers
from nst_core.networks.encoder import Convolution

TOOL = Path(__file__).parents[2] / "tools" / "learn_compact.py"


def learn(output: Path) -> bytes:
    few = ["--crops", "2", "--patches", "800", "--rounds", "1"]
    command = [sys.executable, str(TOOL), *few, "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    return output.read_bytes()


def test_learning_is_deterministic_and_gives_what_the_encoder_needs(tmp_path: Path) -> None:
    first, second = learn(tmp_path / "a"), learn(tmp_path / "b")
    assert first == second
    weights = safetensors.numpy.load(first)
    wanted = [layer.name for layer in layers() if isinstance(layer, Convolution)]
    assert {name.partition(".")[0] for name in weights} == set(wanted)
    for array in weights.values():
        assert array.dtype == np.float16
        assert np.isfinite(array).all()
