"""The estimate of a row's memory."""

import os
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path

import pytest

from nst_core.networks import CATALOGUE
from nst_core.networks.topology import Topology
from nst_core.transfer.memory import FILE_BYTES, peak_memory
from nst_core.transfer.presets import resolve
from nst_core.transfer.settings import Settings
from nst_core.transfer.tiles.grid import Tiles

COMPACT = CATALOGUE["compact"].topology
ENCODERS = ("compact", "vgg16", "vgg19", "alexnet")


def peak(
    size: int = 512,
    shape: tuple[int, int] = (0, 0),
    tiles: Tiles | None = None,
    file_shape: tuple[int, int] | None = None,
    **choices: object,
) -> int:
    """Return the estimate for a square picture of a size, or for a picture of a shape."""
    ways = {name: bool(choices.pop(name, False)) for name in ("on_gpu", "rematerialize")}
    settings = resolve({**choices, "size": size})
    topology = CATALOGUE[settings.encoder].topology
    return peak_memory(
        *(topology, settings, shape if any(shape) else (size, size)),
        **ways,  # type: ignore[arg-type]
        tiles=tiles,
        file_shape=file_shape,
    )


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(("on_gpu", "rematerialize"), [*product((False, True), repeat=2)])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_larger_picture_needs_more(
    encoder: str, on_gpu: bool, rematerialize: bool, optimizer: str
) -> None:
    choices = {"encoder": encoder, "optimizer": optimizer}
    found = [
        peak(size, **choices, on_gpu=on_gpu, rematerialize=rematerialize)
        for size in (100, 101, 128, 256, 512, 1024, 2048)
    ]
    assert all(less < more for less, more in pairwise(found))


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("on_gpu", [False, True])
def test_rematerialization_needs_less_and_the_history_of_lbfgs_more(
    encoder: str, on_gpu: bool
) -> None:
    choices = {"encoder": encoder, "on_gpu": on_gpu}
    whole = peak(**choices, optimizer="adam")
    assert peak(**choices, optimizer="adam", rematerialize=True) < whole
    assert peak(**choices, optimizer="lbfgs") > whole + 20 * 512 * 512 * 3 * 4


def test_a_gpu_holds_neither_graphs_nor_a_second_copy_of_the_weights() -> None:
    assert peak(on_gpu=True) < peak()


def test_deeper_layers_need_more() -> None:
    shallow = peak(style_layers="relu1_1", content_layers="relu1_1")
    assert shallow < peak(style_layers="relu1_1 relu2_1", content_layers="relu1_1")


def test_it_depends_on_the_number_of_pixels() -> None:
    assert peak(shape=(256, 512)) == peak(shape=(512, 256))
    more = peak(shape=(512, 512)) - peak(shape=(256, 512))
    assert peak(shape=(1024, 512)) - peak(shape=(512, 512)) == pytest.approx(2 * more, rel=0.01)


def test_a_network_with_one_convolution_by_hand() -> None:
    topology = Topology("one", COMPACT.layers[:2])  # 3 x 3, 3 to 32 channels
    settings = Settings(style_layers="relu1_1", content_layers="relu1_1", optimizer="adam")
    pixels = 10 * 20
    weights = 9 * 3 * 32 + 32
    # ReLU and its copy for the Gram matrix; two and a half passing arrays; content's target and
    # difference; twelve pictures of three channels.
    numbers = pixels * (32 * 2 + 80 + 2 * 32 + 12 * 3) + weights
    assert peak_memory(topology, settings, (10, 20), on_gpu=True) == 4 * numbers


MEASURED = [
    ("compact", 256, "adam", False, 373),
    ("compact", 256, "lbfgs", False, 444),
    ("compact", 256, "lbfgs", True, 322),
    ("compact", 384, "adam", False, 704),
    ("compact", 512, "adam", False, 1079),
    ("compact", 512, "adam", True, 743),
    ("compact", 512, "lbfgs", False, 1138),
    ("compact", 512, "lbfgs", True, 808),
    ("compact", 1024, "adam", False, 2664),
    ("compact", 1024, "lbfgs", False, 2950),
    ("compact", 1024, "lbfgs", True, 2070),
    ("vgg19", 512, "adam", False, 1435),
    ("vgg19", 512, "adam", True, 820),
]
"""Peaks in MB, from docs/benchmarks.md; `True` means rematerialization."""


