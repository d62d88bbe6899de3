"""Comparison of a weight file with what a network needs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nst_core.networks.encoder import Weights
from nst_core.networks.topology import Topology
from nst_core.networks.weight_files.convolutions import layer_order
from nst_core.networks.weight_files.weight_file import WeightFile, WeightsError


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
        raise WeightsError(f"{file.path}: it has {_listed(surplus)}, which {topology.name} lacks.")
    for problems in (_misshapen(topology, found), _imprecise(found), _not_finite(found)):
        _refuse(file, list(problems))
    return {name: np.ascontiguousarray(found[name], dtype=np.float32) for name in expected}


def networks_in(file: WeightFile, topologies: Iterable[Topology]) -> tuple[str, ...]:
    """Return the names of the networks whose layers have exactly the file's names and shapes."""
    shapes = {name: array.shape for name, array in file.arrays.items()}
    return tuple(topology.name for topology in topologies if dict(topology.weight_shapes) == shapes)


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names, key=layer_order)
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
            yield f"{name}: {count} of its {array.size} numbers are not finite"
