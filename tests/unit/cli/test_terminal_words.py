"""What a terminal shows: names in one piece, nothing if quiet, plans that end with the answer."""

import io
import itertools
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli.commands.plan import plan
from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal, as_error
from tasks.request import BatchRequest
from tests.pictures import write_picture

NAME = "photographs/2026-anna-in-the-garden_the-starry-night.png"
ROWS = [
    {"line": line, "status": "done", "picture": NAME, "why": None, "loss": "0.01"}
    for line in (2, 3)
]


def terminal_of(width: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Terminal, io.StringIO]:
    """Return a terminal of this width, and what is written to it."""
    monkeypatch.setenv("TERM", "xterm")
    written = io.StringIO()
    terminal = Terminal()
    terminal.console = Console(
        file=written, force_terminal=True, width=width, soft_wrap=True, color_system=None
    )
    return terminal, written


@pytest.mark.parametrize("width", [20, 40, 60, 75, 120])
def test_tables_never_break_a_name(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, written = terminal_of(width, monkeypatch)
    terminal.table(ROWS)
    lines = written.getvalue().splitlines()
    assert sum(NAME in line for line in lines) == 2
    is_table = any("line" in line and "picture" in line for line in lines)
    assert is_table == (width == 120)
    if not is_table:
        assert "line     2" in lines
        assert "why" not in written.getvalue()


def test_long_facts_are_below_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, written = terminal_of(80, monkeypatch)
    key, words = "0f" * 32, "many words " * 20
    terminal.facts({"key": key, "encoder_fingerprint": key, "why": words, "size": "512"}, NAME)
    _, title, *lines = written.getvalue().splitlines()
    assert title == NAME
    assert lines[:4] == ["key", f"  {key}", "encoder_fingerprint", f"  {key}"]
    assert lines[4].startswith("why                  many words")
    assert lines[5].startswith("                     ")
    assert lines[-1] == "size                 512"
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("width", [20, 40, 79])
def test_lines_are_wrapped_between_words(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, written = terminal_of(width, monkeypatch)
    text = f"  the picture of Anna is {NAME}, which took-very-long to make and is done now"
    terminal.say(text)
    lines = written.getvalue().splitlines()
    assert " ".join(written.getvalue().split()) == " ".join(text.split())
    assert all(line.startswith("  ") for line in lines)
    words = max(map(len, text.split())) + 2
    assert all(len(line) <= max(width, words) for line in lines)
    for line, after in itertools.pairwise(lines):
        assert len(line) + 1 + len(after.split()[0]) > width


def test_errors_are_wrapped_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, written = terminal_of(40, monkeypatch)
    terminal.errors = terminal.console
    terminal.fail(f"error: {'the gallery is not up to date ' * 4}")
    lines = written.getvalue().splitlines()
    assert len(lines) > 2
    assert {word for line in lines for word in line.split()} == {
        *("error:", "the", "gallery", "is", "not", "up", "to", "date")
    }


def test_a_pipe_gets_lines_of_any_length(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().say(f"{NAME} " * 10)
    assert capsys.readouterr().out.splitlines() == [f"{NAME} " * 10]


def test_a_quiet_terminal_shows_only_errors(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(is_quiet=True)
    terminal.say("a line")
    terminal.table(ROWS)
    terminal.fail("wrong")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "wrong\n")
    Terminal(is_quiet=True, as_json=True).result({"a": 1})
    assert capsys.readouterr().out == '{\n  "a": 1\n}\n'


def test_each_line_of_an_error_says_that_it_is_one() -> None:
    assert as_error("one\ntwo") == "error: one\nerror: two"


@pytest.fixture
def request_of_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BatchRequest:
    monkeypatch.chdir(tmp_path)
    write_picture(tmp_path / "a.png", 1)
    Path("m.csv").write_text("content,style,size\na.png,a.png,\na.png,a.png,big\n")
    return BatchRequest(manifest=Path("m.csv"), output=Path("out"), cache=tmp_path / "cache")


def test_a_plan_ends_with_its_three_useful_lines(
    request_of_plan: BatchRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(Terminal(), Asked(request_of_plan, None)) == 1
    *_, counts, time, disk = lines = capsys.readouterr().out.splitlines()
    assert counts == "1 new, 1 invalid; nst-batch check lists the errors"
    assert time.startswith("about ")
    assert "MB of memory at most" in time
    assert disk.startswith("disk: ")
    assert not any("a_a" in line for line in lines)


def test_a_plan_shows_rows_that_are_asked_for(
    request_of_plan: BatchRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(Terminal(), Asked(request_of_plan, None), with_rows=True)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split("\t")[:3] == ["line", "status", "picture"]
    assert [line.split("\t")[:2] for line in lines[:2]] == [["2", "new"], ["3", "invalid"]]
    assert lines[-1].startswith("disk: ")
