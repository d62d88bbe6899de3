"""`nst-batch weights`: list, fetch, convert, normalize and show weights."""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.cli.exit_codes import ENGINE_FAILED, SUCCESS, UNUSABLE
from flows.cli.progress import live_progress
from flows.cli.terminal import Terminal, as_error, refuse
from flows.process.libraries_log import libraries_log
from nst_core.images.picture_files import PictureError
from nst_core.images.read import load
from nst_core.networks import CATALOGUE
from nst_core.networks.catalogue import Network
from nst_core.networks.download import fetch_published
from nst_core.networks.encoder import Encoder, Weights
from nst_core.networks.loading import load_encoder, network_named, refer_to
from nst_core.networks.recognition import networks_of, the_network_of, why_for_no_network
from nst_core.networks.store import WeightStore
from nst_core.networks.weight_files import (
    WeightFile,
    WeightsError,
    read_weight_file,
    weights_for,
    write_weight_file,
)
from nst_core.storage.local import make_private
from nst_core.storage.near_names import unreadable
from nst_core.storage.places import Place
from tasks.events import FileDownloading, PictureExamined, emit
from tasks.store.picture_folders import find_pictures

FROM_RGB = "converted_from_rgb"
"""The note in a file whose first layer was reversed, so that it is not reversed back unnoticed."""

EARLIER_FROM_RGB = "turned_round_from_rgb"
"""The name of that note in files from before it was called `FROM_RGB`."""


@dataclass(frozen=True)
class NetworkWeights:
    """A network, and whether this machine has its weights; `advice` says what the user can do."""

    network: str
    state: str
    found: str
    advice: str = ""


def list_weights(terminal: Terminal, store: WeightStore) -> int:
    """Show every network, where its weights are, and what to do if they are missing."""
    states = [state_of(network, store) for network in CATALOGUE.values()]
    terminal.table([asdict(state) for state in states])
    terminal.result([asdict(state) for state in states])
    return SUCCESS


def state_of(network: Network, store: WeightStore) -> NetworkWeights:
    """Return whether this machine has a network's weights, which are read and checked."""
    if network.is_shipped:
        return NetworkWeights(network.name, "ok", "in the package")
    try:
        if store.find(network) is None and network.published is None:
            return NetworkWeights(network.name, "absent", "", network.advice)
        encoder = refer_to(network.name, "trained", store)
    except WeightsError as error:
        return NetworkWeights(network.name, "error", str(error))
    if encoder.download:
        megabytes = encoder.download.size / 1e6
        advice = (
            f"a run downloads {megabytes:.0f} MB; to do it now: "
            f"nst-batch weights fetch {network.name}"
        )
        return NetworkWeights(network.name, "absent", "", advice)
    return NetworkWeights(network.name, "ok", f"{encoder.weights} ({encoder.fingerprint[:12]})")


def fetch(terminal: Terminal, store: WeightStore, names: tuple[str, ...]) -> int:
    """Download the published weights of networks into the cache; verify those already there."""
    try:
        networks = [network_named(name) for name in names]
        if not networks:
            raise ValueError("no network named; expected vgg16, vgg19 or both")
    except ValueError as error:
        return refuse(terminal, error)
    paths = []
    for network in networks:
        if network.published is None:
            why = "it comes with the package" if network.is_shipped else network.advice
            return refuse(terminal, WeightsError(f"{network.name}: nothing to download; {why}"))
        name = network.published.name

        def report(done: int, total: int, name: str = name) -> None:
            emit(FileDownloading(name, done, total))

        try:
            with live_progress(terminal):
                path = fetch_published(network.published, store.folder, on_progress=report)
        except WeightsError as error:
            terminal.fail(as_error(str(error)))
            terminal.result({"error": str(error)})
            return ENGINE_FAILED
        terminal.say(f"{network.name}: {path}")
        paths.append(path)
    terminal.result({"files": [str(path) for path in paths]})
    return SUCCESS


def convert(
    terminal: Terminal, store: WeightStore, source: Path, output: Path | None, *, from_rgb: bool
) -> int:
    """Write a network's weights from any format as safetensors, after a complete check."""
    try:
        file = read_weight_file(source)
        name = the_network_of(file)
        weights = weights_for(CATALOGUE[name].topology, file)
    except WeightsError as error:
        return refuse(terminal, error)
    notes = {**_notes_of(file), "network": name, "source": source.name}
    if from_rgb:
        if FROM_RGB in notes:
            turned = f"{source}: its first layer was already converted from RGB; omit --from-rgb"
            return refuse(terminal, WeightsError(turned))
        weights = with_channels_reversed(weights, CATALOGUE[name])
        notes[FROM_RGB] = "yes"
    return _write(terminal, output or store.folder / f"{name}.safetensors", weights, notes)


def _notes_of(file: WeightFile) -> dict[str, str]:
    """Return a file's notes by their present names."""
    return {
        FROM_RGB if name == EARLIER_FROM_RGB else name: note for name, note in file.notes.items()
    }


def with_channels_reversed(weights: Weights, network: Network) -> Weights:
    """Return weights whose first convolution expects color channels in the opposite order."""
    first = f"{network.topology.convolutions[0].name}.weight"
    return {**weights, first: np.ascontiguousarray(weights[first][:, :, ::-1])}


