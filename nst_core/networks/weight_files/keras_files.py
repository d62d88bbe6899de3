"""Keras' formats: HDF5 of all versions, and archives that contain it."""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nst_core.networks import vgg
from nst_core.networks.weight_files.convolutions import Stored, convolutions_in, our_name
from nst_core.networks.weight_files.weight_file import WeightFile

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""The names of the group of a model's layers, in Keras 3 and Keras 2."""

_COUNTED = re.compile(r"(?P<within>.*/)conv2d(?:_(?P<number>\d+))?/[^/]*/(?P<part>kernel|bias)")
_VGG_LAYERS = {
    len(convolutions): tuple(layer.name for layer in convolutions)
    for convolutions in (vgg.topology(name).convolutions for name in vgg.CONVOLUTIONS)
}


def read_hdf5(path: Path) -> WeightFile:
    """Return the convolutions of an `.h5` or `.weights.h5` file of any version of Keras.

    Raises:
        WeightsError: as for `convolutions_in`.
    """
    import h5py

    with h5py.File(path, "r") as file:
        stored = _stored_in_hdf5(file, {})
        kind = "Keras weights" if any(name in file for name in _CONTAINERS) else "Keras HDF5"
        return WeightFile(path, kind, convolutions_in(path, stored))


def read_keras_archive(path: Path) -> WeightFile:
    """Return the convolutions of a `.keras` file, with the names of layers in its configuration.

    Raises:
        WeightsError: as for `convolutions_in`.
    """
    import h5py

    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
        config = json.loads(archive.read("config.json"))
    names = dict(_names_in_config(config["config"].get("layers", []), ""))
    with h5py.File(io.BytesIO(weights), "r") as file:
        stored = _stored_in_hdf5(file, names)
        return WeightFile(path, "Keras archive", convolutions_in(path, stored))


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


def _stored_in_hdf5(file: Any, names: Mapping[str, str]) -> Stored:
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
    if not any(map(our_name, datasets)):
        datasets = _named_by_order(datasets)
    return {where: partial(dataset.__getitem__, ()) for where, dataset in datasets.items()}


def _readable(where: str, dataset: Any, names: Mapping[str, str]) -> str:
    """Turn `layers/conv2d_3/vars/0` into `layers/conv2d_3/block2_conv2/kernel`; keep other paths.

    Keras 3 stores the layer's name at `vars`; Keras 2 does not, so `names` is needed.
    """
    *groups, last, leaf = "", *where.split("/")
    if last != "vars" or leaf not in ("0", "1"):
        return where
    place = "/".join(group for group in groups[1:] if group not in _CONTAINERS)
    name = dataset.parent.attrs.get("name") or names.get(place, groups[-1])
    return "/".join([*groups[1:], str(name), ("kernel", "bias")[int(leaf)]])


def _named_by_order(datasets: Mapping[str, Any]) -> dict[str, Any]:
    """Name a model's convolutions like those of the VGG network that has the same number."""
    named = dict(datasets)
    found = {where: place for where in datasets if (place := _COUNTED.fullmatch(where))}
    totals = Counter(place["within"] for place in found.values() if place["part"] == "kernel")
    for where, place in found.items():
        layers = _VGG_LAYERS.get(totals[place["within"]], ())
        number = int(place["number"] or 0)
        if number < len(layers):
            named[f"{place['within']}{layers[number]}/{place['part']}"] = named.pop(where)
    return named
