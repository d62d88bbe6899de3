"""Measure the peak memory of single rows, and compare it with the estimate.

    python benchmarks/memory.py [--sizes 256 512] [--encoders compact vgg19] [--runs 1]

Each run is a separate process with a square picture. Peaks are those of the process, without what
it takes to import TensorFlow. Each octave has ten steps: with fewer, the peak is up to an eighth
lower. VGG gets random weights of the true sizes, because its memory does not depend on them.
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

RUN = """
import json, resource, sys
import numpy as np
from nst_core.networks import CATALOGUE
from nst_core.networks.encoder import Encoder
from nst_core.networks.loading import load_encoder
from nst_core.quiet_tensorflow import tf
from nst_core.transfer.presets import resolve
from nst_core.transfer.statistics import style_targets
from nst_core.transfer.stylize import finish, iterates

def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

tf.zeros([]).numpy()
imported = resident()
row = json.loads(sys.argv[1])
settings = resolve({name: row[name] for name in ("encoder", "size", "optimizer")})
settings = settings.model_copy(update={"steps": 10, "tolerance": 0})
draw = np.random.default_rng(0)
network = CATALOGUE[settings.encoder]
if network.is_shipped:
    encoder = load_encoder(settings.encoder, settings.pooling)
else:
    shapes = network.topology.weight_shapes.items()
    weights = {name: draw.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes}
    encoder = Encoder(network.topology, weights)
style, content = (
    draw.uniform(0, 1, (settings.size, settings.size, 3)).astype(np.float32) for _ in range(2)
)
targets = style_targets(encoder, style, settings)
finish(iterates(encoder, content, targets, settings, seed=0, rematerialize=row["rematerialize"]))
print(resident() - imported)
"""


@dataclass(frozen=True)
class Row:
    """A row to measure; `size` is the side of its square picture, in pixels."""

    encoder: str
    size: int
    optimizer: str
    rematerialize: bool


def measure(row: Row) -> float:
    """Return the peak resident memory of a row in a new process, in MB above the imports."""
    command = [sys.executable, "-c", RUN, json.dumps(asdict(row))]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def estimate(row: Row) -> float:
    """Return the estimated peak memory of a row, in MB."""
    settings = resolve({"encoder": row.encoder, "size": row.size, "optimizer": row.optimizer})
    topology, shape = CATALOGUE[row.encoder].topology, (row.size, row.size)
    return peak_memory(topology, settings, shape, rematerialize=row.rematerialize) / 1e6


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 384, 512, 768, 1024])
    parser.add_argument("--encoders", nargs="+", default=["compact"])
    parser.add_argument("--optimizers", nargs="+", default=["lbfgs", "adam"])
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}, {options.runs} runs each\n"
    )
    print("| encoder | size | optimizer | rematerialization | peak, MB | estimate, MB | error |")
    print("|---|---|---|---|---|---|---|", flush=True)
    rows = product(options.encoders, options.sizes, options.optimizers, (False, True))
    for row in (Row(*each) for each in rows):
        peak, expected = max(measure(row) for _ in range(options.runs)), estimate(row)
        how = "yes" if row.rematerialize else "no"
        print(
            f"| {row.encoder} | {row.size} | {row.optimizer} | {how} | {peak:.0f} "
            f"| {expected:.0f} | {expected / peak - 1:+.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