def normalize(
    terminal: Terminal,
    store: WeightStore,
    name: str,
    pictures: str,
    output: Path | None,
    *,
    size: int,
) -> int:
    """Write weights that give each filter a mean activation of 1 over the pictures."""
    output = output or store.folder / f"{name}-normalized.safetensors"
    try:
        encoder, source = _plain_encoder(name, store)
        _check_can_be_written(output)
        with TemporaryDirectory() as folder, libraries_log(Path(folder) / "libraries.log"):
            weights, count = _normalized(terminal, encoder, pictures, size)
    except (ValueError, WeightsError) as error:
        return refuse(terminal, error)
    except OSError as error:
        return refuse(terminal, WeightsError(f"{output}: cannot be written: {error.strerror}"))
    notes = {
        "network": f"{name}-normalized",
        "source": source.name,
        "pictures": str(count),
        "size": str(size),
    }
    return _write(terminal, output, weights, notes)


def _plain_encoder(name: str, store: WeightStore) -> tuple[Encoder, Path]:
    network = network_named(name)
    if f"{name}-normalized" not in CATALOGUE:
        raise ValueError(f"{name} cannot be normalized; expected vgg16 or vgg19")
    store.check_use([network])
    path = store.find(network)
    if path is None:
        raise store.missing(network)
    return load_encoder(name, weights=path), path


def _check_can_be_written(path: Path) -> None:
    """Raise OSError now, not after minutes of work."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    make_private(path.absolute().parent)
    with TemporaryFile(dir=path.absolute().parent):
        pass


def _normalized(terminal: Terminal, encoder: Encoder, place: str, size: int) -> tuple[Weights, int]:
    """Return the weights and the number of pictures used; report and skip unusable ones."""
    from nst_core.networks.normalization import mean_activations, normalized, rare_filters

    try:
        paths = find_pictures(place).pictures
    except OSError as error:
        raise ValueError(unreadable(error)) from error
    if not paths:
        raise ValueError(f"{place}: no pictures; expected a folder or a glob")
    smallest = encoder.topology.smallest_side(encoder.topology.layer_names[:-1])
    used: list[Place] = []

    def pictures() -> Iterator[NDArray[np.float32]]:
        for number, path in enumerate(paths, start=1):
            emit(PictureExamined(number, len(paths)))
            try:
                pixels = load(path, size=size).rgb
            except PictureError as error:
                terminal.fail(f"left out: {error}")
                continue
            if min(pixels.shape[:2]) < smallest:
                terminal.fail(f"left out: {path}: expected at least {smallest} pixels each way")
                continue
            used.append(path)
            yield pixels

    with live_progress(terminal):
        means = mean_activations(encoder, pictures())
    if rare := rare_filters(means):
        terminal.fail(
            f"warning: {rare} filters hardly fire on these {len(used)} pictures and will outweigh "
            "the others; use more pictures, of more kinds"
        )
    return normalized(encoder.topology, encoder.weights, means), len(used)


def _write(terminal: Terminal, path: Path, weights: Weights, notes: dict[str, str]) -> int:
    try:
        make_private(path.absolute().parent)
        write_weight_file(path, weights, notes)
    except OSError as error:
        return refuse(terminal, WeightsError(f"{path}: cannot be written: {error.strerror}"))
    terminal.say(f"{path}: {notes['network']}, {path.stat().st_size / 1e6:.0f} MB")
    terminal.result({"file": str(path), **notes})
    return SUCCESS


def show(terminal: Terminal, path: Path) -> int:
    """Print what a weight file contains, for which network, and what is wrong with it."""
    try:
        file = read_weight_file(path)
    except WeightsError as error:
        return refuse(terminal, error)
    names = networks_of(file)
    facts: dict[str, Any] = {
        "file": str(path),
        "format": file.format,
        "network": names[0] if names else None,
        "md5": _md5(path),
        "fingerprint": None,
        "notes": _notes_of(file),
        "layers": [_layer(name, array) for name, array in file.arrays.items()],
    }
    wrong = None if names else why_for_no_network(file)
    try:
        if names:
            topology = CATALOGUE[names[0]].topology
            facts["fingerprint"] = Encoder(topology, weights_for(topology, file)).fingerprint
    except WeightsError as error:
        wrong = str(error)
    terminal.table(facts["layers"])
    for name in ("file", "format", "network", "md5", "fingerprint"):
        terminal.say(f"{name}: {facts[name] or 'none'}")
    for name, note in facts["notes"].items():
        terminal.say(f"{name} (noted in the file): {note}")
    if wrong:
        terminal.fail(as_error(wrong))
    terminal.result(facts | {"error": wrong})
    return UNUSABLE if wrong else SUCCESS


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _layer(name: str, array: NDArray[Any]) -> dict[str, Any]:
    values = array.astype(np.float64)
    finite = bool(np.isfinite(values).all())
    return {
        "layer": name,
        "shape": " x ".join(map(str, array.shape)),
        "type": str(array.dtype),
        "mean": round(float(values.mean()), 6) if finite else None,
        "deviation": round(float(values.std()), 6) if finite else None,
    }
