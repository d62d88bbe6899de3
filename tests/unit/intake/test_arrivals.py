"""Pictures that arrive in folders, and the watch that runs them."""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from upath import UPath

from flows.cli.commands import watch as module
from flows.cli.commands.watch import Watch
from flows.cli.exit_codes import ENGINE_FAILED, ROWS_FAILED, SUCCESS, UNUSABLE
from flows.cli.outcome import Outcome
from flows.cli.terminal import Terminal
from nst_core.errors import UserError
from nst_core.storage.files import write_atomic
from nst_core.storage.schemes import SCHEMES, Scheme
from tasks.intake.layout.arrivals import Facts, look, whole
from tasks.intake.layout.layout import Layout
from tasks.request import BatchRequest
from tasks.request_checks import limits_of
from tasks.store.output_folder import OutputFolder


def seen(folder: Path | UPath, *named: str, styles: Collection[str] = ()) -> dict[str, Facts]:
    layout = Layout(named, ("s.png",), recursive=True)
    return look(layout, folder / "out", OutputFolder(folder / "out"), styles)


def test_only_what_did_not_change_between_two_looks_is_whole(tmp_path: Path) -> None:
    for name in ("same.png", "grows.png", "deep/touched.png", "gone.png", "note.txt"):
        write_atomic(tmp_path / "in" / name, b"1")
    (tmp_path / "in" / "empty.png").touch()
    before = seen(tmp_path, str(tmp_path / "in"))
    assert {Path(name).name for name in before} == {
        *("same.png", "grows.png", "touched.png", "gone.png", "empty.png")
    }
    times = (tmp_path / "in" / "grows.png").stat()
    (tmp_path / "in" / "grows.png").write_bytes(b"12")
    os.utime(tmp_path / "in" / "grows.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    os.utime(tmp_path / "in" / "deep" / "touched.png", (1, 1))
    (tmp_path / "in" / "gone.png").unlink()
    write_atomic(tmp_path / "in" / "new.png", b"1")
    now = seen(tmp_path, str(tmp_path / "in"))
    assert {Path(name).name for name in whole(now, before)} == {"same.png"}
    again = whole(seen(tmp_path, str(tmp_path / "in")), now)
    assert {Path(name).name for name in again} == {
        *("same.png", "grows.png", "touched.png", "new.png")
    }


def test_what_runs_write_never_arrives(tmp_path: Path) -> None:
    for name in ("a.png", "s.png", "out/pictures/a_s.png", "out/contact_sheet.png"):
        write_atomic(tmp_path / name, b"1")
    assert [Path(name).name for name in seen(tmp_path, str(tmp_path), styles=["../s.png"])] == [
        "a.png"
    ]
    with pytest.raises(UserError, match="nowhere: cannot be read"):
        seen(tmp_path, str(tmp_path / "nowhere"))


def test_objects_are_looked_at_in_one_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "memory", Scheme())
    root = UPath("memory://inbox")
    try:
        for name in ("in/a.png", "in/deep/b.png"):
            write_atomic(root / name, b"12")
        facts = seen(root, "memory://inbox/in")
        assert {name: each.size for name, each in facts.items()} == {
            "memory://inbox/in/a.png": 2,
            "memory://inbox/in/deep/b.png": 2,
        }
        assert whole(seen(root, "memory://inbox/in"), facts) == facts
    finally:
        root.fs.store.clear()


