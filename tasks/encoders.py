"""The encoders that rows name: their weights found and read, before any row runs."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.loading import EncoderReference, refer_to
from nst_core.networks.store import WeightStore
from nst_core.networks.weight_files import WeightsError
from tasks.manifest import Row

Encoders = Mapping[tuple[str, str], EncoderReference | WeightsError]
"""By the settings `encoder` and `pooling`; an error where there are no weights."""


def encoders_of(
    rows: Iterable[Row], store: WeightStore, fetch: Callable[[PublishedFile], Path] | None = None
) -> Encoders:
    """Every encoder that rows without a fault name.

    Args:
        rows: of a manifest.
        store: where weights are looked for.
        fetch: see `refer_to`.
    """
    choices = {(row.settings.encoder, row.settings.pooling) for row in rows if not row.faults}
    encoders: dict[tuple[str, str], EncoderReference | WeightsError] = {}
    for name, pooling in sorted(choices):
        try:
            encoders[name, pooling] = refer_to(name, pooling, store, fetch)
        except WeightsError as error:
            encoders[name, pooling] = error
    return encoders


def downloads_of(encoders: Encoders) -> list[PublishedFile]:
    """The files that a run would download before its first row."""
    found = [
        encoder.download for encoder in encoders.values() if isinstance(encoder, EncoderReference)
    ]
    return list(dict.fromkeys(file for file in found if file))
