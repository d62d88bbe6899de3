"""Safetensors, the format in which we also write weights."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from nst_core.networks.encoder import Weights
from nst_core.networks.weight_files.convolutions import convolutions_in
from nst_core.networks.weight_files.weight_file import WeightFile, WeightsError
from nst_core.storage.files import write_atomic


def read_safetensors(path: Path) -> WeightFile:
    """Return the convolutions and notes of a safetensors file.

    Raises:
        WeightsError: NumPy lacks the type of an array; or as for `convolutions_in`.
    """
    with safetensors.safe_open(path, "numpy") as file:
        names = list(file.keys())
        _refuse_types(path, {name: file.get_slice(name).get_dtype() for name in names})
        stored = {name: partial(file.get_tensor, name) for name in names}
        return WeightFile(
            path, "safetensors", convolutions_in(path, stored), dict(file.metadata() or {})
        )


def _refuse_types(path: Path, types: Mapping[str, str]) -> None:
    """Refuse types that NumPy lacks, such as BF16, by their names."""
    for name, kind in types.items():
        if kind.startswith(("BF", "F8_", "F6_", "F4")):
            raise WeightsError(f"{path}: {name} has the type {kind}, expected float32 (F32).")


def write_weight_file(path: Path, weights: Weights, notes: Mapping[str, str]) -> None:
    """Write float32 arrays to a safetensors file, atomically.

    Args:
        weights: arrays of any memory layout.
        notes: what to store with them, for `WeightFile.notes`.

    Raises:
        OSError: the folder cannot be created, is not writable, or is full.
    """
    # With other layouts, safetensors would write the bytes in the wrong order.
    plain = {name: np.ascontiguousarray(array, "<f4") for name, array in weights.items()}
    write_atomic(path, safetensors.numpy.save(plain, dict(notes) or None))
