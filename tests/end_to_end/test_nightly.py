"""A night as docs/nightly.md has it: a server, a work pool, a worker, and the deployments."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import clean_environment
from tests.pictures import write_picture

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_nights_by_a_worker(tmp_path: Path) -> None:
    """Everything that is checked is in the script, which people can run and read too."""
    for seed, name in enumerate(("a.png", "s.png")):
        write_picture(tmp_path / name, seed)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = clean_environment(tmp_path / "home")
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    script = str(ROOT / "tests" / "end_to_end" / "nightly.sh")
    result = subprocess.run(
        ["bash", script, str(tmp_path), port],
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-3000:]
    assert "== everything holds" in result.stdout
