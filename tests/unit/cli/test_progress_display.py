"""The display of a batch on terminals of any width."""

import io
import re
import time

import pytest
from rich.console import Console

from flows.cli.display import MOST_ROWS, Display, RowState, sparkline
from flows.cli.progress import LiveProgress
from flows.cli.terminal import Terminal, printable
from tasks.events import (
    DevicesOpened,
    PictureExamined,
    RowEnded,
    RowEstimate,
    RowRetried,
    RowsPlanned,
    RowStarted,
    RowStepped,
    RowWaiting,
    StageEntered,
)


@pytest.mark.parametrize(
    ("losses", "line"),
    [
        ([], ""),
        ([1.0], ""),
        ([1.0, float("nan")], ""),
        ([2.0, 2.0], "▁▁"),
        ([8.0, 4.0, 2.0, 1.0], "█▆▃▁"),
        ([1.0, 0.0, float("inf"), 10.0, -1.0, 100.0], "▁▅█"),
        ([10.0**-number for number in range(8)], "█▇▆▅▄▃▂▁"),
    ],
)
def test_the_height_of_a_sparkline_is_logarithmic(losses: list[float], line: str) -> None:
    assert sparkline(losses) == line


def test_a_long_sparkline_keeps_its_ends() -> None:
    line = sparkline([float(number) for number in range(1000, 0, -1)], width=5)
    assert len(line) == 5
    assert (line[0], line[-1]) == ("█", "▁")


def drawn(display: Display, width: int, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, force_terminal=True, no_color=True)
    console.print(display)
    file.seek(0)
    written = re.sub(r"\x1b\[[\d;]*m", "", file.read())
    return [line.rstrip() for line in written.splitlines()]


def display_of(count: int) -> Display:
    display = Display()
    display.enter("stylizing", 300)
    display.done = 12.5
    display.ended, display.failed = 12, 3
    for number in range(count):
        name = f"a/very/long/name/of/a/picture/that/nobody/wants-{number}.png"
        display.rows[number] = RowState(name, False, 120, 180, [1.5, 0.75, 0.1234567])
    return display


@pytest.mark.parametrize("width", [30, 40, 63, 64, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = drawn(display_of(3), width)
    assert len(lines) == 4
    assert all(len(line) <= width for line in lines)
    assert "12/300, 3 failed" in lines[0]
    for line in lines[1:]:
        assert "120/180" in line or width < 40
        assert "0.1235" in line or width < 40


def test_the_number_of_displayed_rows_is_limited() -> None:
    lines = drawn(display_of(MOST_ROWS + 3), 80)
    assert len(lines) == 1 + MOST_ROWS + 1
    assert lines[-1].strip() == "and 3 more"


def test_a_terminal_without_unicode_has_no_sparkline() -> None:
    lines = drawn(display_of(1), 80, encoding="ascii")
    assert len(lines) == 2
    assert all(line.isascii() for line in lines)
    assert "loss 0.1235" in lines[1]


def test_rows_appear_and_disappear(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LiveProgress(Terminal())
    display = progress.display
    progress.show(RowsPlanned(2, 5, 0, (RowEstimate(7, 1.0, 30.0), RowEstimate(8, 1.0, 30.0))))
    progress.show(RowWaiting(7, "s.png", "waits for a device"))
    assert display.rows[7].cells() == ("", "waits for a device", "")
    progress.show(RowStarted(7, "a_s.png"))
    assert (display.rows[7].output, display.rows[7].losses) == ("a_s.png", [])
    for step, loss in ((0, 4.0), (10, 1.0)):
        progress.show(RowStepped(7, "a_s.png", step, 20, step / 20, loss))
    assert display.rows[7].cells() == ("█▁", "step 10/20", "loss 1")
    assert display.done == 0.5
    assert display.left(time.monotonic()).endswith("left")
    assert re.search(r"\d+ (s|min) left$", drawn(display, 80)[0])
    progress.show(RowRetried(7, "a_s.png", "failed and will be tried again in 2 s"))
    assert display.rows[7].cells() == ("", "failed, will be tried again", "")
    progress.show(RowStepped(7, "a_s.png", 10, 20, 0.5, 1.0))
    assert display.rows[7].cells()[1:] == ("step 10/20", "loss 1")
    progress.show(RowEnded(7, "a_s.png", "failed", reason="no room"))
    assert (display.rows, display.ended, display.failed) == ({}, 1, 1)
    printed = capsys.readouterr().out
    assert "line 7 a_s.png failed and will be tried again in 2 s\n" in printed
    assert "[1/2] line 7 a_s.png: failed, no room" in printed


def test_what_takes_long_before_the_first_row_is_said_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = LiveProgress(Terminal())
    display = progress.display
    progress.show(StageEntered("starting Prefect's server"))
    assert capsys.readouterr().out == "starting Prefect's server ...\n"
    assert drawn(display, 80)[0].startswith("starting Prefect's server ")
    progress.show(PictureExamined(1, 4))
    assert capsys.readouterr().out == "looking at 4 pictures ...\n"
    progress.show(PictureExamined(2, 4))
    progress.show(RowsPlanned(2, 5))
    progress.show(StageEntered("compiling for the first row"))
    assert capsys.readouterr().out.endswith("\ncompiling for the first row ...\n")
    assert re.match("compiling for the first row", drawn(display, 80)[0])
    progress.show(RowStarted(7, "a_s.png"))
    assert re.match("compiling for the first row .* 0/2", drawn(display, 80)[0])
    progress.show(RowStepped(7, "a_s.png", 10, 20, 0.5, 1.0))
    assert re.match("stylizing .* 0/2", drawn(display, 80)[0])


def test_a_pipe_gets_the_time_left_once_a_minute_at_most(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = LiveProgress(Terminal())
    estimates = tuple(RowEstimate(line, 0.0, 50.0, is_measured=True) for line in range(10))
    progress.show(RowsPlanned(10, 10, 0, estimates))
    progress.show(DevicesOpened(("CPU:0",)))
    for line in range(10):
        progress.show(RowStarted(line, "a.png"))
        for share in (0.0, 0.5, 1.0):
            clock[0] += 20 if share else 0
            progress.show(RowStepped(line, "a.png", 0, 60, share, 1.0))
        progress.show(RowEnded(line, "a.png", "done", 1.0))
    lines = [line for line in capsys.readouterr().out.splitlines() if "left" in line]
    assert lines == [f"about {text} left" for text in ("5 min", "4 min", "3 min", "80 s")]


def test_a_run_that_stops_says_no_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = LiveProgress(Terminal())
    estimates = tuple(RowEstimate(line, 0.0, 50.0, is_measured=True) for line in range(3))
    progress.show(RowsPlanned(3, 3, 0, estimates))
    progress.show(DevicesOpened(("CPU:0",)))
    for line in (0, 1):
        progress.show(RowStarted(line, "a.png"))
        clock[0] += 70
        progress.show(RowStepped(line, "a.png", 0, 60, 1.0, 1.0))
        progress.show(RowEnded(line, "a.png", "done", 1.0))
        assert ("left" in capsys.readouterr().out) == (line == 0)
        assert ("left" in drawn(progress.display, 80)[0]) == (line == 0)
        progress.stop()


def test_a_dumb_terminal_is_treated_like_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert Terminal().is_rich
    monkeypatch.setenv("TERM", "dumb")
    assert not Terminal().is_rich


def test_control_characters_are_escaped() -> None:
    assert printable("ä\tb\nc") == "ä\tb\nc"
    assert printable("\x1b[2J\x07\r\x9b\udcff") == r"\x1b[2J\x07\r\x9b\udcff"
