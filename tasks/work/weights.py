"""Downloads of published weights, once and verified."""

from pathlib import Path

from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.download import fetch_published
from tasks.events import FileDownloading, emit


def download(published: PublishedFile, folder: Path) -> Path:
    """Return the file in the folder: downloaded if it is not there, and verified if it is."""
    return fetch_published(
        published,
        folder,
        on_progress=lambda done, total: emit(FileDownloading(published.name, done, total)),
    )
