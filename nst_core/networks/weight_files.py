"""Weight files, recognized by their content: Keras', NumPy's, and our own safetensors.

All of them store kernels as (height, width, in / groups, out). They differ in the names of the
layers and in the container format.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from nst_core.networks import vgg
from nst_core.networks.encoder import Weights
from nst_core.networks.pickled_arrays import WeightsError as WeightsError
from nst_core.networks.pickled_arrays import read_pickled_arrays
from nst_core.networks.topology import Topology
from nst_core.storage.files import write_atomic

FORMATS = (
    "safetensors",
    "Keras HDF5 (.h5)",
    "Keras weights (.weights.h5)",
    "Keras archive (.keras)",
    "NumPy archive (.npz)",
    "pickled NumPy arrays (.npy)",
)


@dataclass(frozen=True, eq=False)
class WeightFile:
    """The convolutions in a file.

    Attributes:
        format: the name of the format, for messages.
        arrays: `conv1_1.weight`, `conv1_1.bias` or `conv1.weight` ..., in the order of layers, with
            their type in the file; anything that is not a convolution is left out.
        notes: what the program that wrote the file noted in it; only safetensors have notes.
    """

    path: Path
    format: str
    arrays: Mapping[str, NDArray[Any]]
    notes: Mapping[str, str] = field(default_factory=dict)


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
            "bytes and may be cut short or damaged: copy or download it again."
        ) from error


def weights_for(topology: Topology, file: WeightFile) -> Weights:
    """Return all of a network's weights, and nothing else, as float32.

    Raises:
        WeightsError: there are too few or too many layers, or their shapes, types or numbers are
            not those that the network needs.
    """
    expected, found = topology.weight_shapes, file.arrays
    missing, surplus = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing:
        raise WeightsError(
            f"{file.path}: it lacks {_listed(missing)}, which {topology.name} needs."
        )
    if surplus:
        raise WeightsError(f"{file.path}: it has {_listed(surplus)}, unlike {topology.name}.")
    for problems in (_misshapen(topology, found), _imprecise(found), _not_finite(found)):
        _refuse(file, list(problems))
    return {name: np.ascontiguousarray(found[name], dtype=np.float32) for name in expected}


def networks_in(file: WeightFile, topologies: Iterable[Topology]) -> tuple[str, ...]:
    """Return the names of the networks whose layers have exactly the file's names and shapes."""
    shapes = {name: array.shape for name, array in file.arrays.items()}
    return tuple(topology.name for topology in topologies if dict(topology.weight_shapes) == shapes)


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


# Recognizing the format.


