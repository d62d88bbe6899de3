"""The encoders that rows name, with their weights found and read before any row runs."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from nst_core.networks import CATALOGUE
from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.loading import EncoderReference, refer_to
from nst_core.networks.store import WeightStore
from nst_core.networks.weight_files import WeightsError
from tasks.row import Row
from tasks.store.managed import ManagedPlaces
from tasks.store.output_folder import OutputFolder

Encoders = Mapping[tuple[str, str], EncoderReference | WeightsError]
"""Encoders by the settings `encoder` and `pooling`; an error if there are no weights."""


def encoders_of(
    rows: Iterable[Row], store: WeightStore, fetch: Callable[[PublishedFile], Path] | None = None
) -> Encoders:
    """Return every encoder that rows name.

    Args:
        rows: the rows of a manifest.
        store: where weights are looked for.
        fetch: see `refer_to`; called once for each file, even if it fails.

    Raises:
        WeightsError: weights were named for this run, but none of the rows needs them.
    """
    choices = sorted({(row.settings.encoder, row.settings.pooling) for row in rows})
    store.check_use(CATALOGUE[name] for name, _ in choices)
    once = fetch and _once(fetch)
    encoders: dict[tuple[str, str], EncoderReference | WeightsError] = {}
    for name, pooling in choices:
        try:
            encoders[name, pooling] = refer_to(name, pooling, store, once)
        except WeightsError as error:
            encoders[name, pooling] = error
    return encoders


def check_weights_place(store: WeightStore, output: OutputFolder) -> None:
    """Refuse the user's own weights if they are in a place where runs write.

    Raises:
        WeightsError: the weights are in such a place.
    """
    name = ""
    # A link that leads to itself is reported when the weights are read.
    with suppress(OSError, RuntimeError):
        name = ManagedPlaces(output).name_at(store.chosen) if store.chosen else ""
    if name:
        raise WeightsError(
            f"{store.chosen}: runs replace and remove files in {output}/{name}; move "
            "the weights, or choose another output folder"
        )


def _once(fetch: Callable[[PublishedFile], Path]) -> Callable[[PublishedFile], Path]:
    """Let `fetch` try each file once, so that a failed download is not repeated for any pooling."""
    known: dict[PublishedFile, Path | WeightsError] = {}

    def fetch_once(published: PublishedFile) -> Path:
        if published not in known:
            try:
                known[published] = fetch(published)
            except WeightsError as error:
                known[published] = error
        outcome = known[published]
        if isinstance(outcome, WeightsError):
            raise outcome
        return outcome

    return fetch_once


def downloads_of(encoders: Encoders) -> list[PublishedFile]:
    """Return the files that a run would download before its first row."""
    found = [
        encoder.download for encoder in encoders.values() if isinstance(encoder, EncoderReference)
    ]
    return list(dict.fromkeys(file for file in found if file))
