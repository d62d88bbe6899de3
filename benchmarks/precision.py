"""Measure rows in float32 and in bfloat16 on this CPU, and on what it would be without some of it.

    python benchmarks/precision.py [--sizes 128 256] [--steps 40]

Each run is a process of its own, with the photograph `coffee` and the painting `swirls`. The first
kind of CPU is this one. The second has no products in bfloat16 (AVX512_BF16, AMX). The third has
none of the kernels of oneDNN, which TensorFlow uses for bfloat16 only on CPUs with AVX-512.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version

RUN = """
import json, sys, time
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.presets import resolve
from nst_core.transfer.stylize import stylize

choices = json.loads(sys.argv[1])
pictures = photograph("coffee"), PAINTINGS["swirls"](256, 1)
stylize(*pictures, resolve({**choices, "steps": 2}))
began = time.perf_counter()
outcome = stylize(*pictures, resolve(choices))
seconds = (time.perf_counter() - began) / outcome.evaluations
print(json.dumps([seconds * 1000, outcome.losses.total]))
"""

CPUS = {
    "this one": {},
    "AVX-512 without BF16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "without oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}


def measure(size: int, steps: int, precision: str, cpu: str) -> tuple[float, float]:
    """Return the milliseconds of an evaluation, without compilation, and the loss of the result."""
    choices = {"size": size, "octaves": 1, "steps": steps, "tolerance": 0, "precision": precision}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(choices)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | CPUS[cpu],
    )
    milliseconds, loss = json.loads(done.stdout)
    return milliseconds, loss


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 256])
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}\n"
    )
    print("| CPU | px | float32: ms | bfloat16: ms | ratio | float32: loss | bfloat16: loss |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for cpu in CPUS:
        for size in options.sizes:
            (exact, loss), (low, loss_of_low) = (
                measure(size, options.steps, precision, cpu)
                for precision in ("float32", "bfloat16")
            )
            print(
                f"| {cpu} | {size} | {exact:.0f} | {low:.0f} | {low / exact:.2f} | {loss:.5f} "
                f"| {loss_of_low:.5f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
