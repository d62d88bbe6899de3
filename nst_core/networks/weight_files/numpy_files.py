"""NumPy's formats: archives of arrays, and pickled dictionaries of arrays."""

from functools import partial
from pathlib import Path

import numpy as np

from nst_core.networks.weight_files.convolutions import convolutions_in
from nst_core.networks.weight_files.pickled_arrays import read_pickled_arrays
from nst_core.networks.weight_files.weight_file import WeightFile


def read_npz(path: Path) -> WeightFile:
    """Return the convolutions of an archive that `np.savez` wrote.

    Raises:
        WeightsError: as for `convolutions_in`.
        ValueError: an array is pickled.
    """
    with np.load(path, allow_pickle=False) as archive:
        stored = {name: partial(archive.__getitem__, name) for name in archive.files}
        return WeightFile(path, "NumPy archive", convolutions_in(path, stored))


def read_npy(path: Path) -> WeightFile:
    """Return the convolutions of a dictionary that `np.save` pickled: layer -> kernel and bias.

    Raises:
        WeightsError: as for `read_pickled_arrays` and `convolutions_in`.
    """
    stored = {
        f"{layer}/{part}": partial(np.asarray, array)
        for layer, arrays in read_pickled_arrays(path).items()
        for part, array in zip("Wb", arrays, strict=False)
    }
    return WeightFile(path, "pickled NumPy arrays", convolutions_in(path, stored))
