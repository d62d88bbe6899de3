"""What `run` shows in a terminal, and what it writes into a pipe."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.display import BLOCKS
from tests.end_to_end.conftest import COMMAND, QUICK, Shell, make_shell
from tests.pictures import write_csv
from tests.terminal import CTRL_C, PseudoTerminal

# Adam, because L-BFGS may converge long before the last step.
LONG = ["--size", "32", "--octaves", "1", "--tolerance", "0", "--optimizer", "adam"]
STEPS = 200
SOME_SECONDS = [*LONG, "--steps", str(STEPS)]
ENDLESS = [*LONG, "--steps", "10000"]
COLOR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])[;m]")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Shell:
    """Return a shell with a manifest of which one row works, one is invalid and one fails."""
    shell = make_shell(tmp_path_factory.mktemp("terminal"), server_url)
    rows = [("a.png", "s.png", ""), ("missing.png", "s.png", ""), ("b.png", "t.png", "file/in/way")]
    write_csv(shell.folder / "m.csv", ("content", "style", "output"), *rows)
    (shell.folder / "out" / "pictures").mkdir(parents=True)
    (shell.folder / "out" / "pictures" / "file").write_text("no folder")
    return shell


def run_in_terminal(
    shell: Shell, output: str, settings: list[str], columns: int = 80, **variables: str
) -> PseudoTerminal:
    arguments = ["run", "m.csv", "--output", output, "--refresh", *settings]
    environment = {name: value for name, value in shell.environment.items() if name != "NO_COLOR"}
    return PseudoTerminal(
        [*COMMAND, *arguments], shell.folder, environment | variables, columns=columns
    )


@pytest.fixture
def started() -> Iterator[list[PseudoTerminal]]:
    """Yield a list of terminals whose commands are killed when the test ends."""
    terminals: list[PseudoTerminal] = []
    yield terminals
    for terminal in terminals:
        terminal.kill()


def line_with(screen: list[str], text: str) -> str:
    return next((line for line in screen if text in line), "")


def is_at_step(least: int, line: str) -> bool:
    found = re.search(r"step (\d+)/", line)
    return found is not None and int(found[1]) >= least


@pytest.mark.nights
def test_progress_in_a_terminal_of_80_columns(shell: Shell, started: list[PseudoTerminal]) -> None:
    terminal = run_in_terminal(shell, "out", SOME_SECONDS)
    started.append(terminal)
    screen = terminal.look_until(lambda screen: is_at_step(50, line_with(screen, "a_s.png")))
    row = line_with(screen, "a_s.png")
    assert re.fullmatch(rf"  a_s\.png +[{BLOCKS}]{{6,12}} +step \d+/{STEPS} +loss 0\.\d+", row)
    assert re.fullmatch(r"stylizing ━.* 0/2.*", screen[screen.index(row) - 1])
    screen = terminal.look_until(lambda screen: bool(line_with(screen, "  file/in/way.png")))
    batch = line_with(screen, "stylizing")
    assert " 1/2" in batch
    assert re.search(r"\d+ (s|min) left$", batch)
    code, screen = terminal.end()
    assert code == 1
    text = "\n".join(screen)
    assert "━" not in text, "the bar is gone"
    assert re.search(r"2 +a\.png +s\.png +done +\d+", text)
    assert "1 done, 1 failed, 1 invalid; stylizing took" in text
    assert line_with(screen, "gallery:").endswith("out/gallery.html")
    last = text.partition("not done, and why\n")[2]
    assert re.search(r"3 +invalid +column content: found 'missing\.png'", last)
    assert re.search(r"4 +failed +WriteError: out/pictures/file/in/way\.png: ", last)
    unbroken = "".join(last.split())
    assert unbroken.endswith("(Notadirectory);chooseanotherfolder"), "it ends with what failed"
    assert COLOR.search(terminal.written)


@pytest.mark.torture
def test_progress_in_a_narrow_terminal_without_color(
    shell: Shell, started: list[PseudoTerminal]
) -> None:
    terminal = run_in_terminal(shell, "narrow", SOME_SECONDS, columns=40, NO_COLOR="1")
    started.append(terminal)
    screen = terminal.look_until(lambda screen: is_at_step(50, line_with(screen, "a_s.png")))
    row = line_with(screen, "a_s.png")
    assert re.fullmatch(rf"  a_s\.png +step \d+/{STEPS} +loss 0\.\d+", row)
    place = screen.index(row)
    assert re.fullmatch(r"━.* 0/2.*", screen[place - 1])
    assert not any(screen[place + 1 :]), "two lines, and neither runs over"
    code, screen = terminal.end()
    assert code == 1
    assert re.search(r"2 +a\.png +s\.png +done$", "\n".join(screen), flags=re.MULTILINE)
    assert not COLOR.search(terminal.written)


@pytest.mark.nights
def test_ctrl_c_keeps_the_best_picture_and_reports_how_to_resume(
    shell: Shell, started: list[PseudoTerminal]
) -> None:
    terminal = run_in_terminal(shell, "stopped", ENDLESS)
    started.append(terminal)
    terminal.look_until(lambda screen: is_at_step(50, line_with(screen, "a_s.png")))
    terminal.type(CTRL_C)
    code, screen = terminal.end()
    text = "\n".join(screen)
    assert code == 130
    assert "stopping; the best picture so far" in text
    assert "1 invalid, 1 interrupted, 1 pending" in text
    assert "best so far: stopped/interrupted/a_s.png" in text
    assert screen[-1].endswith("rerun the same command to resume")
    assert "Traceback" not in text
    assert (shell.folder / "stopped" / "interrupted" / "a_s.png").is_file()


@pytest.mark.nights
def test_a_pipe_gets_one_line_per_row_and_no_control_sequences(shell: Shell) -> None:
    (shell.folder / "evil").mkdir()
    evil = Path("evil") / "\x1b]0;mine\x07\x1b[2J.png"
    shell.picture(str(evil), 3)
    rows = [("a.png", "s.png", ""), ("missing.png", evil, ""), (evil, "t.png", "file/in/way")]
    write_csv(shell.folder / "pipe.csv", ("content", "style", "output"), *rows)
    result = shell.run("run", "pipe.csv", "--output", "out", "--refresh", *QUICK)
    assert result.returncode == 1
    assert not re.search(r"[\x1b\x07\r━█]", result.stdout + result.stderr)
    lines = result.stdout.splitlines()
    assert "2 of 2 rows to run, 0 already done" in lines
    silent = ("loading Prefect", "looking at 5 pictures", "loading TensorFlow", "compiling for")
    said = [next(at for at, line in enumerate(lines) if line.startswith(text)) for text in silent]
    assert said == sorted(said)
    assert said[-1] < lines.index(line_with(lines, "[1/2]"))
    assert re.fullmatch(r"\[1/2\] line 2 a_s\.png: done, loss \S+", line_with(lines, "[1/2]"))
    assert line_with(lines, "[2/2]").startswith("[2/2] line 4 file/in/way.png: failed, ")
    columns = ["line", "status", "picture", "loss", "content", "style", "steps", "seconds"]
    table = lines.index("\t".join([*columns, "style score", "content score"]))
    assert lines[table + 1].startswith(r"3" + "\tinvalid\t" + r"missing.png x \x1b]0; mine\x07")
    assert lines[table + 3].startswith("2\tdone\tpictures/a_s.png\t")
    assert lines[-2].startswith("invalid: line 3, column content: found 'missing.png'")
    assert lines[-1].startswith("failed: line 4, WriteError: ")
    assert "(Not a directory); choose another folder" in lines[-1]
