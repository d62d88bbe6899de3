"""The task that downloads published weights before any row runs."""

from pathlib import Path

from prefect import task

from nst_core.networks.catalogue import PublishedFile
from tasks.work.weights import download


@task(name="weights", task_run_name="{published.name}")
def fetch_weights(published: PublishedFile, folder: Path) -> Path:
    """Return the file in the folder: downloaded if it is not there, and verified if it is."""
    return download(published, folder)
