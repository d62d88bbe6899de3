"""deploy/worker.py: when it is stopped, its run gives up first."""

import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"

WORKER = """
import signal, subprocess, sys, time
run = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
def stop(*_):
    run.kill()  # as Prefect's does
    sys.exit()
signal.signal(signal.SIGTERM, stop)
run.wait()
time.sleep(60)
"""
RUN = """
import signal, sys, time
from pathlib import Path
def give_up(*_):
    time.sleep(0.5)
    Path(sys.argv[1], "given-up").touch()
    sys.exit()
signal.signal(signal.SIGTERM, give_up)
Path(sys.argv[1], "running").touch()
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_stopped_worker_lets_its_run_give_up_first(tmp_path: Path) -> None:
    end = runpy.run_path(str(DEPLOY / "worker.py"))["end"]
    with subprocess.Popen([sys.executable, "-c", WORKER, RUN, str(tmp_path)]) as worker:
        try:
            wait_for(tmp_path / "running")
            end(worker)
            assert (tmp_path / "given-up").exists()
            assert worker.wait(30) == 0
        finally:
            worker.kill()


STARTED_BY_A_SHELL = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `&` has it
script = runpy.run_path(sys.argv[1])
script["WORKER"][:] = [sys.executable, "-c", *sys.argv[2:]]
sys.exit(script["main"]())
"""
IDLE_WORKER = """
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))  # as Prefect's does
Path(sys.argv[1], "running").touch()
try:
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_started_by_a_shell_can_be_stopped(tmp_path: Path) -> None:
    script = [STARTED_BY_A_SHELL, str(DEPLOY / "worker.py"), IDLE_WORKER, str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", *script]) as started:
        try:
            wait_for(tmp_path / "running")
            started.terminate()
            assert started.wait(30) == 7
        finally:
            started.kill()


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"no {path.name}")
