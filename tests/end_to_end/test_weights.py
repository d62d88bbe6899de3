"""`nst-batch weights`, and runs with networks whose weights are not in the package."""

import hashlib
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from nst_core.networks import CATALOGUE
from nst_core.networks.weight_files import read_weight_file, write_weight_file
from tests import weight_files
from tests.encoders import random_encoder
from tests.end_to_end.conftest import QUICK, Shell
from tests.http_server import Answer, closed_port, serving
from tests.pictures import write_csv

ALEXNET = CATALOGUE["alexnet"].topology
VGG16 = CATALOGUE["vgg16"].topology


@pytest.fixture(scope="module")
def alexnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "bvlc_alexnet.npy"
    weight_files.write_npy(path, random_encoder(ALEXNET).weights)
    return path


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16_weights.npz"
    return weight_files.write_npz(path, random_encoder(VGG16).weights)


def cached_files(shell: Shell) -> list[str]:
    """Return the names of the weight files in the cache, without locks and logs."""
    folder = Path(shell.environment["NST_BATCH_CACHE"]) / "weights"
    return sorted(
        path.name for path in folder.glob("*") if path.suffix != ".log" and path.name[0] != "."
    )


def with_environment(shell: Shell, **more: str) -> Shell:
    return Shell(shell.folder, {**shell.environment, **more})


def test_list_shows_available_weights_and_advice(shell: Shell, vgg_file: Path) -> None:
    states = {
        row["network"]: row for row in json.loads(shell.run("weights", "list", "--json").stdout)
    }
    assert set(states) == set(CATALOGUE)
    assert states["compact"]["state"] == "ok"
    assert "nst-batch weights fetch vgg19" in states["vgg19"]["advice"]
    assert "nst-batch weights normalize vgg19" in states["vgg19-normalized"]["advice"]
    assert "bvlc_alexnet.npy" in states["alexnet"]["advice"]
    named = with_environment(shell, NST_BATCH_WEIGHTS=str(vgg_file))
    states = {
        row["network"]: row for row in json.loads(named.run("weights", "list", "--json").stdout)
    }
    assert states["vgg16"]["state"] == "ok"
    assert str(vgg_file) in states["vgg16"]["found"]
    assert states["vgg19"]["state"] == "absent"


def test_convert_stores_weights_where_runs_find_them(shell: Shell, alexnet_file: Path) -> None:
    result = shell.run("weights", "convert", alexnet_file)
    assert (result.returncode, result.stderr) == (0, "")
    assert cached_files(shell) == ["alexnet.safetensors"]
    written = read_weight_file(
        Path(shell.environment["NST_BATCH_CACHE"]) / "weights" / "alexnet.safetensors"
    )
    assert written.notes == {"network": "alexnet", "source": "bvlc_alexnet.npy"}
    for name, array in read_weight_file(alexnet_file).arrays.items():
        np.testing.assert_array_equal(array, written.arrays[name])

    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    found = shell.run("check", manifest, "--encoder", "alexnet", "--size", "64", "--enlarge")
    assert (found.returncode, found.stderr) == (0, "")
    assert "to be downloaded" not in found.stdout


@pytest.mark.nights
def test_convert_reverses_the_channels_of_the_first_layer_on_request(
    shell: Shell, vgg_file: Path
) -> None:
    assert (
        shell.run("weights", "convert", vgg_file, "-o", "bgr.safetensors", "--from-rgb").returncode
        == 0
    )
    before = read_weight_file(vgg_file).arrays
    after = read_weight_file(shell.folder / "bgr.safetensors").arrays
    np.testing.assert_array_equal(after["conv1_1.weight"], before["conv1_1.weight"][:, :, ::-1])
    np.testing.assert_array_equal(after["conv1_2.weight"], before["conv1_2.weight"])
    assert read_weight_file(shell.folder / "bgr.safetensors").notes["converted_from_rgb"] == "yes"


