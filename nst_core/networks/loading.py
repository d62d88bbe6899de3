"""Names and weight files -> encoders."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import safetensors.numpy

from nst_core.networks import CATALOGUE
from nst_core.networks.catalogue import Network, PublishedFile
from nst_core.networks.download import is_as_published
from nst_core.networks.encoder import Encoder, Weights
from nst_core.networks.recognition import noted_network
from nst_core.networks.store import WeightStore
from nst_core.networks.topology import Pooling
from nst_core.networks.weight_files import WeightsError, read_weight_file, weights_for


def network_named(name: str) -> Network:
    """The catalogue's entry.

    Raises:
        ValueError: no encoder has that name.
    """
    if name not in CATALOGUE:
        raise ValueError(f"no encoder is called {name!r}; there are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def load_encoder(name: str, pooling: Pooling = "trained", weights: Path | None = None) -> Encoder:
    """The encoder of that name; the same object as long as its file stays the same.

    Args:
        name: of the catalogue.
        pooling: another kind than it was trained with, if wanted.
        weights: a file, or a folder to look in first; where none is given, `NST_BATCH_WEIGHTS` and
            the user's cache are looked at. Nothing is downloaded
            (`nst_core.networks.download.fetch_published` does).

    Raises:
        ValueError: no encoder has that name.
        WeightsError: no weights are there, or they cannot be used.
    """
    network = network_named(name)
    if network.is_shipped:
        return _encoder(name, pooling, None, ())
    path = weights if weights and weights.is_file() else None
    if path is None:
        store = WeightStore.of_user(weights)
        path = store.find(network)
        if path is None:
            raise store.missing(network)
    return _encoder(name, pooling, path.absolute(), _stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


@cache
def _encoder(name: str, pooling: Pooling, path: Path | None, stamp: tuple[int, ...]) -> Encoder:
    return Encoder(CATALOGUE[name].topology.with_pooling(pooling), _weights(name, path, stamp))


@cache
def _weights(name: str, path: Path | None, stamp: tuple[int, ...]) -> Weights:  # noqa: ARG001 - another stamp, another file
    if path is None:
        return _shipped_weights(name)
    file = read_weight_file(path)
    said = noted_network(file)
    if said and said != name:
        raise WeightsError(f"{path}: it says that it holds {said}; expected weights of {name}")
    return weights_for(CATALOGUE[name].topology, file)


def _shipped_weights(name: str) -> Weights:
    """The weights in the package, which are kept there in half precision."""
    shipped = resources.files("nst_core.networks").joinpath(f"{name}.safetensors").read_bytes()
    arrays = safetensors.numpy.load(shipped)
    return {layer: array.astype(np.float32) for layer, array in arrays.items()}


@dataclass(frozen=True)
class EncoderReference:
    """An encoder by its name and file: small and plain, as it crosses task boundaries.

    Attributes:
        weights: the file; None where they come with the package, or are not there yet.
        fingerprint: empty where the weights are not there yet.
    """

    name: str
    pooling: Pooling
    weights: Path | None
    fingerprint: str

    @property
    def download(self) -> PublishedFile | None:
        """The file that a run would download first."""
        return None if self.fingerprint else CATALOGUE[self.name].published

    def load(self) -> Encoder:
        """The encoder, if it is still the one that was referred to.

        Raises:
            WeightsError: its file changed or is gone.
        """
        encoder = load_encoder(self.name, self.pooling, self.weights)
        if encoder.fingerprint != self.fingerprint:
            raise WeightsError(
                f"{self.weights}: the weights changed while the batch ran. Run it again."
            )
        return encoder


def refer_to(
    name: str,
    pooling: Pooling,
    store: WeightStore,
    fetch: Callable[[PublishedFile], Path] | None = None,
) -> EncoderReference:
    """Refer to an encoder, its weights read and found to be in order.

    Args:
        name: of the catalogue.
        pooling: another kind than it was trained with, if wanted.
        store: where weights are looked for.
        fetch: downloads a published file, or verifies it where it is there; without it, weights
            that could be downloaded are referred to as not there yet.

    Raises:
        WeightsError: there are none, or they cannot be used.
    """
    network = CATALOGUE[name]
    if network.is_shipped:
        return EncoderReference(name, pooling, None, load_encoder(name, pooling).fingerprint)
    path = store.find(network)
    published = network.published
    if path is None and published is None:
        raise store.missing(network)
    is_download = path is None or store.is_download(network, path)
    if fetch and published and is_download:
        path = _fetched(network, published, store, fetch)
    elif path is None or (published and is_download and not is_as_published(path, published)):
        return EncoderReference(name, pooling, None, "")
    encoder = load_encoder(name, pooling, path)
    return EncoderReference(name, pooling, path.absolute(), encoder.fingerprint)


def _fetched(
    network: Network,
    published: PublishedFile,
    store: WeightStore,
    fetch: Callable[[PublishedFile], Path],
) -> Path:
    try:
        return fetch(published)
    except WeightsError as error:
        raise store.missing(network, str(error).rstrip(".")) from error
