"""Reading of weight files, whose format is recognized by their content.

All formats store kernels as (height, width, in / groups, out). They differ in the names of the
layers and in the container format.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path

from nst_core.networks.weight_files.keras_files import read_hdf5, read_keras_archive
from nst_core.networks.weight_files.numpy_files import read_npy, read_npz
from nst_core.networks.weight_files.safetensors_files import read_safetensors
from nst_core.networks.weight_files.weight_file import WeightFile, WeightsError
from nst_core.storage.first_bytes import first_bytes

FORMATS = (
    "safetensors",
    "Keras HDF5 (.h5)",
    "Keras weights (.weights.h5)",
    "Keras archive (.keras)",
    "NumPy archive (.npz)",
    "pickled NumPy arrays (.npy)",
)


def read_weight_file(path: Path) -> WeightFile:
    """Read the convolutions of a file, whatever its extension.

    Raises:
        WeightsError: the file cannot be read, is damaged, or contains no convolutions with known
            names.
    """
    path = Path(path)
    reader = _reader(path, _beginning(path))
    try:
        return reader(path)
    except (WeightsError, MemoryError):
        raise
    except Exception as error:  # parsers raise nearly anything when bytes are damaged
        raise WeightsError(
            f"{path}: the file cannot be read ({_short(error)}). It has {path.stat().st_size:,} "
            "bytes and may be cut off or damaged: copy or download it again."
        ) from error


def _beginning(path: Path) -> bytes:
    """Return the first bytes of a file.

    Raises:
        WeightsError: the file is not regular, cannot be read, or is empty.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise WeightsError(f"{path}: this is {kind}; expected a weight file.")
    try:
        with path.open("rb") as file:
            beginning = file.read(512)
    except OSError as error:
        raise WeightsError(
            f"{path}: expected a weight file that can be read, but the system reports "
            f"'{error.strerror}'. Check the path and its permissions."
        ) from error
    if not beginning:
        raise WeightsError(f"{path}: the file is empty. Copy or download it again.")
    return beginning


def _reader(path: Path, beginning: bytes) -> Callable[[Path], WeightFile]:
    if beginning.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_hdf5
    if beginning.startswith(b"PK\3\4"):
        return _read_zip
    if beginning.startswith(b"\x93NUMPY"):
        return read_npy
    if beginning[8:9] == b"{" and int.from_bytes(beginning[:8], "little") < 2**32:
        return read_safetensors
    raise _unknown(path, beginning)


def _unknown(path: Path, beginning: bytes) -> WeightsError:
    if beginning.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return WeightsError(
            f"{path}: this is a web page, not a weight file. The link led to a page about the file "
            "or to an error page; download the file itself."
        )
    if beginning.startswith(b"version https://git-lfs"):
        return WeightsError(
            f"{path}: this is only a Git LFS pointer; get the file itself with: git lfs pull"
        )
    return WeightsError(
        f"{path}: the file begins with {first_bytes(beginning)}, which is not a known format. "
        f"Expected one of {', '.join(FORMATS)}."
    )


def _read_zip(path: Path) -> WeightFile:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "model.weights.h5" in names:
        return read_keras_archive(path)
    if any(name.endswith(".npy") for name in names):
        return read_npz(path)
    if any(name.endswith("data.pkl") for name in names):
        raise WeightsError(
            f"{path}: this is a PyTorch file, which is not supported. Expected one of "
            f"{', '.join(FORMATS)}."
        )
    raise WeightsError(
        f"{path}: this zip file is neither Keras' nor NumPy's; it contains "
        f"{', '.join(map(repr, names[:5]))}. If one of these is the weight file, unpack it."
    )


def _short(error: Exception) -> str:
    return (str(error).split("\n")[0] or type(error).__name__)[:200]
