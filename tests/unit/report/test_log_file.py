"""The log of an output folder's runs: its lines, no secrets in it, and places without room."""

import logging
import re
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from nst_core.storage.growing_files import growing_file
from tasks.events import (
    DevicesOpened,
    FileDownloading,
    PictureExamined,
    RowEnded,
    RowStarted,
    RowStepped,
    emit,
)
from tasks.report.log_file import LONGEST_LINE, run_log_of
from tasks.report.reasons import LONGEST_REASON, described, first_reasons
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder

SIGNED = "https://someone:word@pictures.example/a.png?signature=hush"
ASKED = {"manifest": "/data/night.csv", "settings": {"size": 32}}


@pytest.fixture
def output(tmp_path: Path) -> OutputFolder:
    return OutputFolder(tmp_path)


def lines_of(output: OutputFolder) -> list[str]:
    """Return the lines of the log without their times, which are checked."""
    text = Path(str(output.run_log)).read_text()
    lines = [line for line in text.splitlines() if line]
    for line in lines:
        time = datetime.fromisoformat(line.split()[0])
        assert time.utcoffset() is not None
        assert abs((datetime.now().astimezone() - time).total_seconds()) < 600
    return [line.partition(" ")[2] for line in lines]


def test_a_log_says_what_was_asked_with_what_and_where(output: OutputFolder) -> None:
    with run_log_of(output, ASKED):
        pass
    first, asked, versions, machine, last = lines_of(output)
    assert first == "==== run of /data/night.csv ===="
    assert asked == "asked for: manifest=/data/night.csv settings={'size': 32}"
    for package in ("tensorflow", "prefect"):
        assert version(package) in versions
    assert re.search(r"Python 3\.\d+\.\d+", versions)
    assert re.search(r"\d+ CPUs, process \d+$", machine)
    assert last == "the run ends"


def test_rows_have_a_start_and_an_end_with_seconds(output: OutputFolder) -> None:
    with run_log_of(output, ASKED):
        emit(FileDownloading("vgg19.h5", 3, 7))
        emit(PictureExamined(1, 1))
        emit(DevicesOpened(("GPU:0",)))
        emit(RowStarted(2, "a.png"))
        emit(RowStepped(2, "a.png", 10, 40, 0.1, 0.5))
        emit(RowEnded(2, "a.png", "done", 0.25))
        emit(RowStarted(3, "b.png"))
        emit(RowEnded(3, "b.png", "failed", reason="no room"))
        emit(RowEnded(4, "c.png", "done", 0.25))
    emit(RowStarted(5, "d.png"))
    lines = [re.sub(r"\(\d+\.\d s\)", "(N s)", line) for line in lines_of(output)[4:-1]]
    assert lines == [
        "rows run on GPU:0",
        "line 2 a.png: started",
        "line 2 a.png: done, loss 0.25 (N s)",
        "line 3 b.png: started",
        "line 3 b.png: failed, no room (N s)",
        # A copy of an equal row, or a row on a cluster, has no start.
        "line 4 c.png: done, loss 0.25",
    ]


ROWS = (
    TableRow(line=2, status="done", output="a.png", seconds=1.5, warnings="no texture"),
    TableRow(line=3, status="failed", output="b.png", error="WriteError: no room"),
    TableRow(line=4, status="invalid", error="line 4, column style: found ''"),
    TableRow(line=5, status="cached", output="e.png", seconds=9, warnings="told in its own run"),
    TableRow(line=6, status="failed", output="f.png", error="its picture is gone"),
)


def test_the_end_has_invalid_rows_warnings_and_counts(output: OutputFolder) -> None:
    with run_log_of(output, ASKED) as log:
        emit(RowEnded(3, "b.png", "failed", reason="no room"))
        log.ended(Table(ROWS))
    assert lines_of(output)[5:-1] == [
        "invalid: line 4, column style: found ''",
        "failed: line 6, f.png: its picture is gone",
        "warning: line 2 a.png: no texture",
        "result: 1 done, 1 cached, 2 failed, 1 invalid; rows took 1.5 s in all",
    ]


