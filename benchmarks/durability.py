"""Measure what a row pays for surviving a power failure: the flushes of its files and folders.

    python benchmarks/durability.py [--rows 200] [--folder .]

The six files of a small row are written in three ways, alternating between them: nothing is
flushed, only files are flushed, and both files and folders are flushed, as the program does. The
folder decides which disk is measured.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

from nst_core.storage.files import make_durable, write_atomic

FILES = (
    *(("pictures", 60_000), ("losses", 4_000), ("gallery", 12_000)),
    *(("gallery", 8_000), ("gallery", 8_000), ("rows", 3_000)),
)
"""The folder and the size in bytes of each file of a row of 256 pixels."""

REAL_FSYNC = os.fsync


def _files_only(descriptor: int) -> None:
    if not Path(f"/proc/self/fd/{descriptor}").is_dir():
        REAL_FSYNC(descriptor)


WAYS = {"nothing": lambda _: None, "files": _files_only, "files and folders": REAL_FSYNC}


def row_seconds(root: Path, number: int) -> float:
    """Return how long the files of one row take."""
    started = time.perf_counter()
    paths = [root / folder / f"{number}-{index}" for index, (folder, _) in enumerate(FILES)]
    *of_picture, record = zip(paths, FILES, strict=True)
    for path, (_, size) in of_picture:
        write_atomic(path, os.urandom(size))
    make_durable(*paths[:2])
    write_atomic(record[0], os.urandom(record[1][1]))
    make_durable(record[0])
    return time.perf_counter() - started


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number in range(options.rows):
            for name, fsync in WAYS.items():
                with mock.patch("os.fsync", fsync):
                    found[name].append(row_seconds(Path(folder, name.replace(" ", "-")), number))
    print(
        f"{os.cpu_count()} cores {platform.machine()}, {platform.release()}, {options.rows} rows\n"
    )
    print("| flushed | milliseconds a row: median | 95 of 100 rows take less than |")
    print("|---|---|---|")
    for name, seconds in found.items():
        ordered = sorted(seconds)
        most = ordered[int(len(ordered) * 0.95)]
        print(f"| {name} | {statistics.median(seconds) * 1e3:.1f} | {most * 1e3:.1f} |")


if __name__ == "__main__":
    main()
