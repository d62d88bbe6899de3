"""A row that is killed in the middle, again and again, continues and ends as if undisturbed."""

import time
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import Shell
from tests.pictures import write_csv

STEPS = 1200
SETTINGS = ["--size", "64", "--steps", STEPS, "--octaves", "1", "--tolerance", "0"]
SETTINGS += ["--enlarge", "--optimizer", "adam", "--checkpoint-every", "0.5"]
KILLS = 3


def _checkpoints(output: Path) -> dict[str, int]:
    """Return when each checkpoint was written, by name."""
    found = {}
    for path in (output / ".nst-batch" / "checkpoints").glob("[0-9a-f]*"):
        try:
            found[path.name] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def _kill_after_two_checkpoints(shell: Shell, output: Path, arguments: list[object]) -> None:
    """Kill a run once it has written a checkpoint twice, as only a row that is active does."""
    with shell.start(*arguments) as process:
        seen = {*_checkpoints(output).items()}
        deadline = time.monotonic() + 200
        while len({*_checkpoints(output).items()} - seen) < 1:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        seen |= {*_checkpoints(output).items()}
        while len({*_checkpoints(output).items()} - seen) < 1:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
        process.kill()


@pytest.mark.torture
def test_a_row_that_is_killed_continues_to_the_same_bits(shell: Shell) -> None:
    write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    calm = ["run", "m.csv", "-o", "calm", "--cache", "cache", *SETTINGS]
    wild: list[object] = ["run", "m.csv", "-o", "wild", "--cache", "cache", *SETTINGS, "--verbose"]
    assert shell.run(*calm).returncode == 0
    output = shell.folder / "wild"
    for _ in range(KILLS):
        _kill_after_two_checkpoints(shell, output, wild)
    done = shell.run(*wild)
    assert done.returncode == 0, done.stderr
    assert "continues after step" in done.stdout + done.stderr
    table = pd.read_csv(output / "summary.csv")
    assert list(table["status"]) == ["done"]
    assert list(table["steps"]) == [STEPS]
    for name in ("pictures/a_s.png", "losses/a_s.csv"):
        calmly = (shell.folder / "calm" / name).read_bytes()
        assert (output / name).read_bytes() == calmly, name
    assert not _checkpoints(output)