def test_warnings_are_logged_while_the_run_lasts(output: OutputFolder) -> None:
    with run_log_of(output, ASKED):
        logging.getLogger("nst_batch.results").warning("%s is damaged", "a.png")
        logging.getLogger("nst_core.images").warning("b.png, too")
        logging.getLogger("nst_batch.results").info("not this")
    logging.getLogger("nst_batch.results").warning("nor this")
    assert lines_of(output)[4:-1] == ["warning: a.png is damaged", "warning: b.png, too"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyboardInterrupt(), "the run ends early: it was stopped"),
        (OSError(28, "No space left on device", "/data/x"), "No space left on device"),
        (RuntimeError("a bug"), "the run ends early: RuntimeError: a bug"),
    ],
)
def test_a_run_that_ends_early_says_why(
    output: OutputFolder, error: BaseException, line: str
) -> None:
    with pytest.raises(type(error)), run_log_of(output, ASKED):
        raise error
    last = lines_of(output)[-1]
    assert line in last
    assert last.startswith("the run ends early: ")


def test_runs_follow_each_other_even_after_a_torn_line(output: OutputFolder) -> None:
    with run_log_of(output, ASKED):
        pass
    with run_log_of(output, ASKED):
        pass
    assert lines_of(output).count("==== run of /data/night.csv ====") == 2
    file = Path(str(output.run_log))
    file.write_bytes(file.read_bytes()[:-9])
    with run_log_of(output, ASKED):
        pass
    *_, torn, time_of_header = file.read_text().split("==== run")[-2].splitlines()
    assert torn.endswith(" the ")
    assert datetime.fromisoformat(time_of_header.strip())


def test_no_secret_and_no_forged_line_is_logged(output: OutputFolder) -> None:
    forged = "a\n2026-01-01T00:00:00+00:00 result: 9 done"
    with (
        suppress(OSError),
        run_log_of(output, {"manifest": SIGNED, "address": "tcp://someone:word@host:1"}) as log,
    ):
        emit(RowStarted(2, SIGNED))
        emit(RowStarted(3, forged))
        emit(RowEnded(2, "a.png", "failed", reason=f"{SIGNED}: 403"))
        logging.getLogger("nst_core.images").warning("%s: damaged", SIGNED)
        log.ended(Table((TableRow(line=2, status="invalid", error=f"found {SIGNED}"),)))
        raise OSError(5, f"refused {SIGNED}")
    text = Path(str(output.run_log)).read_text()
    assert "pictures.example/a.png?..." in text
    assert "hush" not in text
    assert "word" not in text
    assert not any(line.startswith("result: 9") for line in lines_of(output))


def test_a_line_is_not_endless(output: OutputFolder) -> None:
    with run_log_of(output, ASKED):
        emit(RowEnded(2, "a.png", "failed", reason="x" * 100_000))
    assert max(map(len, lines_of(output))) == LONGEST_LINE + len(" ...")


def test_an_unusable_place_costs_one_warning(
    output: OutputFolder, caplog: pytest.LogCaptureFixture
) -> None:
    Path(str(output.run_log)).mkdir()
    with run_log_of(output, ASKED) as log:
        emit(RowStarted(2, "a.png"))
        log.ended(Table(ROWS))
    (message,) = caplog.messages
    assert message == f"{output.run_log} is not complete: Is a directory"


def test_a_disk_that_fills_up_costs_one_warning(
    output: OutputFolder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with run_log_of(output, ASKED) as log:
        emit(RowStarted(2, "a.png"))
        with monkeypatch.context() as patch:
            patch.setattr(type(growing_file(output.run_log)), "append", full)
            emit(RowStarted(3, "b.png"))
        emit(RowEnded(3, "b.png", "done", 0.25))
        log.ended(Table(ROWS))
    assert caplog.messages == [f"{output.run_log} is not complete: No space left on device"]
    assert lines_of(output)[-1] == "line 2 a.png: started"


def test_reasons_are_few_short_and_without_secrets() -> None:
    assert [described(row) for row in ROWS[1:3]] == [
        "line 3, b.png: WriteError: no room",
        "line 4, column style: found ''",
    ]
    assert first_reasons(Table(ROWS[:1])) == ()
    failed = [
        TableRow(line=n, status="failed", output="a.png", error=f"{SIGNED} " + f"{n}" * 999)
        for n in range(2, 9)
    ]
    same = [TableRow(line=n, status="failed", output="a.png", error="no room") for n in (10, 11)]
    assert first_reasons(Table(tuple(same))) == ("line 10 and 1 more row, no room",)
    *shown, more = first_reasons(Table(tuple(failed)))
    assert more == "... and 4 more, in the table"
    assert [len(text) for text in shown] == [LONGEST_REASON] * 3
    assert not any("hush" in text for text in shown)
