"""Weight files: written by Keras and NumPy, or made by hand in their formats."""

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from nst_core.networks import CATALOGUE
from nst_core.networks.topology import Convolution, Relu, Topology
from nst_core.networks.weight_files import (
    WeightFile,
    WeightsError,
    networks_in,
    read_weight_file,
    weights_for,
    write_weight_file,
)
from tests.weight_files import (
    keras_name,
    random_weights,
    write_keras_1_hdf5,
    write_keras_archive,
    write_keras_weights,
    write_npy,
    write_npz,
)

VGG = {name: CATALOGUE[name].topology for name in ("vgg16", "vgg19")}
SMALL = Topology(
    "small",
    (
        Convolution("conv1_1", 4),
        Relu("relu1_1"),
        Convolution("conv1_2", 6),
        Convolution("conv2_1", 4, groups=2),
    ),
)
WEIGHTS = random_weights(SMALL)


def small(path: Path) -> Path:
    """Write a small file in the format of the path's suffix, and return the path."""
    writers: Mapping[str, Callable[[Path], Any]] = {
        ".safetensors": lambda path: write_weight_file(path, WEIGHTS, {"network": "small"}),
        ".h5": lambda path: write_keras_1_hdf5(path, WEIGHTS),
        ".weights.h5": lambda path: write_keras_weights(path, WEIGHTS),
        ".keras": lambda path: write_keras_archive(path, WEIGHTS),
        ".npz": lambda path: write_npz(path, WEIGHTS),
        ".npy": lambda path: write_npy(path, WEIGHTS),
    }
    writers["".join(path.suffixes)](path)
    return path


SMALL_FILES = {
    "small.safetensors": "safetensors",
    "small.h5": "Keras HDF5",
    "small.weights.h5": "Keras weights",
    "small.keras": "Keras archive",
    "small.npz": "NumPy archive",
    "small.npy": "pickled NumPy arrays",
}


def check_equal(found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> None:
    """Check that the arrays are equal bit for bit, and in the same order."""
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as refused:
        read_weight_file(path)
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value)


# Files written by Keras.


def keras_model(name: str, **options: Any) -> Any:
    import keras

    applications = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
    return applications[name](include_top=False, input_shape=(32, 32, 3), **options)


def weights_in(model: Any, topology: Topology) -> dict[str, NDArray[np.float32]]:
    weights = {}
    for layer in topology.convolutions:
        kernel, bias = model.get_layer(keras_name(layer.name)).get_weights()
        weights |= {f"{layer.name}.weight": kernel, f"{layer.name}.bias": bias}
    return weights


@pytest.fixture(scope="module", params=VGG)
def full_size(request: pytest.FixtureRequest) -> Iterator[tuple[Path, Topology, dict[str, Any]]]:
    """Yield a folder with a random Keras model in each of Keras's formats, and its weights."""
    topology = VGG[request.param]
    model = keras_model(topology.name, weights=None)
    draw = np.random.default_rng(len(topology.convolutions))
    model.set_weights([draw.standard_normal(a.shape, np.float32) for a in model.get_weights()])
    # These files are large, and pytest would keep some of its own folders.
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.h5")
        model.save(f"{folder}/model.keras")
        model.save_weights(f"{folder}/model.weights.h5")
        yield Path(folder), topology, weights_in(model, topology)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.h5", "Keras HDF5"),
        ("model.keras", "Keras archive"),
        ("model.weights.h5", "Keras weights"),
    ],
)
def test_files_of_keras_are_read_bit_for_bit(
    full_size: tuple[Path, Topology, dict[str, Any]], name: str, kind: str
) -> None:
    folder, topology, expected = full_size
    file = read_weight_file(folder / name)
    assert (file.path, file.format, dict(file.notes)) == (folder / name, kind, {})
    check_equal(file.arrays, expected)
    check_equal(weights_for(topology, file), expected)
    assert networks_in(file, VGG.values()) == (topology.name,)


