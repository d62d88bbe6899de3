"""The scores in records, with and without them, and of another version."""

import json
from pathlib import Path

import pytest

from nst_core.scoring.style import VERSION
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, parse_record, read_record, write_record
from tasks.store.row_scores import RowScores
from tests.finished_rows import key_of, record_of


def test_scores_are_read_back_from_a_record(tmp_path: Path) -> None:
    path = OutputFolder(tmp_path).records / key_of("a")
    scored = record_of("a", "a.png", tmp_path).model_copy(
        update={"scores": RowScores(style=0.75, content=-0.0312)}
    )
    write_record(path, scored)
    found = read_record(path, key_of("a"), PictureRecord)
    assert found == scored
    assert (found.style_score, found.content_score) == (0.75, -0.0312)
    stored = json.loads(json.loads(path.read_bytes())["result"])
    assert stored["scores"] == {"version": VERSION, "style": 0.75, "content": -0.0312}


def test_a_record_without_scores_stays_as_it_is(tmp_path: Path) -> None:
    """Like those of earlier versions, which therefore are the same when they are written again."""
    old = record_of("a", "a.png", tmp_path)
    assert "scores" not in json.loads(old.model_dump_json())
    assert (old.style_score, old.content_score) == (None, None)


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_scores_of_another_version_are_kept_but_not_shown(tmp_path: Path, version: int) -> None:
    """They would be compared with others that mean something else."""
    other = RowScores(version=version, style=0.5, content=0.5)
    record = record_of("a", "a.png", tmp_path).model_copy(update={"scores": other})
    found = parse_record(record.model_dump_json())
    assert isinstance(found, PictureRecord)
    assert found.scores == other
    assert (found.style_score, found.content_score) == (None, None)


def test_a_version_that_knows_no_scores_reads_the_rest(tmp_path: Path) -> None:
    """Fields that a version does not know are left out, so the format of records stays 1."""
    record = record_of("a", "a.png", tmp_path)
    with_more = json.loads(record.model_dump_json()) | {"unknown": {"version": 1, "style": 0.5}}
    assert parse_record(json.dumps(with_more)) == record
