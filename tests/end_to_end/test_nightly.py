"""Nightly runs as docs/nightly.md describes them: server, work pool, worker, deployments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import clean_environment, free_port
from tests.pictures import write_picture


@pytest.mark.nights
@pytest.mark.parametrize(
    "script", ["nightly.sh", pytest.param("power_cut.sh", marks=pytest.mark.torture)]
)
def test_nightly_runs_by_a_worker(tmp_path: Path, script: str) -> None:
    """All checks are in the scripts, which people can also run and read."""
    for seed, name in enumerate(("a.png", "s.png")):
        write_picture(tmp_path / name, seed)
    environment = clean_environment(tmp_path / "home")
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    result = subprocess.run(
        ["bash", str(Path(__file__).parent / script), str(tmp_path), str(free_port())],
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-3000:]
    assert "== everything holds" in result.stdout
