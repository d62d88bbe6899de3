"""Read dictionaries of arrays from pickles without unpickling them.

A pickle is a program: Python's unpickler calls whatever the file names. Here, the few instructions
that pickles of NumPy arrays consist of are interpreted on plain data instead, and all others are
refused. NumPy's own unpickling is not used either: arrays are made from raw bytes, after a check
that their number fits the shape. (A `pickle.Unpickler` with a restricted `find_class` would still
hash nested values, and deep nesting ends the process.)
"""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.weight_files.pickle_instructions import RefusedError, interpret
from nst_core.networks.weight_files.pickled_values import PickledArray, as_bytes, as_text
from nst_core.networks.weight_files.weight_file import WeightsError

NUMBERS = ("b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
OBJECTS = ("O", "O4", "O8")


def read_pickled_arrays(path: Path) -> dict[str, list[NDArray[Any]]]:
    """Read a dictionary that `np.save` wrote to a `.npy` file: layer name -> arrays, e.g. [W, b].

    It may have been written by Python 2 or 3. The arrays keep the type and byte order of the file.

    Raises:
        WeightsError: the file cannot be read, is damaged, or contains anything else.
    """
    try:
        with Path(path).open("rb") as file:
            _check_header(file)
            content = interpret(file.read())
        return _dictionary(content)
    except OSError as error:
        raise WeightsError(
            f"{path}: expected a file that can be read, but the system reports "
            f"'{error.strerror}'. Check the path and its permissions."
        ) from error
    except RefusedError as refused:
        raise WeightsError(
            f"{path}: its pickle {refused}, but only NumPy arrays are expected. Ordinary "
            "unpickling could run any code in it; none was run. Get the file from its authors."
        ) from refused
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = error if isinstance(error, ValueError) else "its parts do not fit together"
        raise WeightsError(
            f"{path}: expected a dictionary of lists of arrays, as np.save writes it, but the file "
            f"cannot be read: {reason}. It may be another file, damaged or cut off: get it again."
        ) from error


def _check_header(file: io.BufferedReader) -> None:
    """Read and check the header; NumPy's own reader would evaluate it as Python."""
    magic, version = file.read(6), file.read(2)
    size = int.from_bytes(file.read(2 if version == b"\1\0" else 4), "little")
    header = file.read(min(size, 65536))
    if magic != b"\x93NUMPY" or len(header) != size:
        raise ValueError("it is not a NumPy file, or is cut off in its header")
    if b"'descr': '|O" not in header or b"'shape': ()" not in header:
        raise ValueError("it contains a plain array")


def _dictionary(content: Any) -> dict[str, list[NDArray[Any]]]:
    if not isinstance(content, PickledArray) or content.dtype.code not in OBJECTS:
        raise ValueError("it contains no dictionary")
    (layers,) = content.data
    return {
        as_text(name): [_array(item) for item in _items(arrays)] for name, arrays in layers.items()
    }


def _items(arrays: Any) -> Any:
    if not isinstance(arrays, list | tuple):
        raise ValueError("it has an entry that is not a list")
    return arrays


def _array(rebuilt: Any) -> NDArray[Any]:
    if not isinstance(rebuilt, PickledArray):
        raise ValueError("it has an item that is not an array")
    # An array that the pickle refers to a thousand times must not be copied a thousand times.
    rebuilt.made = _made(rebuilt) if rebuilt.made is None else rebuilt.made
    return rebuilt.made


def _made(rebuilt: PickledArray) -> NDArray[Any]:
    if as_text(rebuilt.dtype.code) not in NUMBERS:
        kind = f"{rebuilt.dtype.code[:9]!r}"
        raise ValueError(f"it has an array of {kind}, which are not plain numbers")
    if any(type(side) is not int or side < 0 for side in rebuilt.shape):
        raise ValueError("it has an array of an impossible shape")
    dtype, data = np.dtype(rebuilt.dtype.order + rebuilt.dtype.code), as_bytes(rebuilt.data)
    expected = math.prod(rebuilt.shape) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(f"it has {len(data)} bytes for an array of {expected} bytes")
    return np.frombuffer(data, dtype).reshape(rebuilt.shape, order=rebuilt.order)
