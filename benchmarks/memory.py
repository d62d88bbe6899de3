"""Measure the peak memory of single rows, and compare it with the estimate.

    python benchmarks/memory.py [--sizes 256 512] [--encoders compact vgg19] [--ways tiles]
        [--octaves 3] [--steps 10] [--runs 1] [--precision tf32]

Each run is a separate process with a square picture, and a style of at most 512 pixels. Peaks are
those of the process, without what it takes to import TensorFlow. With fewer than ten steps, the
peak of a row without tiles is up to an eighth lower. VGG gets random weights of the true sizes,
because its memory does not depend on them.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import product

from nst_core.networks import CATALOGUE
from nst_core.transfer.memory import peak_memory
from nst_core.transfer.presets import resolve
from nst_core.transfer.tiles.grid import Tiles

RUN = """
import json, resource, sys, time
import numpy as np
from nst_core.networks import CATALOGUE
from nst_core.networks.encoder import Encoder
from nst_core.networks.loading import load_encoder
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.presets import resolve
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import finish, iterates
from nst_core.transfer.tiles.grid import Tiles

def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

tf.zeros([]).numpy()
imported = resident()
row = json.loads(sys.argv[1])
settings = resolve({name: row[name] for name in ("encoder", "size", "optimizer", "precision")})
chosen = {"steps": row["steps"], "octaves": row["octaves"], "tolerance": 0}
settings = settings.model_copy(update=chosen)
draw = np.random.default_rng(0)
network = CATALOGUE[settings.encoder]
if network.is_shipped:
    encoder = load_encoder(settings.encoder, settings.pooling)
else:
    shapes = network.topology.weight_shapes.items()
    weights = {name: draw.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes}
    encoder = Encoder(network.topology, weights)
style, content = (
    draw.uniform(0, 1, (side, side, 3)).astype(np.float32)
    for side in (min(settings.size, 512), settings.size)
)
targets = style_targets(encoder, style, settings)
ways = {
    "whole": {},
    "rematerialization": {"rematerialize": True},
    "tiles": {"tiles": Tiles()},
    "few": {"tiles": Tiles(pairs=3)},
}
started = time.perf_counter()
done = finish(iterates(encoder, content, targets, settings, seed=0, **ways[row["way"]]))
print(resident() - imported, time.perf_counter() - started, done.evaluations)
"""


WAYS = ("whole", "rematerialization", "tiles", "few")
"""How rows are computed; `few`: with tiles and few steps in L-BFGS's memory."""


@dataclass(frozen=True)
class Row:
    """A row to measure; `size` is the side of its square picture, in pixels."""

    encoder: str
    size: int
    optimizer: str
    way: str
    octaves: int
    steps: int
    precision: str


def measure(row: Row) -> tuple[float, float, int]:
    """Return the peak of a row in a new process, in MB above the imports, seconds, evaluations."""
    command = [sys.executable, "-c", RUN, json.dumps(asdict(row))]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    peak, seconds, evaluations = done.stdout.split()
    return float(peak), float(seconds), int(evaluations)


def estimate(row: Row) -> float:
    """Return the estimated peak memory of a row, in MB."""
    settings = resolve({"encoder": row.encoder, "size": row.size, "optimizer": row.optimizer})
    topology, shape = CATALOGUE[row.encoder].topology, (row.size, row.size)
    tiles = {"tiles": Tiles(), "few": Tiles(pairs=3)}.get(row.way)
    rematerialize = row.way == "rematerialization"
    return peak_memory(topology, settings, shape, rematerialize=rematerialize, tiles=tiles) / 1e6


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 384, 512, 768, 1024])
    parser.add_argument("--encoders", nargs="+", default=["compact"])
    parser.add_argument("--optimizers", nargs="+", default=["lbfgs", "adam"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS[:2])
    parser.add_argument("--octaves", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--precision", default="tf32")
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}, {options.runs} runs each\n"
    )
    print("| encoder | size | optimizer | way | peak, MB | estimate, MB | error | s/evaluation |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    rows = product(options.encoders, options.sizes, options.optimizers, options.ways)
    how = (options.octaves, options.steps, options.precision)
    for row in (Row(*each, *how) for each in rows):
        runs, expected = [measure(row) for _ in range(options.runs)], estimate(row)
        peak, seconds, evaluations = max(runs)
        print(
            f"| {row.encoder} | {row.size} | {row.optimizer} | {row.way} | {peak:.0f} "
            f"| {expected:.0f} | {expected / peak - 1:+.0%} | {seconds / evaluations:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
