"""Measure one step of plain PyTorch, in a process of its own.

    python -m benchmarks.bench.step_peer FOLDER NETWORK SIDE LAYOUT [--seconds 4]

It evaluates the losses that `step_ours.py` evaluates, from the same start, with the functions of
`benchmarks/gpu/peer.py`, and prints the same line of JSON. Its steps are those of
`torch.optim.LBFGS` with as long a memory, and with a line search, as ours has one. It needs
PyTorch and NumPy alone.
"""

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from inputs import MEMORY, picture
from peer import Network, targets_of, tensor, totals, value_and_gradient

from benchmarks.bench.measuring import MATRIX_SIDE, matrix_rate, peak_mb, steps_in_call, until

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def steps(
    network: Network,
    start: torch.Tensor,
    targets: dict[str, torch.Tensor],
    seconds: float,
) -> dict[str, Any]:
    """Return the seconds per evaluation of steps of L-BFGS, and the loss at the start."""
    pixels = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [pixels],
        max_iter=1,
        history_size=MEMORY,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    values: list[float] = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        total = totals(network, pixels[None], targets)[0]
        total.backward()
        values.append(float(total.detach()))
        return total

    def advance() -> int:
        before = len(values)
        optimizer.step(closure)
        return len(values) - before

    advance()
    count = steps_in_call(seconds, advance)
    # By default, a call may take a quarter more evaluations than steps.
    optimizer.param_groups[0].update(max_iter=count, max_eval=2 * count)
    return {"step": median(until(seconds, advance)), "value": values[0]}


def main() -> None:
    """Print the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("network")
    parser.add_argument("side", type=int)
    parser.add_argument("layout", choices=LAYOUTS)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    torch.zeros([]).numpy()
    imports = peak_mb()
    network = Network(options.folder, options.network, torch.float32, LAYOUTS[options.layout])
    content, style = (picture(options.folder, x, options.side) for x in ("astronaut", "swirls"))
    targets = {
        name: tensor(value, torch.float32)
        for name, value in targets_of(network, content, style).items()
    }
    start = tensor(np.roll(content, 3, axis=1), torch.float32)
    found = steps(network, start, targets, options.seconds)
    found |= {"peak_mb": peak_mb(), "imports_mb": imports}

    def evaluate() -> int:
        value_and_gradient(network, start[None], targets)
        return 1

    def forward() -> int:
        with torch.no_grad():
            totals(network, start[None], targets)
        return 1

    evaluate()
    forward()
    found["evaluation"] = median(until(options.seconds / 2, evaluate))
    found["forward"] = median(until(options.seconds / 4, forward))
    matrix = torch.rand(MATRIX_SIDE, MATRIX_SIDE)
    found["matrix_rate"] = matrix_rate(lambda: matrix @ matrix)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
