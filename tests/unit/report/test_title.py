"""The name by which the page and Prefect call a batch."""

from pathlib import Path

import pytest

from tasks.report.write import _title
from tasks.store.output_folder import OutputFolder


@pytest.mark.parametrize(
    ("manifest", "title"),
    [
        ("night.csv", "night.csv"),
        ("summer/manifest.csv", "summer"),
        ("manifest.csv", "manifest.csv"),
    ],
)
def test_a_manifest_that_a_run_keeps_gives_its_folders_name(
    manifest: str, title: str, tmp_path: Path
) -> None:
    assert _title(tmp_path / manifest, OutputFolder(tmp_path / "summer")) == title