def test_the_published_file_of_keras_is_read_bit_for_bit(
    full_size: tuple[Path, Topology, dict[str, Any]],
) -> None:
    folder, topology, expected = full_size
    path = write_keras_1_hdf5(folder / "notop.h5", expected)
    check_equal(weights_in(keras_model(topology.name, weights=path), topology), expected)
    file = read_weight_file(path)
    assert file.format == "Keras HDF5"
    check_equal(file.arrays, expected)
    assert networks_in(file, VGG.values()) == (topology.name,)


def small_keras_model(*, within_another: bool = False) -> Any:
    """Return a Keras model whose optimizer has numbers for each layer."""
    import keras

    layers = [
        keras.layers.Conv2D(layer.channels, 3, groups=layer.groups, name=keras_name(layer.name))
        for layer in SMALL.convolutions
    ]
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers])
    model.set_weights(list(WEIGHTS.values()))
    if within_another:
        inner = keras.Model(model.inputs[0], model.outputs[0], name="vgg")
        head = [keras.layers.Conv2D(3, 1), keras.layers.Flatten(), keras.layers.Dense(2)]
        start = keras.layers.Conv2D(3, 1)
        model = keras.Sequential([keras.Input((16, 16, 3)), start, inner, *head])
    model.compile(keras.optimizers.Adam(0.0), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("within_another", [False, True])
@pytest.mark.parametrize("name", ["model.h5", "model.keras", "model.weights.h5"])
def test_optimizers_and_other_layers_are_left_out(
    tmp_path: Path, name: str, within_another: bool
) -> None:
    model = small_keras_model(within_another=within_another)
    path = tmp_path / name
    (model.save_weights if ".weights" in name else model.save)(path)
    check_equal(read_weight_file(path).arrays, WEIGHTS)


@pytest.mark.parametrize("within_another", [False, True])
def test_names_come_from_the_configuration_if_the_weights_have_none(
    tmp_path: Path, within_another: bool
) -> None:
    """Keras 2 writes such `.keras` files."""
    path = tmp_path / "model.keras"
    small_keras_model(within_another=within_another).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(members["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        file.visititems(lambda _, item: item.attrs.clear())
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in {**members, "model.weights.h5": content.getvalue()}.items():
            archive.writestr(name, member)
    with h5py.File(content) as file:
        file.visititems(lambda name, item: pytest.fail(name) if item.attrs else None)
    check_equal(read_weight_file(path).arrays, WEIGHTS)


# Files made by hand.


@pytest.mark.parametrize(("name", "kind"), SMALL_FILES.items())
def test_each_format_is_recognized_by_content_and_read(
    tmp_path: Path, name: str, kind: str
) -> None:
    small(tmp_path / name).rename(tmp_path / "weights.bin")
    for path in (small(tmp_path / name), tmp_path / "weights.bin"):
        file = read_weight_file(path)
        assert (file.path, file.format) == (path, kind)
        check_equal(file.arrays, WEIGHTS)
        check_equal(weights_for(SMALL, file), WEIGHTS)


def test_fully_connected_layers_are_left_out(tmp_path: Path) -> None:
    path = write_keras_1_hdf5(tmp_path / "vgg.h5", WEIGHTS, with_top=True)
    with h5py.File(path) as file:
        assert "predictions" in file
    check_equal(read_weight_file(path).arrays, WEIGHTS)
    with np.load(write_npz(tmp_path / "vgg.npz", WEIGHTS)) as archive:
        assert "fc6_W" in archive
    check_equal(read_weight_file(tmp_path / "vgg.npz").arrays, WEIGHTS)


@pytest.mark.parametrize(
    "where",
    [
        "block1_conv1/block1_conv1_W_1:0",
        "block1_conv1/block1_conv1_W:0",
        "block1_conv1/block1_conv1/kernel:0",
        "block1_conv1/block1_conv1/kernel",
        "block1_conv1/block1_conv1_3/kernel:0",
        "model_weights/block1_conv1/vgg16/block1_conv1/kernel:0",
        "model_weights/vgg16/block1_conv1_1/kernel:0",
        "conv1_1/kernel",
        "conv5/block1_conv1/kernel",
        "_layer_checkpoint_dependencies/block1_conv1/vars/0",
    ],
)
def test_a_keras_kernel_is_found_where_any_version_puts_it(tmp_path: Path, where: str) -> None:
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file[where] = WEIGHTS["conv1_1.weight"]
        file["optimizer_weights/Adam/m/block1_conv1/kernel:0"] = np.ones(3)
        file["optimizer/vars/0"] = np.ones(3)
        file["vars/0"] = file["0"] = np.ones(3)
    file = read_weight_file(tmp_path / "model.h5")
    assert file.format == ("Keras weights" if "vars" in where else "Keras HDF5")
    check_equal(file.arrays, {"conv1_1.weight": WEIGHTS["conv1_1.weight"]})


@pytest.mark.parametrize(
    "name",
    [
        "conv2d/kernel",
        "block1_conv1x/kernel",
        "block1_sepconv1/kernel",
        "block1_conv1_bn/gamma",
        "block1_conv1/gamma",
        "myconv1_1/kernel",
        "conv1_1_2/kernel",
        "conv1_bn/bias",
        "block1_conv1/kernel_momentum",
        "fc6/W",
    ],
)
def test_other_layers_are_not_taken_for_convolutions(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file[name] = np.ones(3)
        file["conv3_2/bias"] = np.ones(3)
    assert list(read_weight_file(tmp_path / "model.h5").arrays) == ["conv3_2.bias"]


@pytest.mark.parametrize("name", VGG)
@pytest.mark.parametrize("within", ["layers", "layers/functional/layers"])
@pytest.mark.parametrize("own_name", [None, "conv2d_77"])
def test_unnamed_convolutions_are_named_by_their_order(
    tmp_path: Path, name: str, within: str, own_name: str | None
) -> None:
    """The eleventh, `conv2d_10`, comes before the third in an HDF5 file."""
    expected = {}
    with h5py.File(tmp_path / "vgg.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.ones(3)
        for number, layer in enumerate(VGG[name].convolutions):
            group = file.create_group(f"{within}/conv2d{f'_{number}' if number else ''}/vars")
            if own_name:
                group.attrs["name"] = own_name
            group["0"], group["1"] = np.float32([number]), np.float32([-number])
            group["2"] = np.float32([77])
            expected[f"{layer.name}.weight"] = np.float32([number])
            expected[f"{layer.name}.bias"] = np.float32([-number])
    check_equal(read_weight_file(tmp_path / "vgg.weights.h5").arrays, expected)


def test_names_take_precedence_over_order(tmp_path: Path) -> None:
    names = [layer.name for layer in VGG["vgg16"].convolutions]
    numbers = {name: np.float32([number]) for number, name in enumerate(names)}
    weights = {f"{name}.{part}": numbers[name] for name in names for part in ("weight", "bias")}
    path = tmp_path / "vgg.weights.h5"
    write_keras_weights(path, dict(reversed(weights.items())))
    check_equal(read_weight_file(path).arrays, weights)


def test_unnamed_convolutions_of_another_count_are_refused(tmp_path: Path) -> None:
    write_keras_weights(tmp_path / "small.weights.h5", WEIGHTS, named=False)
    assert "'layers/conv2d_1/conv2d_1/kernel'" in refusal(tmp_path / "small.weights.h5")


def test_data_in_other_files_is_not_read(tmp_path: Path) -> None:
    write_keras_1_hdf5(tmp_path / "whole.h5", WEIGHTS)
    (tmp_path / "numbers").write_bytes(bytes(12))
    place = "block1_conv1/block1_conv1_b_1:0"
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(tmp_path / "whole.h5", place, (4,))
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["block1_conv1/W"] = h5py.ExternalLink(tmp_path / "whole.h5", place)
        outside = [(str(tmp_path / "numbers"), 0, 12)]
        file.create_dataset("block1_conv1/bias", (3,), np.float32, external=outside)
        file.create_virtual_dataset("block2_conv1/bias", layout)
    with h5py.File(tmp_path / "links.h5") as file:
        assert file["block1_conv1/W"].shape == (4,)
        assert file["block1_conv1/bias"][()].tolist() == [0, 0, 0]
        np.testing.assert_array_equal(file["block2_conv1/bias"], WEIGHTS["conv1_1.bias"])
    assert "no arrays at all" in refusal(tmp_path / "links.h5")


def test_a_layer_that_exists_twice_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["left/block1_conv1/kernel:0"] = np.ones(3)
        file["right/block1_conv1/kernel:0"] = np.ones(3)
    message = refusal(tmp_path / "two.h5")
    assert "'left/block1_conv1/kernel:0' and 'right/block1_conv1/kernel:0'" in message
    assert "conv1_1.weight" in message
    with h5py.File(tmp_path / "two.weights.h5", "w") as file:
        for number in range(13):
            group = f"layers/conv2d{f'_{number}' if number else ''}/vars/0"
            file[f"layers/functional/{group}"] = file[f"layers/functional_1/{group}"] = np.ones(3)
    message = refusal(tmp_path / "two.weights.h5")
    assert "Save the network that you want in a file of its own" in message


@pytest.mark.parametrize("python", [2, 3])
def test_alexnet_is_read_from_pickles_of_either_python(tmp_path: Path, python: int) -> None:
    topology = CATALOGUE["alexnet"].topology
    weights = random_weights(topology)
    file = read_weight_file(write_npy(tmp_path / "bvlc_alexnet.npy", weights, python=python))
    check_equal(file.arrays, weights)
    assert file.arrays["conv2.weight"].shape == (5, 5, 48, 256)
    networks = [network.topology for network in CATALOGUE.values()]
    assert networks_in(file, networks) == ("alexnet",)


@pytest.mark.parametrize("name", ["small.npz", "small.npy", "small.h5", "small.safetensors"])
def test_types_are_those_of_the_file(tmp_path: Path, name: str) -> None:
    halves = {key: array.astype(np.float16) for key, array in WEIGHTS.items()}
    writers: Mapping[str, Callable[..., Any]] = {
        "small.npz": write_npz,
        "small.npy": write_npy,
        "small.h5": write_keras_1_hdf5,
        "small.safetensors": lambda path, arrays: safetensors.numpy.save_file(arrays, path),
    }
    writers[name](tmp_path / name, halves)
    check_equal(read_weight_file(tmp_path / name).arrays, halves)


# Files that cannot be used.


@pytest.mark.parametrize("name", SMALL_FILES)
def test_a_file_truncated_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    content = small(tmp_path / name).read_bytes()
    path = tmp_path / "cut"
    ends = {*range(0, len(content), max(1, len(content) // 97)), *range(40), len(content) - 1}
    for length in ends:
        path.write_bytes(content[:length])
        refusal(path)


@pytest.mark.parametrize("name", ["small.safetensors", "small.npz"])
def test_damage_is_refused_or_harmless(tmp_path: Path, name: str) -> None:
    content = small(tmp_path / name).read_bytes()
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        damaged[draw.integers(len(content))] = draw.integers(256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            read_weight_file(tmp_path / "damaged")
        except WeightsError:
            refused += 1
    assert refused > 0


def test_a_path_that_is_no_file_is_reported_as_such(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.h5")
    assert "a folder" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html>\n<title>404</title>", "web page"),
        (b"\n  <html><body>", "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"\x80\2}q\0.", r"begins with the bytes 80 02 7d.*safetensors.*\.npz"),
        (b"conv1_1 {", "not a known format"),
        (b"PK\3\4", "cut off"),
    ],
)
def test_a_file_that_is_no_weight_file_is_reported_as_such(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_weight_file(path)
    refusal(path)


@pytest.mark.parametrize(
    ("member", "message"),
    [("archive/data.pkl", "PyTorch"), ("vgg16.h5", "unpack it"), ("config.json", "unpack it")],
)
def test_other_zip_files_are_reported_as_such(tmp_path: Path, member: str, message: str) -> None:
    with zipfile.ZipFile(tmp_path / "weights.zip", "w") as archive:
        archive.writestr(member, "content")
    assert message in refusal(tmp_path / "weights.zip")


def test_a_file_without_convolutions_is_refused_with_its_contents(tmp_path: Path) -> None:
    arrays = {f"features.{number}.weight": np.ones(1, np.float32) for number in range(9)}
    safetensors.numpy.save_file(arrays, tmp_path / "torch.safetensors")
    message = refusal(tmp_path / "torch.safetensors")
    assert "'features.0.weight', " in message
    assert "features.5" not in message
    np.savez(tmp_path / "empty.npz", other=np.ones(1))
    assert "'other'" in refusal(tmp_path / "empty.npz")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    assert "no arrays" in refusal(tmp_path / "empty.h5")


def test_a_plain_array_is_reported_as_such(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.ones(3))
    assert "a plain array" in refusal(tmp_path / "array.npy")


def test_pickles_within_an_archive_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", conv1_1_W=np.array({"a": 1}, object))
    assert "allow_pickle=False" in refusal(tmp_path / "weights.npz")


def test_arrays_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", conv1_1_W=np.array(["text"]))
    assert "conv1_1.weight has the type <U4, expected float32" in refusal(tmp_path / "weights.npz")


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "weights.npy", tmp_path / "mark"

    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch '{mark}'",)

    np.save(path, np.array({"conv1": [Touch()]}, object))
    message = refusal(path)
    assert "posix.system" in message
    assert "none was run" in message
    assert not mark.exists()


# Weights for a network.


def file_with(arrays: Mapping[str, NDArray[Any]]) -> WeightFile:
    return WeightFile(Path("/w/vgg.npz"), "NumPy archive", arrays)


def complaint(arrays: Mapping[str, NDArray[Any]], topology: Topology = SMALL) -> str:
    with pytest.raises(WeightsError) as refused:
        weights_for(topology, file_with(arrays))
    return str(refused.value)


def without(*names: str) -> dict[str, NDArray[np.float32]]:
    return {name: array for name, array in WEIGHTS.items() if name not in names}


def test_missing_layers_are_named() -> None:
    assert complaint(without("conv1_2.weight", "conv2_1.bias")) == (
        "/w/vgg.npz: it lacks conv1_2.weight, conv2_1.bias, which small needs."
    )
    message = complaint({}, VGG["vgg16"])
    assert "it lacks conv1_1.weight, conv1_1.bias, conv1_2.weight, " in message
    assert "conv2_2.bias and 18 more, which vgg16 needs" in message


def test_another_networks_layers_are_named() -> None:
    """VGG-19 has all layers of VGG-16 and more, with other numbers in them."""
    message = complaint(random_weights(VGG["vgg19"]), VGG["vgg16"])
    assert message == (
        "/w/vgg.npz: it has conv3_4.weight, conv3_4.bias, conv4_4.weight, conv4_4.bias, "
        "conv5_4.weight, conv5_4.bias, which vgg16 lacks."
    )


def test_wrong_shapes_are_reported_with_the_right_ones() -> None:
    wrong = np.ones((3, 3, 6, 5), np.float32)
    assert complaint({**WEIGHTS, "conv2_1.weight": wrong}) == (
        "/w/vgg.npz: conv2_1.weight has shape (3, 3, 6, 5), expected (3, 3, 3, 4) for small."
    )
    every = {name: array[..., :1] for name, array in WEIGHTS.items()}
    message = complaint(every)
    assert "conv1_1.weight has shape (3, 3, 3, 1), expected (3, 3, 3, 4) for small; " in message
    assert "and 3 more like it" in message


def test_the_order_of_other_frameworks_is_recognized() -> None:
    kernel = np.ones((5, 5, 3, 4), np.float32)
    topology = Topology("other", (Convolution("conv1", 4, kernel=5),))
    arrays = {"conv1.weight": kernel.transpose(3, 2, 0, 1), "conv1.bias": np.ones(4, np.float32)}
    assert (
        "conv1.weight has shape (4, 3, 5, 5) (another framework's order: out, in, height, width), "
        "expected (5, 5, 3, 4)"
    ) in complaint(arrays, topology)
    arrays["conv1.weight"] = np.ones((4, 5, 3, 5), np.float32)
    assert "framework" not in complaint(arrays, topology)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_other_types_are_refused(dtype: type) -> None:
    message = complaint({**WEIGHTS, "conv1_1.bias": WEIGHTS["conv1_1.bias"].astype(dtype)})
    assert f"conv1_1.bias: found {np.dtype(dtype)}, expected float32" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    array = WEIGHTS["conv1_2.weight"].copy()
    array.flat[[5, -1]] = value
    assert complaint({**WEIGHTS, "conv1_2.weight": array}) == (
        "/w/vgg.npz: conv1_2.weight: 2 of its 216 numbers are not finite."
    )


def test_other_byte_orders_and_layouts_become_plain_float32() -> None:
    arrays = {name: np.asfortranarray(array.astype(">f4")) for name, array in WEIGHTS.items()}
    weights = weights_for(SMALL, file_with(dict(reversed(arrays.items()))))
    check_equal(weights, WEIGHTS)
    assert all(array.flags.c_contiguous and array.dtype.isnative for array in weights.values())


def test_networks_are_recognized_by_every_layer_and_shape() -> None:
    wider = Topology("wider", (*SMALL.layers, Convolution("conv2_2", 4)))
    networks = (SMALL, wider, SMALL.with_pooling("max"), *VGG.values())
    assert networks_in(file_with(WEIGHTS), networks) == ("small", "small")
    assert networks_in(file_with(random_weights(wider)), networks) == ("wider",)
    assert networks_in(file_with(without("conv1_2.bias")), networks) == ()
    reshaped = {**WEIGHTS, "conv1_2.bias": np.ones((1, 6), np.float32)}
    assert networks_in(file_with(reshaped), networks) == ()
    assert networks_in(file_with({}), networks) == ()


# Our own format.


def test_written_files_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "small.safetensors"
    turned = {name: np.asfortranarray(array.astype(">f4")) for name, array in WEIGHTS.items()}
    longer = {name: array.astype(np.float64) for name, array in WEIGHTS.items()}
    for weights in (WEIGHTS, turned, longer):
        write_weight_file(path, weights, {"network": "small", "source": "\N{SNOWMAN}.h5"})
        file = read_weight_file(path)
        assert file.format == "safetensors"
        assert file.notes == {"network": "small", "source": "\N{SNOWMAN}.h5"}
        check_equal(file.arrays, WEIGHTS)
    write_weight_file(path, WEIGHTS, {})
    assert read_weight_file(path).notes == {}
    assert list(path.parent.iterdir()) == [path]


def test_written_files_are_plain_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    write_weight_file(path, WEIGHTS, {"network": "small"})
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header.pop("__metadata__") == {"network": "small"}
    assert set(header) == set(WEIGHTS)
    for name, facts in header.items():
        begin, end = facts["data_offsets"]
        assert (facts["dtype"], tuple(facts["shape"])) == ("F32", WEIGHTS[name].shape)
        assert content[8 + length :][begin:end] == WEIGHTS[name].tobytes()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = small(tmp_path / "small.safetensors")
    with pytest.raises(OSError, match="File name too long"):
        write_weight_file(path.with_name("x" * 300), WEIGHTS, {})
    check_equal(read_weight_file(path).arrays, WEIGHTS)


def test_heavy_libraries_are_only_imported_when_they_are_needed() -> None:
    program = (
        "import sys, nst_core.networks.weight_files as w; "
        "sys.exit(bool({'tensorflow', 'keras', 'h5py'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_types_that_numpy_lacks_are_reported_by_name(tmp_path: Path) -> None:
    header = json.dumps({"conv1_1.bias": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}})
    content = len(header).to_bytes(8, "little") + header.encode() + bytes(4)
    (tmp_path / "brain.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"conv1_1\.bias has the type BF16, expected float32"):
        read_weight_file(tmp_path / "brain.safetensors")
