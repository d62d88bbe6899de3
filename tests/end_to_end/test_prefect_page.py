"""What the Prefect UI shows of a run, read back through the server's API."""

import json
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from tests.end_to_end.conftest import QUICK, Shell, make_shell
from tests.pictures import write_csv

# The progress is updated every five seconds, so rows must take some seconds on fast machines, too.
STEPS = 600
SETTINGS = [*QUICK, "--tolerance", "0"]
SETTINGS[SETTINGS.index("--steps") + 1] = str(STEPS)
SERVED_AT = "https://pictures.example/night"


@dataclass(frozen=True)
class Seen:
    """What the server knows of a run, and the table that it wrote.

    Attributes:
        progress: all values that the progress artifact had.
        artifacts: the artifacts, by the kind in their key.
    """

    run: dict[str, Any]
    progress: list[float]
    artifacts: dict[str, dict[str, Any]]
    logs: dict[str, list[str]]
    table: pd.DataFrame
    output: str


def ask(server_url: str, path: str, **question: Any) -> Any:
    request = urllib.request.Request(
        f"{server_url}{path}", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def artifacts_of(server_url: str, run: str) -> dict[str, dict[str, Any]]:
    found = ask(server_url, "/artifacts/filter", flow_runs={"id": {"any_": [run]}})
    return {artifact["key"].removeprefix("my-night-"): artifact for artifact in found}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Seen:
    """Return what is seen of a run: a grid of four rows, of which one fails, and an invalid row."""
    shell = make_shell(tmp_path_factory.mktemp("page"), server_url)
    rows = [
        ("a.png", "s.png", ""),
        ("a.png", "t.png", "file/in/the/way"),
        ("b.png", "s.png", ""),
        ("b.png", "t.png", ""),
        ("missing.png", "s.png", ""),
    ]
    manifest = write_csv(shell.folder / "My Night!.csv", ("content", "style", "output"), *rows)
    (shell.folder / "out" / "pictures").mkdir(parents=True)
    (shell.folder / "out" / "pictures" / "file").write_text("no folder")
    arguments = ("run", manifest, "-o", "out", "--served-at", SERVED_AT, *SETTINGS)
    process = shell.start(*arguments)
    watchdog = threading.Timer(280, process.kill)
    watchdog.start()
    progress: list[float] = []
    try:
        while process.poll() is None:
            for artifact in ask(
                server_url, "/artifacts/filter", artifacts={"key": {"any_": ["my-night-progress"]}}
            ):
                progress.append(float(artifact["data"]))
            time.sleep(0.5)
        output, errors = process.communicate()
    finally:
        watchdog.cancel()
    assert process.returncode == 1, (output, errors)
    return read_back(server_url, shell, progress)


def read_back(server_url: str, shell: Shell, progress: list[float]) -> Seen:
    runs = ask(server_url, "/flow_runs/filter", flow_runs={"name": {"like_": "My Night!"}})
    assert len(runs) == 1
    in_run = {"flow_runs": {"id": {"any_": [runs[0]["id"]]}}}
    # Prefect stores task runs and their logs a little later.
    for _ in range(60):
        names = {
            task["id"]: task["name"] for task in ask(server_url, "/task_runs/filter", **in_run)
        }
        by_run = {"flow_run_id": {"any_": [runs[0]["id"]]}}
        logs: dict[str, list[str]] = {}
        for log in ask(server_url, "/logs/filter", logs=by_run, sort="TIMESTAMP_ASC"):
            logs.setdefault(names.get(log["task_run_id"], ""), []).append(log["message"])
        if len(names) == 6 and any("done after" in line for line in logs.get("b_t.png", [])):
            break
        time.sleep(1)
    return Seen(
        run=runs[0],
        progress=progress,
        artifacts=artifacts_of(server_url, runs[0]["id"]),
        logs=logs,
        table=pd.read_csv(shell.folder / "out" / "summary.csv").set_index("line"),
        output=str(shell.folder / "out"),
    )


def test_the_run_is_named_after_manifest_and_date(seen: Seen) -> None:
    name, _, clock = seen.run["name"].partition("! ")
    assert name == "My Night"
    time.strptime(clock, "%Y-%m-%d %H:%M")
    assert seen.run["state_name"] == "SomeRowsFailed"


def test_progress_changes_while_the_run_lasts(seen: Seen) -> None:
    assert seen.progress == sorted(seen.progress)
    assert len({value for value in seen.progress if 0 < value < 100}) >= 1
    assert seen.artifacts["progress"]["type"] == "progress"
    assert seen.artifacts["progress"]["data"] == 100
    assert seen.artifacts["progress"]["description"] == "4 of 4 rows ended, 1 of them failed"


def test_the_table_has_the_right_rows_and_numbers(seen: Seen) -> None:
    artifact = seen.artifacts["summary"]
    assert artifact["type"] == "table"
    assert f"{seen.output}/summary.csv" in artifact["description"]
    rows = json.loads(artifact["data"])
    assert [row["line"] for row in rows] == [3, 6, 2, 4, 5]
    assert [row["status"] for row in rows] == ["failed", "invalid", "done", "done", "done"]
    assert "(Not a directory)" in rows[0]["error"]
    assert "line 6, column content" in rows[1]["error"]
    for row in rows[2:]:
        for column in ("content_score", "total_loss", "content_loss", "style_loss", "seconds"):
            assert row[column] == pytest.approx(seen.table.loc[row["line"], column], rel=1e-3)


def test_the_report_lists_failures_and_shows_pictures(seen: Seen) -> None:
    artifact = seen.artifacts["report"]
    assert artifact["type"] == "markdown"
    report = artifact["data"]
    assert report.startswith("# My Night\\!.csv: 3 done, 1 failed, 1 invalid")
    assert report.index("Not a directory") < report.index("## New pictures")
    assert report.count("data:image/jpeg;base64,") == 3
    assert report.index("## Look at these first") < report.index("## New pictures")
    worst = seen.table.sort_values("total_loss", ascending=False)["output"].iloc[0]
    assert worst.replace("_", "\\_") in report.partition("## Highest losses")[2].splitlines()[4]


def test_links_lead_to_the_url_of_the_served_folder(seen: Seen) -> None:
    assert f"({SERVED_AT}/gallery.html)" in seen.artifacts["gallery"]["data"]
    assert "contact-sheet" not in seen.artifacts, "five rows are no grid"


def test_each_row_logs_its_start_its_losses_and_its_end(seen: Seen) -> None:
    lines = seen.logs["b_t.png"]
    assert lines[0] == "line 5: b.png x t.png, 32 x 24 pixels, encoder compact"
    steps = [line for line in lines if line.startswith("step ")]
    assert [line.split(" at ")[0] for line in steps] == [
        f"step {step} of {STEPS}" for step in range(0, STEPS + 1, 50)
    ]
    (end,) = (line for line in lines if line.startswith("done after"))
    assert f"loss {seen.table.loc[5, 'total_loss']:.4g}" in end
    (failed,) = (line for line in seen.logs["file/in/the/way.png"] if line.startswith("failed"))
    assert "Not a directory" in failed