def _beginning(path: Path) -> bytes:
    """Return the first bytes of a file.

    Raises:
        WeightsError: there is no regular file that can be read, or it is empty.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise WeightsError(f"{path}: this is {kind}, expected a weight file.")
    try:
        with path.open("rb") as file:
            beginning = file.read(512)
    except OSError as error:
        raise WeightsError(
            f"{path}: expected a weight file that can be read, but the system says "
            f"'{error.strerror}'. Check the path and its permissions."
        ) from error
    if not beginning:
        raise WeightsError(f"{path}: the file is empty. Copy or download it again.")
    return beginning


def _reader(path: Path, beginning: bytes) -> Callable[[Path], WeightFile]:
    if beginning.startswith(b"\x89HDF\r\n\x1a\n"):
        return _read_hdf5
    if beginning.startswith(b"PK\3\4"):
        return _read_zip
    if beginning.startswith(b"\x93NUMPY"):
        return _read_npy
    if beginning[8:9] == b"{" and int.from_bytes(beginning[:8], "little") < 2**32:
        return _read_safetensors
    raise _unknown(path, beginning)


def _unknown(path: Path, beginning: bytes) -> WeightsError:
    if beginning.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return WeightsError(
            f"{path}: this is a web page, not a weight file. Its link led to a page about the file "
            "or to an error; download the file itself."
        )
    if beginning.startswith(b"version https://git-lfs"):
        return WeightsError(
            f"{path}: this only points to the file in Git LFS; get the file itself: git lfs pull"
        )
    return WeightsError(
        f"{path}: the file begins with {beginning[:16]!r}, which is no format that is known. "
        f"Expected one of {', '.join(FORMATS)}."
    )


# The names of arrays. Each reader returns paths such as `block1_conv1/kernel:0`.

_Stored = Mapping[str, Callable[[], NDArray[Any]]]
"""The path of an array in its file -> a function that loads it."""

_LEAF = re.compile(r"(?:(?P<layer>.+)[._])?(?P<part>W|kernel|weight|b|bias)(?:_\d+)?(?::0)?")
_PARTS = {"W": "weight", "kernel": "weight", "weight": "weight", "b": "bias", "bias": "bias"}


def _our_name(where: str) -> str | None:
    """Translate `vgg16/block1_conv2/kernel:0` to `conv1_2.weight`; None if it is no convolution."""
    *groups, leaf = where.split("/")
    found = _LEAF.fullmatch(leaf)
    if not found:
        return None
    layers = [layer for layer in map(_our_layer, [*groups, found["layer"] or ""]) if layer]
    return f"{layers[-1]}.{_PARTS[found['part']]}" if layers else None


def _our_layer(name: str) -> str | None:
    """Return our name, without the number that Keras 1 and 2 append when a layer is made twice."""
    found = re.fullmatch(r"block(\d+)_conv(\d+)(?:_\d+)?", name)
    if found:
        return f"conv{found[1]}_{found[2]}"
    return name if re.fullmatch(r"conv\d+(_\d+)?", name) else None


def _convolutions(path: Path, stored: _Stored) -> dict[str, NDArray[Any]]:
    """Read the arrays of convolutions, in the order of layers.

    Raises:
        WeightsError: there are none, or one occurs twice, or one contains no numbers.
    """
    places: dict[str, str] = {}
    for where in stored:
        name = _our_name(where)
        if name in places:
            raise WeightsError(
                f"{path}: both {places[name]!r} and {where!r} could be {name}. Save the network "
                "that you want by itself."
            )
        if name:
            places[name] = where
    if not places:
        some = ", ".join(map(repr, list(stored)[:5])) or "no arrays at all"
        raise WeightsError(
            f"{path}: no convolutions of a known name (block1_conv1, conv1_1, conv1 ...) are in "
            f"it, but {some}. Expected weights of VGG or AlexNet."
        )
    return {name: _numbers(path, name, stored[places[name]]) for name in sorted(places, key=_order)}


def _numbers(path: Path, name: str, load: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    array = np.asarray(load())
    if array.dtype.kind not in "fiub":
        raise WeightsError(f"{path}: {name} holds {array.dtype}, expected float32.")
    return array


def _order(name: str) -> tuple[list[int], bool]:
    """Return a sort key: by the numbers in a name, with weights before biases."""
    return [int(number) for number in re.findall(r"\d+", name)], name.endswith("bias")


# Safetensors and NumPy's formats.


def _read_safetensors(path: Path) -> WeightFile:
    with safetensors.safe_open(path, "numpy") as file:
        names = list(file.keys())
        _refuse_types(path, {name: file.get_slice(name).get_dtype() for name in names})
        stored = {name: partial(file.get_tensor, name) for name in names}
        return WeightFile(
            path, "safetensors", _convolutions(path, stored), dict(file.metadata() or {})
        )


def _refuse_types(path: Path, types: Mapping[str, str]) -> None:
    """Refuse types that NumPy lacks, such as BF16, by their names."""
    for name, kind in types.items():
        if kind.startswith(("BF", "F8_", "F6_", "F4")):
            raise WeightsError(f"{path}: {name} holds {kind}, expected float32 (F32).")


def _read_npz(path: Path) -> WeightFile:
    with np.load(path, allow_pickle=False) as archive:
        stored = {name: partial(archive.__getitem__, name) for name in archive.files}
        return WeightFile(path, "NumPy archive", _convolutions(path, stored))


def _read_npy(path: Path) -> WeightFile:
    stored = {
        f"{layer}/{part}": partial(np.asarray, array)
        for layer, arrays in read_pickled_arrays(path).items()
        for part, array in zip("Wb", arrays, strict=False)
    }
    return WeightFile(path, "pickled NumPy arrays", _convolutions(path, stored))


def _read_zip(path: Path) -> WeightFile:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "model.weights.h5" in names:
        return _read_keras_archive(path)
    if any(name.endswith(".npy") for name in names):
        return _read_npz(path)
    if any(name.endswith("data.pkl") for name in names):
        raise WeightsError(
            f"{path}: this is a PyTorch file, which is not read. Expected one of "
            f"{', '.join(FORMATS)}."
        )
    raise WeightsError(
        f"{path}: this zip file is neither Keras' nor NumPy's; it has "
        f"{', '.join(map(repr, names[:5]))}. If the weight file is in it, unpack it."
    )


# Keras' formats.

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""The names of the group of a model's layers, in Keras 3 and Keras 2."""

_COUNTED = re.compile(r"(?P<within>.*/)conv2d(?:_(?P<number>\d+))?/[^/]*/(?P<part>kernel|bias)")
_VGG_LAYERS = {
    len(convolutions): tuple(layer.name for layer in convolutions)
    for convolutions in (vgg.topology(name).convolutions for name in vgg.CONVOLUTIONS)
}


