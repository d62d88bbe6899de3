"""`run.log` beside the table, and the reasons in the flow's final state, for each way to end."""

import re
from pathlib import Path
from typing import Any

import pytest

from nst_core.transfer import stylize
from tests.http_server import Answer, serving
from tests.pipeline.conftest import Batch

HEADER = ("content", "style")
ROWS = (HEADER, ("a.png", "s.png"), ("b.png", "s.png"))


def log_of(batch: Batch) -> str:
    return (batch.output / "run.log").read_text()


def test_done_and_cached_rows(batch: Batch) -> None:
    state, _ = batch.run(*ROWS)
    text = log_of(batch)
    assert f"asked for: manifest={batch.folder}/m.csv" in text
    assert "'size': 32" in text
    for name in ("a_s.png", "b_s.png"):
        assert re.search(rf" line \d {name}: started\n", text)
        assert re.search(rf" line \d {name}: done, loss \S+ \(\d+\.\d s\)\n", text)
    assert "rows run on CPU:0" in text
    assert re.search(r"result: 2 done; rows took \d+\.\d s in all\n", text)
    assert text.endswith("the run ends\n")
    assert state.message == "2 done"
    batch.run(*ROWS)
    assert log_of(batch).startswith(text)
    assert "result: 2 cached" in log_of(batch).removeprefix(text)


def test_failed_and_invalid_rows_are_in_the_log_and_in_the_final_state(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ArithmeticError("no room")

    monkeypatch.setattr(stylize, "iterates", failing)
    state, _ = batch.run(*ROWS, ("gone.png", "s.png"))
    text = log_of(batch)
    assert re.search(r" line 2 a_s\.png: failed, .*no room \(\d+\.\d s\)\n", text)
    assert re.search(r" invalid: line 4, column content: .*gone\.png", text)
    assert "result: 2 failed, 1 invalid" in text
    first, *reasons = (state.message or "").splitlines()
    assert first == "2 failed, 1 invalid"
    shared, invalid, *_ = reasons
    assert shared == "line 2 and 1 more row, ArithmeticError: no room"
    assert invalid.startswith("line 4, column content: ")
    assert "gone.png" in invalid


def test_an_interrupted_batch(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import choice

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(choice, "results_of_finished", interrupted)
    with pytest.raises(KeyboardInterrupt):
        batch.run(*ROWS)
    assert "result: 2 pending" in log_of(batch)
    assert log_of(batch).endswith("the run ends early: it was stopped\n")


def test_an_unusable_manifest(batch: Batch) -> None:
    with pytest.raises(FileNotFoundError, match="summary"):
        batch.run(("content", "other"), ("a.png", "s.png"))
    last = log_of(batch).splitlines()[-1]
    assert "the run ends early: ManifestError: " in last
    assert "no column style" in last


def test_a_signed_url_is_not_logged(batch: Batch) -> None:
    picture = (batch.folder / "a.png").read_bytes()
    with serving(Answer(picture)) as web:
        url = f"{web.url}/c.png?signature=hush"
        state, table = batch.run(HEADER, (url, "s.png"), (url, "no.png"))
    assert list(table["status"]) == ["done", "invalid"]
    assert "hush" not in log_of(batch)
    assert "hush" not in (state.message or "")


def test_an_unwritable_log_costs_no_row(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    batch.output.mkdir()
    (batch.output / "run.log").mkdir()
    state, table = batch.run(*ROWS)
    assert state.is_completed()
    assert list(table["status"]) == ["done", "done"]
    assert any("run.log is not complete" in message for message in caplog.messages)


def test_inputs_in_the_log_are_refused(batch: Batch) -> None:
    batch.run(*ROWS)
    for name in ("run.log", "run.log.1"):
        _, table = batch.run(HEADER, (f"out/{name}", "s.png"))
        assert "column content" in table.loc[2, "error"]
        assert str(Path("out") / name) in table.loc[2, "error"]


@pytest.fixture
def storage_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an object storage refuse the log, and nothing else."""
    from nst_core.storage import growing_files
    from nst_core.storage.files import StorageError
    from nst_core.storage.schemes import SCHEMES, Scheme

    def away(path: Any, *_: object) -> bytes:
        raise StorageError(5, "does not answer", str(path))

    monkeypatch.setitem(SCHEMES, "memory", Scheme())
    monkeypatch.setattr(growing_files, "read_kept", away)


@pytest.mark.usefixtures("storage_away")
def test_a_storage_that_is_away_for_the_log_costs_no_row(
    batch: Batch, caplog: pytest.LogCaptureFixture
) -> None:
    from upath import UPath

    from flows.stylize_manifest import stylize_manifest
    from nst_core.transfer.presets import Overrides
    from tests.pictures import write_csv
    from tests.pipeline.conftest import QUICK

    output = UPath("memory://log-file/out")
    state = stylize_manifest(
        write_csv(batch.folder / "m.csv", *ROWS),
        str(output),
        Overrides(**QUICK),
        cache=batch.cache,
        return_state=True,
    )
    assert state.message == "2 done"
    assert [text for text in caplog.messages if "run.log is not complete: does not answer" in text]
    assert not (output / "run.log").exists()
    output.fs.store.clear()
