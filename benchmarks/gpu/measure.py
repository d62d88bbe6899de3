"""Measure an exported folder on a machine with a GPU, JAX and PyTorch, but no TensorFlow.

    python benchmarks/gpu/measure.py FOLDER OUTPUT [--seconds 480]

OUTPUT gets `results.jsonl`, a line for each measurement, and `descents.jpg`, the pictures that 300
steps of L-BFGS lead to in each precision. Each stage is a process with a time limit, so that what
hangs or aborts ends nothing else.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent


def stage(name: str, seconds: float, results: Path, *arguments: str) -> None:
    """Run a script within a time limit, and note how it ended."""
    began = time.perf_counter()
    command = [sys.executable, str(HERE / arguments[0]), *arguments[1:]]
    try:
        ended = str(subprocess.run(command, timeout=seconds, check=False).returncode)
    except subprocess.TimeoutExpired:
        ended = "timeout"
    line = {"by": "stage", "name": name, "ended": ended, "s": time.perf_counter() - began}
    with results.open("a") as file:
        print(json.dumps(line), file=file)
    print(line, flush=True)


def device() -> str:
    """Return what the driver says about the GPU, or nothing."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def sheet(work: Path, output: Path, results: Path) -> None:
    """Write the pictures of the descents side by side, and how much they differ."""
    by_pair: dict[str, dict[str, np.ndarray]] = {}
    side = min((int(path.stem.split("-")[3]) for path in work.glob("result-*.npy")), default=0)
    for path in sorted(work.glob(f"result-descent-compact-{side}-*.npy")):
        *_, precision, run = path.stem.split("-")
        pair = run.removesuffix("perturbed")
        by_pair.setdefault(pair, {})[precision + run.removeprefix(pair)] = np.load(path)
    rows = []
    for pair, pictures in sorted(by_pair.items()):
        rows.append(np.concatenate([one for _, one in sorted(pictures.items())], axis=1))
        for name, one in sorted(pictures.items()):
            difference = np.abs(one - pictures["float32"]).mean() * 255
            line = {"by": "difference", "pair": pair, "name": name, "levels": float(difference)}
            with results.open("a") as file:
                print(json.dumps(line), file=file)
    if rows:
        whole = np.concatenate(rows, axis=0)
        Image.fromarray(np.rint(whole.clip(0, 1) * 255).astype(np.uint8)).save(
            output / "descents.jpg", quality=92
        )


def main() -> None:
    """Run all stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--only", default="", help="a regular expression for names of programs")
    parser.add_argument("--peer", action="store_true", help="time PyTorch, too")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    results = options.output / "results.jsonl"
    machine = {"by": "machine", "device": device(), "python": platform.python_version()}
    with results.open("a") as file:
        print(json.dumps(machine), file=file)
    folder = str(options.folder)
    with tempfile.TemporaryDirectory() as work:
        common = (folder, work, str(results))
        part, only = options.seconds / 10, ("--only", options.only)
        stage("prepare", part, results, "peer.py", folder, "prepare", work, *only)
        for kind in ("descent", "step"):
            within = ("--kind", kind, "--seconds", str(part * 4 * 0.95), *only)
            stage(kind, part * 4, results, "programs.py", *common, *within)
        stage("judge", part / 2, results, "peer.py", folder, "judge", work, str(results))
        sheet(Path(work), options.output, results)
        if options.peer:
            within = ("--seconds", str(part * 2))
            stage("peer", part * 2.5, results, "peer.py", folder, "time", *common[1:], *within)


if __name__ == "__main__":
    main()
