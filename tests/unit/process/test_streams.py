"""Printing never decides how a command ends; each test runs a process with its own streams."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.process.streams import failure_of, patient

PROGRAM = """
import os, sys
from flows.process.streams import failure_of, open_standard_streams
open_standard_streams()
print("caf\\u00e9 \\u2603 \\udcff")
print("a message", file=sys.stderr)
with open(os.devnull) as other:
    assert other.fileno() > 2, "a file took the place of a standard stream"
sys.exit(7 if failure_of(sys.stdout) else 0)
"""


def run(redirected: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Run the program with its streams redirected by a shell."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirected}', sys.executable, PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "caf\u00e9 \u2603 \\udcff"),
        ("latin-1", "caf\u00e9 \\u2603 \\udcff"),
        ("ascii", "caf\\xe9 \\u2603 \\udcff"),
        ("ascii:strict", "caf\\xe9 \\u2603 \\udcff"),
    ],
)
def test_characters_that_an_encoding_lacks_are_escaped(encoding: str, written: str) -> None:
    result = run("", PYTHONIOENCODING=encoding)
    assert result.returncode == 0, result.stderr
    assert result.stdout.decode(encoding.partition(":")[0]) == f"{written}\n"
    assert result.stderr == b"a message\n"


@pytest.mark.parametrize(
    ("redirected", "code", "errors"),
    [
        (">&-", 0, b"a message\n"),
        ("2>&-", 0, b""),
        (">&- 2>&-", 0, b""),
        ("<&- >&- 2>&-", 0, b""),
        pytest.param(
            ">/dev/full",
            *(7, b"a message\n"),
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it"),
        ),
    ],
)
def test_streams_that_are_closed_or_full_raise_nothing(
    redirected: str, code: int, errors: bytes
) -> None:
    result = run(redirected)
    assert (result.returncode, result.stderr) == (code, errors)


def test_a_reader_that_goes_away_is_no_failure() -> None:
    reading, writing = os.pipe()
    stream = patient(writing)
    os.close(reading)
    stream.write("a" * 100_000)
    stream.write("b\n")
    assert failure_of(stream) is None
    stream.close()


def test_a_pipe_that_another_program_made_nonblocking_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    slow = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; time.sleep(0.3); print(len(sys.stdin.read()))"],
        stdin=reading,
        stdout=subprocess.PIPE,
    )
    os.close(reading)
    stream = patient(writing)
    stream.write("a" * 300_000)
    assert failure_of(stream) is None
    stream.close()
    os.close(writing)
    output, _ = slow.communicate(timeout=60)
    assert int(output) == 300_000


def test_a_full_disk_is_reported() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("Linux has it")
    stream = patient(os.open(full, os.O_WRONLY))
    stream.write("a\n")
    failure = failure_of(stream)
    assert failure is not None
    assert failure.errno == errno.ENOSPC
    stream.close()
