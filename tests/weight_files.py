"""Weight files for tests in common formats, byte for byte where a format is fixed."""

import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from nst_core.networks.encoder import Weights
from nst_core.networks.topology import Topology

Layers = Mapping[str, Sequence[NDArray]]
"""Name of a layer -> kernel and bias."""


def random_weights(topology: Topology, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return standard normal numbers for all arrays that a network needs."""
    draw = np.random.default_rng(seed)
    return {
        name: draw.standard_normal(shape, np.float32)
        for name, shape in topology.weight_shapes.items()
    }


def layers_of(weights: Weights) -> dict[str, list[NDArray]]:
    """Return the kernel and the bias of each layer, by its name."""
    names = dict.fromkeys(name.partition(".")[0] for name in weights)
    return {name: [weights[f"{name}.weight"], weights[f"{name}.bias"]] for name in names}


def keras_name(name: str) -> str:
    """Return Keras's name of a convolution of VGG: `conv3_2` is `block3_conv2`."""
    block, _, position = name.removeprefix("conv").partition("_")
    return f"block{block}_conv{position}"


# Keras.


def write_keras_1_hdf5(path: Path, weights: Weights, *, with_top: bool = False) -> Path:
    """Write the layout of VGG's published `*_weights_tf_dim_ordering_tf_kernels_notop.h5`.

    Args:
        with_top: whether to add fully connected layers, as in the file without `_notop`, but tiny.
    """
    layers = {keras_name(name): arrays for name, arrays in layers_of(weights).items()}
    pools = {f"{name.partition('_')[0]}_pool" for name in layers}
    order = ["input_1", *sorted([*layers, *pools])]
    if with_top:
        tiny = [np.ones((2, 2), np.float32), np.ones(2, np.float32)]
        layers |= dict.fromkeys(("fc1", "fc2", "predictions"), tiny)
        order += ["flatten", "fc1", "fc2", "predictions"]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in order])
        for name in order:
            arrays = layers.get(name, [])
            group = file.create_group(name)
            stored = [f"{name}_{part}_1:0" for part, _ in zip("Wb", arrays, strict=False)]
            group.attrs["weight_names"] = np.array([part.encode() for part in stored], "S32")
            for part, array in zip(stored, arrays, strict=True):
                group[part] = array
    return path


def write_keras_weights(path: Path | io.BytesIO, weights: Weights, *, named: bool = True) -> None:
    """Write the layout of a `.weights.h5` file of Keras 3.

    Args:
        named: whether to write the names of layers, which Keras 2 leaves out.
    """
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for number, (name, arrays) in enumerate(layers_of(weights).items()):
            place = f"layers/conv2d_{number}/vars" if number else "layers/conv2d/vars"
            group = file.create_group(place)
            if named:
                group.attrs["name"] = keras_name(name)
            for part, array in enumerate(arrays):
                group[str(part)] = array


def write_keras_archive(path: Path, weights: Weights, *, named: bool = True) -> Path:
    """Write the layout of a `.keras` file of Keras 3; its configuration only names layers.

    Args:
        named: whether to write the names of layers next to the weights, which Keras 2 does not.
    """
    content = io.BytesIO()
    write_keras_weights(content, weights, named=named)
    names = [keras_name(name) for name in layers_of(weights)]
    layers = [{"class_name": "Conv2D", "config": {"name": name}} for name in names]
    start = {"class_name": "InputLayer", "config": {"name": "input_layer"}}
    config = {"class_name": "Functional", "config": {"name": "vgg", "layers": [start, *layers]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", content.getvalue())
    return path


# NumPy.


def write_npz(path: Path, weights: Weights) -> Path:
    """Write the layout of `vgg16_weights.npz`, with tiny fully connected layers."""
    arrays = {
        f"{name}_{part}": array
        for name, pair in layers_of(weights).items()
        for part, array in zip("Wb", pair, strict=True)
    }
    np.savez(path, **arrays, fc6_W=np.ones((2, 2), np.float32), fc6_b=np.ones(2, np.float32))
    return path


def write_npy(path: Path, weights: Weights, *, python: int = 3) -> Path:
    """Write the layout of `bvlc_alexnet.npy`, with a tiny fully connected layer.

    Args:
        python: the major version of Python that wrote the file.
    """
    layers = {**layers_of(weights), "fc6": [np.ones((2, 2), np.float32), np.ones(2, np.float32)]}
    if python == 2:
        path.write_bytes(in_npy(python_2_pickle(layers)))
    else:
        with path.open("wb") as file:
            np.save(file, np.array(layers, object))
    return path


def in_npy(pickle: bytes) -> bytes:
    """Return a `.npy` file that contains the pickle of an array of one object."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    return b"\x93NUMPY\1\0" + struct.pack("<H", 118) + header.ljust(117) + b"\n" + pickle


def python_2_pickle(layers: Layers) -> bytes:
    """Return a pickle as NumPy wrote it under Python 2 (protocol 2), where bytes were strings."""
    entries = b"".join(
        _string(name.encode()) + b"]" + b"(" + b"".join(map(_array, arrays)) + b"e"
        for name, arrays in layers.items()
    )
    content = b"]}(" + entries + b"ua"
    state = b"(K\1)" + _dtype(b"O8", b"|") + b"\x89" + content + b"t"
    return b"\x80\2" + _RECONSTRUCT + state + b"b."


_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R"


def _array(array: NDArray) -> bytes:
    order = array.dtype.str[:1].encode()
    shape = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in array.shape) + b"t"
    fortran = array.flags.fnc
    data = _string(array.tobytes("F" if fortran else "C"))
    state = b"(K\1" + shape + _dtype(array.dtype.str[1:].encode(), order)
    return _RECONSTRUCT + state + (b"\x88" if fortran else b"\x89") + data + b"tb"


def _dtype(code: bytes, order: bytes) -> bytes:
    start = b"cnumpy\ndtype\n" + _string(code) + b"K\0K\1\x87R"
    sides = b"J\xff\xff\xff\xff" * 2
    flags = b"K\x3f" if code.startswith(b"O") else b"K\0"
    return start + b"(K\3" + _string(order) + b"NNN" + sides + flags + b"tb"


def _string(text: bytes) -> bytes:
    if len(text) < 256:
        return b"U" + bytes([len(text)]) + text
    return b"T" + struct.pack("<i", len(text)) + text