def _read_hdf5(path: Path) -> WeightFile:
    import h5py

    with h5py.File(path, "r") as file:
        stored = _stored_in_hdf5(file, {})
        kind = "Keras weights" if any(name in file for name in _CONTAINERS) else "Keras HDF5"
        return WeightFile(path, kind, _convolutions(path, stored))


def _read_keras_archive(path: Path) -> WeightFile:
    import h5py

    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
        config = json.loads(archive.read("config.json"))
    names = dict(_names_in_config(config["config"].get("layers", []), ""))
    with h5py.File(io.BytesIO(weights), "r") as file:
        stored = _stored_in_hdf5(file, names)
        return WeightFile(path, "Keras archive", _convolutions(path, stored))


def _names_in_config(layers: Iterable[Any], within: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each layer's arrays in `model.weights.h5`, with the layer's name.

    Each class is counted separately: `functional/conv2d_3` is the fourth Conv2D of a nested model.
    """
    seen: Counter[str] = Counter()
    for layer in layers:
        kind = str(layer["class_name"]).lower()
        place = f"{within}{kind}_{seen[kind]}" if seen[kind] else f"{within}{kind}"
        seen[kind] += 1
        yield place, str(layer["config"].get("name"))
        yield from _names_in_config(layer["config"].get("layers", []), f"{place}/")


def _stored_in_hdf5(file: Any, names: Mapping[str, str]) -> _Stored:
    """Return arrays by group and layer, or by their order if no layer has a known name."""
    import h5py

    datasets: dict[str, Any] = {}

    def note(where: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or where.startswith("optimizer"):
            return
        # Data in other files could change without a change to this file.
        if not item.external and not item.is_virtual:
            datasets[_readable(where, item, names)] = item

    file.visititems(note)
    if not any(map(_our_name, datasets)):
        datasets = _named_by_order(datasets)
    return {where: partial(dataset.__getitem__, ()) for where, dataset in datasets.items()}


def _readable(where: str, dataset: Any, names: Mapping[str, str]) -> str:
    """Turn `layers/conv2d_3/vars/0` into `layers/conv2d_3/block2_conv2/kernel`; keep other paths.

    Keras 3 stores the layer's name at `vars`; Keras 2 does not, so `names` are needed.
    """
    *groups, last, leaf = "", *where.split("/")
    if last != "vars" or leaf not in ("0", "1"):
        return where
    place = "/".join(group for group in groups[1:] if group not in _CONTAINERS)
    name = dataset.parent.attrs.get("name") or names.get(place, groups[-1])
    return "/".join([*groups[1:], str(name), ("kernel", "bias")[int(leaf)]])


def _named_by_order(datasets: Mapping[str, Any]) -> dict[str, Any]:
    """Name a model's convolutions like those of the VGG network that has as many."""
    named = dict(datasets)
    found = {where: place for where in datasets if (place := _COUNTED.fullmatch(where))}
    totals = Counter(place["within"] for place in found.values() if place["part"] == "kernel")
    for where, place in found.items():
        layers = _VGG_LAYERS.get(totals[place["within"]], ())
        number = int(place["number"] or 0)
        if number < len(layers):
            named[f"{place['within']}{layers[number]}/{place['part']}"] = named.pop(where)
    return named


# What can be wrong with weights.


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names, key=_order)
    more = f" and {len(ordered) - 8} more" if len(ordered) > 8 else ""
    return f"{', '.join(ordered[:8])}{more}"


def _refuse(file: WeightFile, problems: list[str]) -> None:
    """Raise an error with the first few problems, if there are any."""
    if problems:
        more = f"; and {len(problems) - 3} more like it" if len(problems) > 3 else ""
        raise WeightsError(f"{file.path}: {'; '.join(problems[:3])}{more}.")


def _misshapen(topology: Topology, found: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    for name, expected in topology.weight_shapes.items():
        shape = found[name].shape
        if shape != expected:
            # Theano, Caffe and PyTorch store the axes in this other order.
            turned = len(shape) == 4 and (shape[2], shape[3], shape[1], shape[0]) == expected
            hint = " (another framework's order: out, in, height, width)" if turned else ""
            yield f"{name} has shape {shape}{hint}, expected {expected} for {topology.name}"


def _imprecise(found: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    for name, array in found.items():
        if array.dtype.newbyteorder("=") != np.float32:
            yield f"{name}: found {array.dtype}, expected float32"


def _not_finite(found: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    for name, array in found.items():
        count = array.size - int(np.isfinite(array).sum())
        if count:
            yield f"{name} has {count} numbers of {array.size} that are not finite"


def _short(error: Exception) -> str:
    return (str(error).split("\n")[0] or type(error).__name__)[:200]
