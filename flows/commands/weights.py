"""`nst-batch weights`: which are here; fetching, converting, normalizing, looking at them."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.commands.pairs import find_pictures
from flows.exit_codes import ENGINE_FAILED, SUCCESS, UNUSABLE
from flows.libraries_log import libraries_log
from flows.terminal import Terminal, listening, refuse
from nst_core.networks import CATALOGUE
from nst_core.networks.catalogue import Network
from nst_core.networks.encoder import Encoder, Weights
from nst_core.networks.loading import load_encoder, network_named
from nst_core.networks.store import WeightStore, networks_of
from nst_core.networks.weight_files import (
    WeightFile,
    WeightsError,
    read_weight_file,
    weights_for,
    write_weight_file,
)
from nst_core.pictures import PictureError, load
from nst_core.settings import DEFAULT_MAX_PIXELS
from tasks.progress import BatchProgress, tell_batch


@dataclass(frozen=True)
class NetworkWeights:
    """A network, and whether its weights are here: what the user can do is in `advice`."""

    network: str
    state: str
    found: str
    advice: str = ""


def list_weights(terminal: Terminal, store: WeightStore) -> int:
    """Show every network, where its weights are, and what to do where they are not."""
    states = [state_of(network, store) for network in CATALOGUE.values()]
    terminal.table([asdict(state) for state in states])
    terminal.result([asdict(state) for state in states])
    return SUCCESS


def state_of(network: Network, store: WeightStore) -> NetworkWeights:
    """Whether a network's weights are here, read and found to be in order."""
    if network.is_shipped:
        return NetworkWeights(network.name, "ok", "in the package")
    try:
        path = store.find(network)
        if path is not None:
            encoder = load_encoder(network.name, weights=path)
            return NetworkWeights(network.name, "ok", f"{path} ({encoder.fingerprint[:12]})")
    except WeightsError as error:
        return NetworkWeights(network.name, "error", str(error))
    if network.published:
        megabytes = network.published.size / 1e6
        advice = f"a run downloads {megabytes:.0f} MB, or: nst-batch weights fetch {network.name}"
        return NetworkWeights(network.name, "absent", "", advice)
    return NetworkWeights(network.name, "absent", "", network.advice)


def fetch(terminal: Terminal, store: WeightStore, names: tuple[str, ...]) -> int:
    """Download the published weights of networks into the cache; those that are there, verify."""
    from nst_core.networks.download import fetch_published

    try:
        networks = [network_named(name) for name in names]
        if not networks:
            raise ValueError("fetch what? Expected vgg16, vgg19 or both")
    except ValueError as error:
        return refuse(terminal, error)
    paths = []
    for network in networks:
        if network.published is None:
            why = "it comes with the package" if network.is_shipped else network.advice
            return refuse(terminal, WeightsError(f"{network.name}: nothing to download; {why}"))
        terminal.say(f"{network.published.name} ({network.published.size / 1e6:.0f} MB) ...")
        try:
            with listening(terminal):
                path = fetch_published(network.published, store.kept, on_progress=_tell_download)
        except WeightsError as error:
            terminal.fail(str(error))
            terminal.result({"error": str(error)})
            return ENGINE_FAILED
        terminal.say(f"{network.name}: {path}")
        paths.append(path)
    terminal.result({"files": [str(path) for path in paths]})
    return SUCCESS


def _tell_download(done: int, total: int) -> None:
    tell_batch(BatchProgress("downloading", done, total))


def convert(
    terminal: Terminal, store: WeightStore, source: Path, output: Path | None, *, from_rgb: bool
) -> int:
    """Write a network's weights from any format as safetensors, checked whole."""
    try:
        file = read_weight_file(source)
        name = the_network_of(file)
        weights = weights_for(CATALOGUE[name].topology, file)
    except WeightsError as error:
        return refuse(terminal, error)
    if from_rgb:
        weights = turned_round(weights, CATALOGUE[name])
    notes = {**file.notes, "network": name, "source": source.name}
    return _write(terminal, output or store.kept / f"{name}.safetensors", weights, notes)


