"""Published weights -> a file, downloaded once and verified, before any row runs."""

from pathlib import Path

from prefect import task

from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.download import fetch_published
from tasks.progress import DownloadProgress, tell_download


@task(name="weights", task_run_name="{published.name}")
def fetch_weights(published: PublishedFile, folder: Path) -> Path:
    """The file in the folder: downloaded if it is not there, and verified if it is."""
    return fetch_published(
        published,
        folder,
        on_progress=lambda done, total: tell_download(
            DownloadProgress(published.name, done, total)
        ),
    )
