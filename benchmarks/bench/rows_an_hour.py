"""Time `nst-batch run` with many rows, and once more when all of them are done.

    python -m benchmarks.bench.rows_an_hour CONTENTS STYLES [--size 256] [--preset draft]

Every content is paired with every style. Pictures, output, cache and Prefect's home are in a
temporary folder. It prints a line of JSON: the seconds of the whole command, those of its rows
alone (from the table of results), and those of the second run.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np

from nst_core.images.write import encode_png
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.storage.files import write_atomic

PHOTOGRAPHS = ("astronaut", "cat", "coffee", "rocket", "galaxies")
PAINTERS = ("mosaic", "pointillism", "stained_glass", "swirls", "woodcut")


def write_pictures(folder: Path, contents: int, styles: int, side: int) -> None:
    """Write squares cut from photographs, paintings, and a manifest of all pairs."""
    for number in range(contents):
        photo = photograph(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
        most = min(side, *photo.shape[:2])
        place = np.random.default_rng(number)
        top, left = (int(place.integers(0, length - most + 1)) for length in photo.shape[:2])
        square = photo[top : top + most, left : left + most].astype(np.float32)
        write_atomic(folder / f"c{number}.png", encode_png(square / np.float32(255)))
    for number in range(styles):
        paint = PAINTINGS[PAINTERS[number % len(PAINTERS)]]
        painted = paint(side, 1 + number // len(PAINTERS)).astype(np.float32)
        write_atomic(folder / f"s{number}.png", encode_png(painted / np.float32(255)))
    pairs = product(range(contents), range(styles))
    lines = [f"c{content}.png,s{style}.png" for content, style in pairs]
    (folder / "m.csv").write_text("content,style\n" + "\n".join(lines) + "\n")


def seconds_of_run(folder: Path, size: int, preset: str) -> float:
    """Return how long the command takes, which must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment["PREFECT_HOME"] = str(folder / "prefect")
    command = [str(Path(sys.executable).parent / "nst-batch"), "run", str(folder / "m.csv")]
    command += ["--output", str(folder / "out"), "--cache", str(folder / "cache")]
    command += ["--preset", preset, "--size", str(size)]
    began = time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ran.returncode:
        sys.exit(f"nst-batch run ended with {ran.returncode}: {ran.stdout} {ran.stderr}"[-1500:])
    return time.perf_counter() - began


def main() -> None:
    """Print the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contents", type=int)
    parser.add_argument("styles", type=int)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--preset", default="draft")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder, options.contents, options.styles, options.size)
        first = seconds_of_run(folder, options.size, options.preset)
        with (folder / "out" / "summary.csv").open(encoding="utf-8", newline="") as file:
            rows = [float(row["seconds"]) for row in csv.DictReader(file)]
        again = seconds_of_run(folder, options.size, options.preset)
    found = {"rows": len(rows), "seconds": first, "seconds_of_rows": sum(rows), "again": again}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
