"""Compile the functions of the optimization with XLA on this machine's CPU, and compare the steps.

    python benchmarks/xla.py [--sizes 128 256] [--rows plain adam rematerialized]

Each run is a process of its own, with the photograph `coffee`, the painting `swirls`, one octave
and the encoder `compact`. XLA needs the height and width of what it compiles, so that each shape of
picture is compiled on its own. Nothing of the package uses XLA.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RUN = """
import json, resource, sys, time
import numpy as np
from nst_core.images.resize import fit, resize
from nst_core.networks.loading import load_encoder
from nst_core.quiet_tensorflow import tf
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.any_size import AnySize
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.presets import resolve
from nst_core.transfer.styles.statistics import style_targets

row, uses_xla, file = json.loads(sys.argv[1]), sys.argv[2] == "True", sys.argv[3]
rematerialize = row.pop("rematerialize", False)
if uses_xla:
    compiled = {"autograph": False, "jit_compile": True}
    AnySize.of = staticmethod(lambda function: tf.function(function, **compiled))
encoder, settings = load_encoder("compact"), resolve({**row, "octaves": 1, "tolerance": 0})
content = photograph("coffee").astype(np.float32) / 255
content = resize(content, *fit(*content.shape[:2], settings.size))
style = PAINTINGS["swirls"](256, 1).astype(np.float32) / 255
targets = style_targets(encoder, style, settings)
how = {"rematerialize": rematerialize}
task = OctaveTask.prepare(encoder, content, targets, settings, 0, content.shape[:2], **how)
steps = tf.constant(10)


def advanced(state):
    began = time.perf_counter()
    state = task.compiled.advance(state, task.targets, task.weights, steps)
    float(state.best.value)
    return state, time.perf_counter() - began


began = time.perf_counter()
state = task.compiled.start(tf.constant(content), task.targets, task.weights, tf.constant(0.02))
float(state.best.value)
first = time.perf_counter() - began
state, second = advanced(state)
np.save(file, state.best.point)
evaluations = int(state.evaluations)
state, seconds = advanced(state)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
evaluations = int(state.evaluations) - evaluations
print(json.dumps([first + second - seconds, seconds / evaluations, peak]))
"""

ROWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "adam": {"optimizer": "adam"},
    "rematerialized": {"rematerialize": True},
    "bfloat16": {"precision": "bfloat16"},
    "neighbors": {"style_measure": "gram:1 neighbors:1"},
    "sliced": {"style_measure": "sliced"},
    "histogram": {"style_measure": "histogram"},
    "wasserstein": {"style_measure": "wasserstein"},
    "self-similarity": {"content_measure": "self-similarity"},
}
"""Settings of the rows that can be measured, by name."""


def measure(row: dict[str, Any], folder: str, *, uses_xla: bool) -> tuple[list[float], Any]:
    """Return seconds of compilation and of an evaluation, the peak in MB, and the tenth picture."""
    file = Path(folder) / "picture.npy"
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(row), str(uses_xla), str(file)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout), np.load(file)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 256])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["plain", "adam"])
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}\n"
    )
    print("| row | px | compilation: s | XLA | ms per evaluation | XLA | MB | XLA | within 1/255 |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.rows:
            for size in options.sizes:
                row = {**ROWS[name], "size": size}
                without, expected = measure(row, folder, uses_xla=False)
                with_it, found = measure(row, folder, uses_xla=True)
                near = np.mean(np.abs(found - expected) <= 1 / 255)
                pairs = zip(without, with_it, (1, 1e3, 1), (1, 0, 0), strict=True)
                cells = (
                    f"{before * unit:.{digits}f} | {after * unit:.{digits}f}"
                    for before, after, unit, digits in pairs
                )
                print(f"| {name} | {size} | {' | '.join(cells)} | {near:.2%} |", flush=True)


if __name__ == "__main__":
    main()
