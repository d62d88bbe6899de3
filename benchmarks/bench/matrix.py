"""Measure the rate of float32 matrix products, in a process of its own.

python -m benchmarks.bench.matrix numpy|tensorflow|torch
"""

import argparse
import json
from collections.abc import Callable
from importlib import import_module

from benchmarks.bench.measuring import MATRIX_SIDE, matrix_rate


def product_with(package: str) -> Callable[[], object]:
    """Return a function that multiplies two matrices of `MATRIX_SIDE` with a package."""
    library = import_module(package)
    if package == "tensorflow":
        matrix = library.random.uniform([MATRIX_SIDE, MATRIX_SIDE])
        return lambda: library.matmul(matrix, matrix).numpy()
    if package == "torch":
        matrix = library.rand(MATRIX_SIDE, MATRIX_SIDE)
    else:
        matrix = library.random.default_rng(0).random((MATRIX_SIDE, MATRIX_SIDE), "float32")
    return lambda: matrix @ matrix


def main() -> None:
    """Print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", choices=["numpy", "tensorflow", "torch"])
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    print(json.dumps({"rate": matrix_rate(product_with(options.package), options.seconds)}))


if __name__ == "__main__":
    main()