class Runs:
    """Stands for what a watch starts: each run is recorded, and ends with the next exit code."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.codes: list[int] = []
        self.manifests: list[list[str]] = []
        self.request = BatchRequest(manifest=folder / "out/manifest.csv", output=folder / "out")
        self.wrong: Exception | None = None
        monkeypatch.setattr(module, "prepare", self.prepare)
        self.signals: list[int] | None = None
        monkeypatch.setattr(module, "run_flow", self.run_flow)
        monkeypatch.setattr(module, "report_outcome", lambda *_, **__: self.codes.pop(0))

    def run_flow(self, *_: object, signals: list[int], verbose: bool) -> Outcome:
        assert not verbose
        self.signals = signals
        return Outcome(None, True, "")

    def prepare(self, _: Terminal, asked: Any) -> None:
        if self.wrong:
            raise self.wrong
        self.manifests.append(sorted(Path(name).name for name in asked.layout.ready))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    (tmp_path / "in").mkdir()
    return Runs(monkeypatch, tmp_path)


def watch_of(runs: Runs, folder: Path) -> Watch:
    layout = Layout((str(folder / "in"),), ("s.png",))
    return Watch(Terminal(), runs.request, layout, ())


def test_new_and_changed_pictures_cause_a_run_once(runs: Runs, tmp_path: Path) -> None:
    watched = watch_of(runs, tmp_path)
    assert watched.step()
    write_atomic(tmp_path / "in" / "a.png", b"1")
    assert watched.step()
    assert runs.manifests == [], "it was seen only once"
    runs.codes = [SUCCESS, ROWS_FAILED, SUCCESS]
    assert watched.step()
    assert watched.step()
    assert runs.manifests == [["a.png"]]
    assert runs.signals is watched.signals, "a signal before the run is lost"
    # An unreadable picture fails its row, and the watch goes on.
    write_atomic(tmp_path / "in" / "b.png", b"1")
    assert [watched.step() for _ in range(3)] == [True] * 3
    assert (runs.manifests[1:], watched.code) == ([["a.png", "b.png"]], ROWS_FAILED)
    # A picture that is written again keeps its row; one that is gone has none.
    (tmp_path / "in" / "b.png").unlink()
    write_atomic(tmp_path / "in" / "c.png", b"1")
    watched.step()
    write_atomic(tmp_path / "in" / "a.png", b"12")
    watched.step()
    assert runs.manifests[2:] == [["a.png", "c.png"]]
    assert watched.is_behind
    runs.codes = [SUCCESS]
    watched.step()
    assert runs.manifests[3:] == [["a.png", "c.png"]]
    assert not watched.is_behind


def test_what_is_wrong_is_said_once_and_tried_again(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = watch_of(runs, tmp_path)
    write_atomic(tmp_path / "in" / "a.png", b"1")
    runs.wrong = UserError("the manifest was edited")
    assert [watched.step() for _ in range(4)] == [True] * 4
    (tmp_path / "in").rename(tmp_path / "away")
    assert watched.step()
    (tmp_path / "away").rename(tmp_path / "in")
    errors = capsys.readouterr().err.splitlines()
    assert errors[0] == "the manifest was edited"
    assert "in: cannot be read: No such file or directory" in errors[1]
    assert len(errors) == 2
    runs.wrong, runs.codes = None, [SUCCESS]
    assert [watched.step() for _ in range(2)] == [True] * 2
    assert runs.manifests == [["a.png"]]


@pytest.mark.parametrize(
    ("codes", "goes_on"),
    [([UNUSABLE], False), ([ENGINE_FAILED], False), ([SUCCESS, UNUSABLE, SUCCESS, SUCCESS], True)],
)
def test_a_batch_that_cannot_run_ends_the_watch_unless_one_ran_before(
    runs: Runs, tmp_path: Path, codes: list[int], goes_on: bool
) -> None:
    watched = watch_of(runs, tmp_path)
    runs.codes = list(codes)
    pictures = 3 if goes_on else 1
    last = True
    for at in range(pictures):
        write_atomic(tmp_path / "in" / f"{at}.png", b"1")
        watched.step()
        last = watched.step()
    assert last is goes_on
    # What another run in the same folder refused is tried again.
    assert runs.codes == []
    assert runs.manifests[-1] == [f"{at}.png" for at in range(pictures)]


def test_a_budget_is_that_of_the_watch(runs: Runs, tmp_path: Path) -> None:
    write_atomic(tmp_path / "s.png", b"1")
    request = runs.request.model_copy(update={"budget": "2h", "cache": tmp_path / "cache"})
    layout = Layout((str(tmp_path / "in"),), (str(tmp_path / "s.png"),))
    watched = Watch(Terminal(), request, layout, ())
    with mock.patch.object(module, "check_ready"):
        ends_at = module._prepare(watched)
    assert ends_at == pytest.approx(time.time() + 7200, abs=60)
    assert watched.request.budget is None
    assert limits_of(watched.request, time.time()).deadline.at == pytest.approx(ends_at, abs=2)
    assert watched.styles == {"../s.png"}
