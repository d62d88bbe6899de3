"""Results of earlier runs in the flow: new names, equal rows, and records of any kind."""

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect.context import TaskRunContext

from flows.cli.commands.plan import plan
from flows.cli.layout_options import Asked
from flows.cli.progress import LiveProgress
from flows.cli.terminal import Terminal
from nst_core.transfer.presets import Overrides
from tasks.engine.caching import RecordSerializer
from tasks.engine.collect import report_end
from tasks.events import subscribed
from tasks.job import Job
from tasks.request import BatchRequest
from tasks.store import finished
from tasks.store.file_reference import RecordError
from tasks.store.finished import result_of_equal
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import PENDING, RowResult
from tests.pipeline.conftest import QUICK, Batch

HEADER = ("content", "style", "output")
PAIRS = [(content, style) for content in ("a.png", "b.png") for style in ("s.png", "t.png")]


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def files_of(batch: Batch, table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the digests of the picture and the loss curve of each row."""
    return [
        (digest(batch.output / row["picture"]), digest(batch.output / row["curve"]))
        for _, row in table.iterrows()
    ]


def test_rows_exchange_names_and_keep_their_pictures_and_curves(
    batch: Batch, computed: list[str]
) -> None:
    def run(*names: str) -> list[tuple[str, str]]:
        rows = [(*pair, name) for pair, name in zip(PAIRS, names, strict=True)]
        _, table = batch.run(HEADER, *rows)
        assert list(table["output"]) == [f"{name}.png" for name in names]
        if computed == []:
            assert set(table["status"]) == {"cached"}
        return files_of(batch, table)

    first = run("one", "two", "three", "four")
    assert len({*first}) == 4
    computed.clear()
    for names in (
        ("two", "one", "three", "four"),
        ("three", "two", "four", "one"),
        ("three", "two", "four", "one"),
        ("one", "deep/new", "two", "three"),
    ):
        assert run(*names) == first
    assert computed == []


@pytest.mark.nights
def test_records_without_the_sha256_of_curves_are_read_and_completed(
    batch: Batch, computed: list[str]
) -> None:
    """Such records are of an earlier version; the rows then exchange names."""
    # With these settings, the curves end with different losses.
    settings = {"steps": 20, "optimizer": "lbfgs"}
    rows = [(*pair, f"{number}") for number, pair in enumerate(PAIRS)]
    _, table = batch.run(HEADER, *rows, settings=settings)
    before = files_of(batch, table)
    for path in OutputFolder(batch.output).records.iterdir():
        envelope = json.loads(path.read_text())
        record = json.loads(envelope["result"])
        del record["curve_file"]
        path.write_text(json.dumps(envelope | {"result": json.dumps(record)}))
    computed.clear()
    swapped = [(*pair, f"{number}") for number, pair in enumerate(reversed(PAIRS))]
    for _ in range(2):
        _, table = batch.run(HEADER, *swapped, settings=settings)
        assert files_of(batch, table) == before[::-1]
    assert computed == []


def test_equal_rows_are_reported_and_counted_as_equal(
    batch: Batch, computed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("a.png", "s.png", name) for name in ("one", "two", "three")]
    rows.append(("b.png", "s.png", "other"))
    counts = {"new": 2, "equal": 2, "done": 0, "invalid": 0}
    assert plan_of(batch, rows, capsys)["counts"] == counts
    with subscribed(LiveProgress(Terminal()).show):
        _, table = batch.run(HEADER, *rows)
    output = capsys.readouterr().out
    assert "4 of 4 rows to run, 2 of them equal to an earlier row, 0 already done" in output
    assert [line[:5] for line in output.splitlines() if line.startswith("[")] == [
        f"[{number}/4]" for number in range(1, 5)
    ]
    assert computed.count("row") == 2
    assert list(table["status"]) == ["done"] * 4
    assert list(table["same_as"].fillna(0)) == [0, 2, 2, 0]
    assert set(table["style_targets"]) == {"computed"}
    assert len({*files_of(batch, table)}) == 2

    with subscribed(LiveProgress(Terminal()).show):
        _, table = batch.run(HEADER, *rows)
    assert "0 of 4 rows to run, 4 already done" in capsys.readouterr().out
    assert list(table["status"]) == ["cached"] * 4
    assert list(table["same_as"].fillna(0)) == [0, 2, 2, 0]
    done = plan_of(batch, rows, capsys)
    assert done["counts"] == {"new": 0, "equal": 0, "done": 4, "invalid": 0}
    assert [row["why"] for row in done["rows"]] == ["", *["the same as line 2"] * 2, ""]


def test_rows_that_replace_finished_pictures_are_counted(
    batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pictures of other settings are counted, and those that `--refresh` repeats are not."""
    rows = [(*pair, f"{number}") for number, pair in enumerate(PAIRS)]
    said = (
        "{} of the rows to run {} made with other settings or pictures; to keep both, choose "
        "another --output\n"
    )

    def replaced(count: int, **options: Any) -> str:
        with subscribed(LiveProgress(Terminal()).show):
            batch.run(HEADER, *rows[:count], **options)
        return capsys.readouterr().out

    assert "to keep both" not in replaced(2)
    assert "to keep both" not in replaced(2, refresh=True)
    other = {"style_weight": 3}
    assert said.format(2, "replace finished pictures that were") in replaced(3, settings=other)
    once = said.format(1, "replaces a finished picture that was")
    assert plan_of(batch, rows[:1], capsys)["replaced"] == 1
    assert once in replaced(1, refresh=True)
    assert plan_of(batch, rows[:1], capsys)["replaced"] == 0


def plan_of(
    batch: Batch, rows: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """Return the output of `plan --json`; of equal rows, only one takes time."""
    from tests.pictures import write_csv

    manifest = write_csv(batch.folder / "m.csv", HEADER, *rows)
    request = BatchRequest(
        manifest=manifest,
        output=batch.output,
        cache=batch.cache,
        settings=Overrides(**QUICK),
        devices="cpu",
    )
    plan(Terminal(as_json=True), Asked(request))
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    new = [row for row in report["rows"] if row["status"] == "new"]
    assert report["seconds"] == pytest.approx(sum(row["seconds"] for row in new))
    return report


def test_equal_rows_that_fail_are_each_reported_and_counted(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nst_core.transfer import stylize

    def failing(*_: Any, **__: Any) -> Any:
        raise ArithmeticError("no room")

    monkeypatch.setattr(stylize, "iterates", failing)
    rows = [("a.png", "s.png", name) for name in ("one", "two", "three")]
    with subscribed(LiveProgress(Terminal()).show):
        state, table = batch.run(HEADER, *rows, retries=0)
    assert state.message
    assert state.message.splitlines()[0] == "3 failed"
    assert list(table["same_as"].fillna(0)) == [0, 2, 2]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert [line[:5] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"]
    assert all("failed" in line and "no room" in line for line in lines)


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (RowResult("interrupted", error="stopped after 10 of 20 steps"), "interrupted"),
        (PENDING, "pending"),
        (RowResult("failed", error="no room"), "failed"),
    ],
)
def test_the_flow_reports_rows_that_report_nothing_themselves(
    result: RowResult, status: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Rows on a cluster are such rows, because nothing receives their workers' reports."""
    job = Job.model_construct(line=7, output="a.png", key="k")
    with subscribed(LiveProgress(Terminal()).show):
        report_end(job, result)
        report_end(job, result_of_equal(job, 3, result, OutputFolder(tmp_path)))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        f"line 7 a.png: {status}, {result.error}"
    ] * 2


def test_rows_whose_pictures_are_gone_at_the_end_are_not_done(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_core.transfer import stylize

    batch.run(HEADER, ("a.png", "s.png", "cached"))
    iterates = stylize.iterates
    contents: list[int] = []

    def remove_and_continue(*arguments: Any, **options: Any) -> Any:
        contents.append(1)
        if len(contents) == 2:
            shutil.rmtree(batch.output)
        return iterates(*arguments, **options)

    monkeypatch.setattr(stylize, "iterates", remove_and_continue)
    rows = [("a.png", "s.png", "cached"), ("b.png", "s.png", "done"), ("b.png", "t.png", "last")]
    state, table = batch.run(HEADER, *rows)
    assert state.message
    assert (state.name, state.message.splitlines()[0]) == ("SomeRowsFailed", "1 done, 2 failed")
    assert list(table["status"]) == ["failed", "failed", "done"]
    assert "cached.png: found nothing, expected the " in table.loc[2, "error"]
    assert (batch.output / table.loc[4, "picture"]).is_file()
    monkeypatch.undo()
    assert batch.run(HEADER, *rows)[0].message == "2 done, 1 cached"


def nested(text: str) -> str:
    return json.dumps({**json.loads(text), "result": "[" * 50_000 + "]" * 50_000})


def with_record(**changes: Any) -> Callable[[str], str]:
    def change(text: str) -> str:
        envelope = json.loads(text)
        result = json.dumps(json.loads(envelope["result"]) | changes)
        return json.dumps(envelope | {"result": result})

    return change


HOSTILE: dict[str, Callable[[str], str | bytes]] = {
    "nested": lambda _: "[" * 100_000,
    "nested within": nested,
    "not UTF-8": lambda _: b"\xff\xfe{",
    "huge": lambda _: b" " * (2 << 20),
    "number": with_record(width=10**400),
    "not a number": with_record(total_loss=float("nan")),
    "type": with_record(style_layers=[1]),
    "file": with_record(file="/etc/passwd"),
    "storage": with_record(
        file={"path": "s3://nowhere/pictures/x.png", "size": 3, "sha256": "0" * 64}
    ),
    "web": with_record(file={"path": "https://127.0.0.1:9/x", "size": 3, "sha256": "0" * 64}),
    "pickle": lambda text: text.replace("nst-batch/record", "pickle"),
}


@pytest.mark.nights
def test_damaged_records_never_end_the_batch(
    batch: Batch, computed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    kinds = [*HOSTILE, "folder", "pipe", "link", "empty"]
    rows = [("a.png", "s.png", kind.replace(" ", "_"), n / 64) for n, kind in enumerate(kinds)]
    header = (*HEADER, "tv_weight")
    _, table = batch.run(header, *rows, ("b.png", "s.png", "whole", ""))
    records = [OutputFolder(batch.output).records / key for key in table["key"]]
    for kind, path in zip(kinds, records, strict=False):
        assert isinstance(path, Path)
        text = path.read_text()
        path.unlink()
        if kind in HOSTILE:
            damaged = HOSTILE[kind](text)
            path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "link":
            (batch.folder / "elsewhere").write_text(text)
            path.symlink_to(batch.folder / "elsewhere")
        else:
            path.touch()
    computed.clear()
    caplog.clear()
    state, table = batch.run(header, *rows, ("b.png", "s.png", "whole", ""))
    assert state.message == f"{len(kinds)} done, 1 cached"
    warned = [
        record for record in caplog.records if "its record cannot be used" in record.getMessage()
    ]
    assert len(warned) == len(kinds)
    assert all(len(record.getMessage()) < 1000 for record in warned)
    # All damaged records were replaced, except the folder, which a run must not remove.
    computed.clear()
    state, table = batch.run(header, *rows, ("b.png", "s.png", "whole", ""))
    assert computed == ["row"]
    assert table["status"].tolist().index("done") == kinds.index("folder")


@pytest.mark.nights
def test_prefects_own_cache_lookup_follows_the_same_rules(
    batch: Batch, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a lookup happens when a cluster runs a task again that the flow has looked up before."""
    rows = [("a.png", "s.png", "one"), ("b.png", "s.png", "two")]
    _, table = batch.run(HEADER, *rows)
    monkeypatch.setattr(finished, "find_finished", lambda *_: {})
    computed.clear()
    state, _ = batch.run(HEADER, *rows)
    assert (state.message, computed) == ("2 cached", [])

    # One record names a correct file outside the output folder; the other is of another row.
    first, second = (OutputFolder(batch.output).records / key for key in table["key"])
    assert isinstance(first, Path)
    assert isinstance(second, Path)
    elsewhere = batch.folder / "elsewhere" / "one.png"
    elsewhere.parent.mkdir()
    (batch.output / "pictures" / "one.png").rename(elsewhere)
    named = str(batch.output / "pictures" / "one.png")
    assert named in first.read_text()
    first.write_text(first.read_text().replace(named, str(elsewhere)))
    second.write_text(first.read_text())
    state, _ = batch.run(HEADER, *rows)
    assert (state.message, computed) == ("2 done", ["row", "row"])


def test_a_record_is_only_read_for_its_own_task(batch: Batch) -> None:
    batch.run(HEADER, ("a.png", "s.png", "one"), ("b.png", "s.png", "two"))
    texts = [json.loads(path.read_text()) for path in OutputFolder(batch.output).records.iterdir()]
    assert TaskRunContext.get() is None
    with pytest.raises(RecordError, match="can be read only in the task run"):
        RecordSerializer().loads(texts[0]["result"].encode())
