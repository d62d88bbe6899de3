"""Folders of previews, which are never mixed with results."""

from pathlib import Path

import pytest

from tasks.store.output_folder import OutputFolder
from tasks.store.preview_folder import PreviewFolderError, check_apart, keep_apart


def test_a_folder_is_for_previews_or_for_results(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path / "out")
    for is_preview in (True, False):
        check_apart(output, is_preview=is_preview)
    output.make()
    keep_apart(output, is_preview=False)
    keep_apart(output, is_preview=True)
    with pytest.raises(PreviewFolderError, match="found previews; expected a folder without them"):
        check_apart(output, is_preview=False)
    output.summary().write_text("line\n")
    keep_apart(output, is_preview=True)


def test_previews_do_not_come_to_results(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path / "out")
    output.make()
    output.summary().write_text("line\n")
    with pytest.raises(PreviewFolderError, match="found the results of a batch; expected a folder"):
        keep_apart(output, is_preview=True)
    keep_apart(output, is_preview=False)
