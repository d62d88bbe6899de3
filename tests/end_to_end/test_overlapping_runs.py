"""Runs of one manifest that overlap on a disk: nothing is done twice at once, no file is torn."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.end_to_end.conftest import QUICK, Shell
from tests.pictures import write_csv

ROUNDS = 2
# It fails if another process works on the same thing at the same time, and lists what it did.
PROGRAM = """
import hashlib, os, sys
from contextlib import contextmanager
from flows.cli.app import main
from nst_core.images.pixels import as_pixels
from nst_core.transfer.styles import statistics
from nst_core.transfer import stylize

log = os.open("log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
rows_are_shared = sys.argv.pop(1) == "rows"

@contextmanager
def alone(kind, *arrays):
    name = f"{kind}-{hashlib.sha256(b''.join(array.tobytes() for array in arrays)).hexdigest()}"
    os.close(os.open(f"inside-{name}", os.O_CREAT | os.O_EXCL))
    try:
        yield
        os.write(log, f"{name}\\n".encode())
    finally:
        os.unlink(f"inside-{name}")

def style_targets(encoder, style, *rest, original=statistics.style_targets, **options):
    with alone("style", as_pixels(style)):
        return original(encoder, style, *rest, **options)

def iterates(encoder, content, targets, *rest, original=stylize.iterates, **options):
    with alone("row", content, *targets.grams[0].values()):
        return (yield from original(encoder, content, targets, *rest, **options))

statistics.style_targets = style_targets
if rows_are_shared:
    stylize.iterates = iterates
main()
"""


def _start(shell: Shell, shared: str, output: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-c", PROGRAM, shared, "run", "m.csv", "-o", output, *QUICK]
    return subprocess.Popen(
        command,
        cwd=shell.folder,
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _write_manifest(shell: Shell) -> None:
    names = [shell.picture(f"{number}.png", 10 + number).name for number in range(4)]
    rows = [(name, style) for style in ("s.png", "t.png") for name in names]
    write_csv(shell.folder / "m.csv", ("content", "style"), *rows)


def _done(shell: Shell) -> Counter[str]:
    """Return how often each style and row was computed, and forget it."""
    log = shell.folder / "log.txt"
    counts = Counter(log.read_text().split())
    log.unlink()
    assert not list(shell.folder.glob("inside-*"))
    return counts


def _assert_whole(shell: Shell, output: str) -> None:
    """A run reads and verifies every file of a row before it counts the row as cached."""
    folder = shell.folder / output
    assert not [path for path in folder.rglob("*") if path.name.endswith(".part")]
    for picture in (folder / "pictures").iterdir():
        Image.open(picture).load()
    assert shell.run("run", "m.csv", "-o", output, *QUICK).returncode == 0
    assert list(pd.read_csv(folder / "summary.csv")["status"]) == ["cached"] * 8


@pytest.mark.nights
def test_of_two_runs_into_one_folder_only_one_works(shell: Shell) -> None:
    _write_manifest(shell)
    for number in range(ROUNDS):
        runs = [_start(shell, "rows", f"out{number}") for _ in range(2)]
        errors = {run.returncode: run for run in runs if [run.communicate()]}
        assert set(errors) <= {0, 2}
        assert 0 in errors
        done = _done(shell)
        assert sum(name.startswith("row-") for name in done) == 8
        assert set(done.values()) == {1}
        _assert_whole(shell, f"out{number}")


@pytest.mark.torture
def test_two_runs_that_share_a_cache_compute_each_style_once_while_it_is_pruned(
    shell: Shell,
) -> None:
    _write_manifest(shell)
    cache = Path(shell.environment["NST_BATCH_CACHE"])
    pruned = 0
    for number in range(ROUNDS):
        outputs = [f"left{number}", f"right{number}"]
        runs = [_start(shell, "styles", output) for output in outputs]
        while any(run.poll() is None for run in runs):
            pruned += _prune(shell) if list(cache.glob("styles/targets/*.safetensors")) else 0
            time.sleep(0.2)
        ended = [(run.communicate()[1], run.returncode) for run in runs]
        assert [code for _, code in ended] == [0, 0], ended
        for output in outputs:
            table = pd.read_csv(shell.folder / output / "summary.csv")
            assert list(table["status"]) == ["done"] * 8
        # A run that is late may find that its style was pruned after the other run had ended.
        assert sum(name.startswith("style-") for name in _done(shell)) == 2
        pairs = [sorted((shell.folder / output / "pictures").iterdir()) for output in outputs]
        for left, right in zip(*pairs, strict=True):
            assert left.read_bytes() == right.read_bytes()
        for output in outputs:
            _assert_whole(shell, output)
        shell.run("cache", "prune", "--older-than", "0")
    assert pruned


def _prune(shell: Shell) -> int:
    result = shell.run("cache", "prune", "--older-than", "0", "--json")
    assert result.returncode == 0, result.stderr
    return int(json.loads(result.stdout)["dry_run"] is False)
