"""Print the results of `measure.py` as Markdown tables.

    python benchmarks/gpu/report.py benchmarks/gpu/results/FILE.json

FILE is a list of the lines that `measure.py` wrote. Of PyTorch, the faster layout counts.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Line = dict[str, Any]
PRECISIONS = ("float32", "tf32", "bfloat16")


def key(line: Line) -> tuple[Any, ...]:
    """Return what a step must have in common to be compared."""
    return line["network"], line["side"], line["batch"], line["precision"]


def fastest(lines: Iterable[Line]) -> dict[tuple[Any, ...], Line]:
    """Return the fastest measurement of each step."""
    found: dict[tuple[Any, ...], Line] = {}
    for line in lines:
        if "median_s" in line:
            known = found.get(key(line))
            found[key(line)] = min(known or line, line, key=lambda one: one["median_s"])
    return found


def steps(lines: list[Line]) -> None:
    """Print a table of single evaluations of the loss and its gradient."""
    ours = fastest(one for one in lines if one["by"] == "XLA" and one.get("variant") == "plain")
    peers = fastest(one for one in lines if one["by"].startswith("PyTorch"))
    print(
        "| network | px | pictures | precision | XLA: ms | PyTorch: ms | ratio | XLA: MB "
        "| PyTorch: MB | XLA: error of the gradient | PyTorch |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|"
    )
    order = sorted(
        {*ours, *peers}, key=lambda one: (one[0], one[2], one[1], PRECISIONS.index(one[3]))
    )
    for one in order:
        cells = [str(part) for part in one]
        both = ours.get(one), peers.get(one)
        cells += [f"{by['median_s'] * 1e3:.1f}" if by else "" for by in both]
        cells.append(f"{both[0]['median_s'] / both[1]['median_s']:.2f}" if all(both) else "")
        cells += [f"{by['peak_bytes'] / 1e6:.0f}" if by else "" for by in both]
        errors = [(by or {}).get("gradient_error") for by in both]
        cells += ["" if error is None else f"{error:.1e}" for error in errors]
        print(f"| {' | '.join(cells)} |")


def descents(lines: list[Line]) -> None:
    """Print a table of whole optimizations: time, and what they reach."""
    exact = {
        (one["precision"], one["run"]): one["total"] for one in lines if one["by"] == "float64"
    }
    apart = {
        (one["name"], one["pair"]): one["levels"] for one in lines if one["by"] == "difference"
    }
    print(
        "| pair | precision | seconds | evaluations | total loss of the picture, in float64 "
        "| mean difference to float32, in levels of 255 |\n|---|---|---|---|---|---|"
    )
    for line in lines:
        if line["by"] != "XLA" or line.get("kind") != "descent":
            continue
        for run in line["runs"]:
            name, pair = line["precision"] + run["start"], f"{run['pair']}"
            total = exact.get((line["precision"], pair + run["start"]))
            print(
                f"| {pair} | {name} | {run['seconds']:.2f} | {run['evaluations']} "
                f"| {total:.5f} | {apart.get((name, pair), 0):.1f} |"
            )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    lines = json.loads(parser.parse_args().results.read_text())
    steps(lines)
    print()
    descents(lines)


if __name__ == "__main__":
    main()
