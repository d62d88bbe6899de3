"""Loading of encoders by name and weight file."""

import os
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
    """Return the catalog entry with this name.

    Raises:
        ValueError: no encoder has that name.
    """
    if name not in CATALOGUE:
        raise ValueError(f"no encoder is called {name!r}; expected one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def load_encoder(
    name: str, pooling: Pooling = "trained", weights: str | os.PathLike[str] | None = None
) -> Encoder:
    """Return the encoder with this name: the same object as long as its file does not change.

    Args:
        name: a name in the catalog.
        pooling: the kind of pooling; `trained` means the one that it was trained with.
        weights: a file, or a folder to search first; if None, `NST_BATCH_WEIGHTS` and the user's
            cache are searched. Nothing is downloaded
            (`nst_core.networks.download.fetch_published` does that).

    Raises:
        ValueError: no encoder has that name.
        WeightsError: there are no weights, or they cannot be used.
    """
    network = network_named(name)
    if network.is_shipped:
        return _encoder(name, pooling, None, ())
    chosen = Path(weights) if weights else None
    path = chosen if chosen and chosen.is_file() else None
    if path is None:
        store = WeightStore.of_user(chosen)
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
def _weights(name: str, path: Path | None, stamp: tuple[int, ...]) -> Weights:  # noqa: ARG001
    # The stamp is only a cache key: if it changes, the file is read again.
    if path is None:
        return _shipped_weights(name)
    file = read_weight_file(path)
    noted = noted_network(file)
    if noted and noted != name:
        raise WeightsError(f"{path}: its notes say that it is for {noted}; expected {name}")
    return weights_for(CATALOGUE[name].topology, file)


def _shipped_weights(name: str) -> Weights:
    """Return the weights in the package, which are stored there in half precision."""
    shipped = resources.files("nst_core.networks").joinpath(f"{name}.safetensors").read_bytes()
    arrays = safetensors.numpy.load(shipped)
    return {layer: array.astype(np.float32) for layer, array in arrays.items()}


@dataclass(frozen=True)
class EncoderReference:
    """A reference to an encoder by name and file: small, plain data to pass between tasks.

    Attributes:
        weights: the file; None if the weights come with the package, or must be downloaded first.
        fingerprint: empty if the weights must be downloaded first.
    """

    name: str
    pooling: Pooling
    weights: Path | None
    fingerprint: str

    @property
    def download(self) -> PublishedFile | None:
        """The file that a run would download first, if any."""
        return None if self.fingerprint else CATALOGUE[self.name].published

    def load(self) -> Encoder:
        """Return the encoder, if its weights are still the same.

        Raises:
            WeightsError: its file has changed or is gone.
        """
        encoder = load_encoder(self.name, self.pooling, self.weights)
        if encoder.fingerprint != self.fingerprint:
            raise WeightsError(
                f"{self.weights}: the weights changed while the batch ran. Run the batch again."
            )
        return encoder


def refer_to(
    name: str,
    pooling: Pooling,
    store: WeightStore,
    fetch: Callable[[PublishedFile], Path] | None = None,
) -> EncoderReference:
    """Return a reference to an encoder, after its weights have been read and checked.

    Args:
        name: a name in the catalog.
        pooling: the kind of pooling; `trained` means the one that it was trained with.
        store: where to search for weights.
        fetch: downloads a published file, or verifies an existing one; if None, the reference to
            weights that must be downloaded first has no fingerprint.

    Raises:
        WeightsError: there are no weights, or they cannot be used.
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