def test_show_lists_format_network_and_layers(shell: Shell, vgg_file: Path) -> None:
    result = shell.run("weights", "show", vgg_file, "--json")
    assert result.returncode == 0
    shown = json.loads(result.stdout)
    assert (shown["format"], shown["network"], shown["error"]) == ("NumPy archive", "vgg16", None)
    assert len(shown["layers"]) == 26
    assert shown["layers"][0]["shape"] == "3 x 3 x 3 x 64"
    plain = shell.run("weights", "show", vgg_file)
    assert shown["fingerprint"] in plain.stdout
    assert shown["md5"] in plain.stdout


class _Evil:
    """An object that writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.marker, "executed"))


def faulty_file(kind: str, folder: Path, vgg_file: Path) -> Path:
    """Write a weight file with this kind of fault, and return its path."""
    path = folder / f"{kind}.safetensors"
    weights = dict(random_encoder(VGG16).weights)
    if kind == "truncated":
        path = path.with_suffix(".npz")
        path.write_bytes(vgg_file.read_bytes()[:1_000_000])
    elif kind == "missing layer":
        del weights["conv3_2.weight"]
        write_weight_file(path, weights, {})
    elif kind == "wrong shape":
        write_weight_file(path, {**weights, "conv2_1.bias": np.zeros(7, np.float32)}, {})
    elif kind == "half precision":
        path = path.with_suffix(".npz")
        halves = {name: array.astype(np.float16) for name, array in weights.items()}
        weight_files.write_npz(path, halves)
    elif kind == "malicious":
        path = path.with_suffix(".npy")
        pickled = io.BytesIO()
        np.save(pickled, np.array({"conv1": [_Evil(folder / "marker"), 0]}, dtype=object))
        path.write_bytes(pickled.getvalue())
        pickle.loads(pickle.dumps(_Evil(folder / "proof")))
        assert (folder / "proof").exists(), "the pickle would do nothing anyway"
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "cannot be read"),
        pytest.param("missing layer", "conv3_2.weight", marks=pytest.mark.nights),
        ("wrong shape", "conv2_1.bias"),
        pytest.param("half precision", "float16", marks=pytest.mark.nights),
        ("malicious", "none was run"),
    ],
)
def test_a_faulty_file_is_reported_and_neither_run_nor_kept(
    shell: Shell, vgg_file: Path, kind: str, message: str
) -> None:
    path = faulty_file(kind, shell.folder, vgg_file)
    for command in ("convert", "show"):
        result = shell.run("weights", command, path)
        assert result.returncode == 2
        for part in (message, str(path)):
            assert part in result.stderr
        assert "Traceback" not in result.stderr
    assert not (shell.folder / "marker").exists()
    assert cached_files(shell) == []


def test_a_faulty_file_is_a_fault_of_the_rows_that_need_it(shell: Shell, vgg_file: Path) -> None:
    path = faulty_file("malicious", shell.folder, vgg_file)
    manifest = write_csv(
        shell.folder / "m.csv",
        ("content", "style", "encoder"),
        ("a.png", "s.png", "alexnet"),
        ("a.png", "s.png", ""),
    )
    configured = with_environment(shell, NST_BATCH_WEIGHTS=str(path))
    result = configured.run("check", manifest, *QUICK)
    assert result.returncode == 1
    assert "none was run" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert "2 rows: 1 can run" in result.stdout
    assert not (shell.folder / "marker").exists()


@pytest.mark.parametrize(
    ("command", "cases"),
    [
        pytest.param(["check"], 3, id="check"),
        pytest.param(["plan", "-o", "out"], 1, id="plan", marks=pytest.mark.nights),
        pytest.param(["run", "-o", "out"], 1, id="run", marks=pytest.mark.nights),
    ],
)
def test_weights_given_to_a_run_must_fit_its_encoder(
    shell: Shell, alexnet_file: Path, command: list[str], cases: int
) -> None:
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    for path, message in (
        (alexnet_file, "it contains weights of alexnet; expected weights of vgg16"),
        (shell.folder / "gone.h5", "no such file or folder"),
        (shell.folder, "none of its files has one of the expected names"),
    )[:cases]:
        arguments = [manifest, *QUICK, "--encoder", "vgg16", "--weights", path]
        result = shell.run(*command, *arguments)
        assert result.returncode == 2
        assert f"{path} (--weights): {message}" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_download_with_a_wrong_checksum_is_not_kept(shell: Shell) -> None:
    with serving(Answer(b"something else")) as server:
        mirrored = with_environment(shell, NST_BATCH_MIRROR=server.url)
        result = mirrored.run("weights", "fetch", "vgg16")
        assert len(server.requests) == 2
    assert result.returncode == 3
    assert "Expected MD5 6d6bbae143d832006294945121d1f1fc" in result.stderr
    assert hashlib.md5(b"something else").hexdigest() in result.stderr
    assert shell.environment["NST_BATCH_CACHE"] in result.stderr
    assert "Traceback" not in result.stderr
    assert cached_files(shell) == []


@pytest.mark.parametrize("name", ["alexnet", "compact", "vgg16-normalized", "vgg99"])
def test_weights_that_cannot_be_fetched_are_reported(shell: Shell, name: str) -> None:
    result = shell.run("weights", "fetch", name)
    assert result.returncode == 2
    assert name in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.nights
def test_missing_weights_are_reported_with_all_details_when_offline(shell: Shell) -> None:
    manifest = write_csv(
        shell.folder / "m.csv",
        ("content", "style", "encoder"),
        ("a.png", "s.png", "vgg19"),
        ("a.png", "s.png", "compact"),
    )
    offline = with_environment(shell, NST_BATCH_MIRROR=f"http://127.0.0.1:{closed_port()}")
    check = offline.run("check", manifest)
    assert check.returncode == 0
    assert (
        "to be downloaded first: vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, 80 MB"
        in check.stdout
    )
    result = offline.run("run", manifest, "-o", "out", *QUICK)
    assert result.returncode == 1
    assert "1 done, 1 invalid" in result.stdout
    for part in (
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "253f8cb515780f3b799900260a226db6",
        str(Path(shell.environment["NST_BATCH_CACHE"]) / "weights"),
        "Connection refused",
        "--encoder compact",
    ):
        assert part in result.stdout


@pytest.mark.nights
def test_normalize_makes_a_normalized_network_that_runs_find(shell: Shell, vgg_file: Path) -> None:
    result = shell.run("weights", "normalize", "vgg16", ".", "--weights", vgg_file, "--size", "64")
    assert result.returncode == 0
    # Four small pictures are far too few, and a warning says so.
    assert "filters hardly fire on these 4 pictures" in result.stderr
    assert cached_files(shell) == ["vgg16-normalized.safetensors"]
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    arguments = [
        "--preset",
        "gatys",
        "--encoder",
        "vgg16-normalized",
        "--size",
        "48",
        "--steps",
        "3",
    ]
    run = shell.run("run", manifest, "-o", "out", *arguments, "--enlarge", "--json")
    assert run.returncode == 0, run.stdout
    (row,) = json.loads(run.stdout)["rows"]
    assert row["encoder"] == "vgg16-normalized"
    assert row["total_loss"] < row["start_loss"]


@pytest.mark.nights
def test_normalize_refuses_unsuitable_networks_and_weights(
    shell: Shell, alexnet_file: Path
) -> None:
    for arguments, message in (
        (("alexnet", "."), "alexnet cannot be normalized"),
        (("vgg16", "."), "it contains weights of alexnet; expected weights of vgg16"),
        (("vgg99", "."), "no encoder is called 'vgg99'"),
    ):
        result = shell.run("weights", "normalize", *arguments, "--weights", alexnet_file)
        assert result.returncode == 2
        assert message in result.stderr
        assert "Traceback" not in result.stderr


def test_list_and_show_load_neither_prefect_nor_tensorflow(shell: Shell, vgg_file: Path) -> None:
    for arguments in (["weights", "list"], ["weights", "show", str(vgg_file)]):
        shell.run_and_then(
            arguments, "assert not {'prefect', 'tensorflow', 'keras'} & set(sys.modules)"
        )