@pytest.mark.parametrize(("encoder", "size", "optimizer", "rematerialize", "megabytes"), MEASURED)
def test_it_is_within_a_fifth_of_what_was_measured(
    encoder: str, size: int, optimizer: str, rematerialize: bool, megabytes: int
) -> None:
    found = peak(size, encoder=encoder, optimizer=optimizer, rematerialize=rematerialize)
    assert found / 1e6 == pytest.approx(megabytes, rel=0.2)


MEASURED_IN_TILES = [
    (1024, "adam", Tiles(), 934),
    (1024, "lbfgs", Tiles(), 1212),
    (1024, "lbfgs", Tiles(pairs=3), 1049),
]
"""Peaks in MB with the encoder `compact`, from docs/benchmarks.md."""


@pytest.mark.parametrize(("size", "optimizer", "tiles", "megabytes"), MEASURED_IN_TILES)
def test_with_tiles_it_is_within_a_fifth_of_what_was_measured(
    size: int, optimizer: str, tiles: Tiles, megabytes: int
) -> None:
    found = peak(size, optimizer=optimizer, tiles=tiles)
    assert found / 1e6 == pytest.approx(megabytes, rel=0.2)


@pytest.mark.parametrize("encoder", ["compact", "vgg16", "vgg19"])
def test_tiles_need_less_and_fewer_steps_in_memory_still_less(encoder: str) -> None:
    for size in (1536, 4096, 8192):
        needed = [
            peak(size, encoder=encoder, rematerialize=True),
            *(peak(size, encoder=encoder, tiles=how) for how in (Tiles(), Tiles(pairs=3))),
        ]
        assert needed == sorted(needed, reverse=True)
    # A photograph of three to two, with TensorFlow's own memory, in 12 GB.
    assert peak(8192, (5461, 8192), encoder="compact", tiles=Tiles(pairs=3)) < 11.3e9


@pytest.mark.parametrize("depth", [8, 16])
def test_a_file_that_is_enlarged_decides_the_peak_and_no_other_does(depth: int) -> None:
    choices = {"depth": depth, "size": 256}
    for tiles in (None, Tiles(pairs=3)):
        assert peak(**choices, tiles=tiles) == peak(size=256, tiles=tiles)
    large, larger = (peak(**choices, file_shape=(side, 4000)) for side in (3000, 6000))
    assert larger - large == FILE_BYTES[depth] * 3000 * 4000
    assert peak(**choices, file_shape=(6000, 4000), on_gpu=True) == peak(**choices, on_gpu=True)


WRITE = """
import sys
from pathlib import Path
import numpy as np
from nst_core.images.resize import enlarged
from nst_core.images.write import Contents, format_named

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))

written, depth, side = format_named(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
draw = np.random.default_rng(0)
small, alpha = (draw.random((300, 300, *more), dtype=np.float32) for more in ((3,), ()))
written.encode(Contents(small[:32, :32], depth=depth))
before = memory("VmRSS:")
pixels, alpha = (enlarged(each, side, side, depth=depth) for each in (small, alpha))
written.encode(Contents(pixels, alpha, depth=depth))
print(memory("VmHWM:") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's peak")
@pytest.mark.parametrize(("name", "depth"), [("tiff", 16), ("webp", 8)])
def test_a_file_takes_about_as_much_as_is_counted(name: str, depth: int) -> None:
    side = 2500
    command = [sys.executable, "-c", WRITE, name, str(depth), str(side)]
    root = str(Path(__file__).parents[3])
    environment = os.environ | {"PYTHONPATH": root}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    counted = FILE_BYTES[depth] * side * side
    assert 0.6 * counted < int(done.stdout) < 1.2 * counted
