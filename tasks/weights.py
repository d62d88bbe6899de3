"""Downloads of published weights, done once and verified, before any row runs."""

from pathlib import Path

from prefect import task

from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.download import fetch_published
from tasks.events import FileDownloading, emit


@task(name="weights", task_run_name="{published.name}")
def fetch_weights(published: PublishedFile, folder: Path) -> Path:
    """Return the file in the folder: downloaded if it is not there, and verified if it is."""
    return fetch_published(
        published,
        folder,
        on_progress=lambda done, total: emit(FileDownloading(published.name, done, total)),
    )