def the_network_of(file: WeightFile) -> str:
    """The one network that a file's weights are for.

    Raises:
        WeightsError: they are for none; the message says what the nearest one misses.
    """
    names = networks_of(file)
    if not names:
        raise WeightsError(why_for_no_network(file))
    return names[0]


def why_for_no_network(file: WeightFile) -> str:
    """What keeps a file from being that of the network it has most layers of."""
    candidates = [network for network in CATALOGUE.values() if not network.is_shipped]
    nearest = max(
        candidates,
        key=lambda network: (
            len(network.topology.weight_shapes.keys() & file.arrays.keys())
            / len(network.topology.weight_shapes.keys() | file.arrays.keys())
        ),
    )
    try:
        weights_for(nearest.topology, file)
    except WeightsError as error:
        return str(error)
    known = ", ".join(network.name for network in candidates)
    return f"{file.path}: its layers are those of no network here; expected one of {known}"


def turned_round(weights: Weights, network: Network) -> Weights:
    """With the color channels that the first convolution expects in the opposite order."""
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
    """Write weights with which each filter's mean activation over the pictures is 1."""
    try:
        network = network_named(name)
        if f"{name}-normalized" not in CATALOGUE:
            raise ValueError(f"{name} cannot be normalized; expected vgg16 or vgg19")
        path = store.find(network)
        if path is None:
            raise store.missing(network)
        encoder = load_encoder(name, weights=path)
        found = find_pictures(pictures)
        if not found:
            raise ValueError(f"{pictures}: no pictures; expected a folder or a glob")
        store.kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        with libraries_log(store.kept / "libraries.log"):
            weights, rare = _normalized(terminal, encoder, found, size)
    except (ValueError, WeightsError, PictureError) as error:
        return refuse(terminal, error)
    if rare:
        terminal.fail(
            f"warning: {rare} filters hardly fire on these {len(found)} pictures and will outweigh "
            "the others; take more pictures, of more kinds"
        )
    notes = {
        "network": f"{name}-normalized",
        "source": path.name,
        "pictures": str(len(found)),
        "size": str(size),
    }
    return _write(terminal, output or store.kept / f"{name}-normalized.safetensors", weights, notes)


def _normalized(
    terminal: Terminal, encoder: Encoder, paths: list[Path], size: int
) -> tuple[Weights, int]:
    from nst_core.networks.normalization import mean_activations, normalized, rare_filters

    def pictures() -> Iterator[NDArray[np.float32]]:
        for number, path in enumerate(paths, start=1):
            tell_batch(BatchProgress("examined", number, len(paths)))
            yield load(path, size=size, enlarge=False, max_pixels=DEFAULT_MAX_PIXELS).rgb

    with listening(terminal):
        means = mean_activations(encoder, pictures())
    return normalized(encoder.topology, encoder.weights, means), rare_filters(means)


def _write(terminal: Terminal, path: Path, weights: Weights, notes: dict[str, str]) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_weight_file(path, weights, notes)
    except OSError as error:
        return refuse(terminal, WeightsError(f"{path}: cannot be written: {error.strerror}"))
    terminal.say(f"{path}: {notes['network']}, {path.stat().st_size / 1e6:.0f} MB")
    terminal.result({"file": str(path), **notes})
    return SUCCESS


def show(terminal: Terminal, path: Path) -> int:
    """Tell what a weight file holds, for which network, and what is wrong with it."""
    try:
        file = read_weight_file(path)
    except WeightsError as error:
        return refuse(terminal, error)
    names = networks_of(file)
    facts: dict[str, Any] = {
        "file": str(path),
        "format": file.format,
        "network": names[0] if names else None,
        "md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
        "fingerprint": None,
        "notes": dict(file.notes),
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
    for name, note in file.notes.items():
        terminal.say(f"{name} (noted in the file): {note}")
    if wrong:
        terminal.fail(wrong)
    terminal.result(facts | {"error": wrong})
    return UNUSABLE if wrong else SUCCESS


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
