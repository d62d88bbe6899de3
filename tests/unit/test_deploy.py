"""What must hold of the files in deploy/, as far as they tell without systemd and an engine."""

import configparser
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ENVIRONMENT = dict(
    line.split("=", 1)
    for line in (DEPLOY / "systemd" / "nst-batch.env").read_text().splitlines()
    if line and not line.startswith("#")
)
RUN_ROWS = ["nst-batch-worker", "nst-batch-serve"]


def service(name: str) -> dict[str, str]:
    """The section [Service] of a unit."""
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    assert unit.read(DEPLOY / "systemd" / f"{name}.service")
    return dict(unit["Service"])


def compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return services


def test_there_are_three_units() -> None:
    assert [unit.stem for unit in UNITS] == [
        "nst-batch-serve",
        "nst-batch-server",
        "nst-batch-worker",
    ]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_no_ones_root_and_comes_back(unit: Path) -> None:
    has = service(unit.stem)
    assert has["User"] == "nst-batch"
    assert has["EnvironmentFile"] == "/etc/nst-batch.env"
    assert has["Restart"] == "always"
    assert has["NoNewPrivileges"] == "true"
    used = re.findall(r"\$\{(\w+)\}", unit.read_text())
    assert set(used) <= set(ENVIRONMENT), "a variable that nst-batch.env does not set"


@pytest.mark.parametrize("name", RUN_ROWS)
def test_rows_reach_gpus_locks_and_pictures(name: str) -> None:
    has = service(name)
    hides = {
        *("PrivateTmp", "PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock"),
        *("ProcSubset", "MemoryDenyWriteExecute", "ProtectHome"),
    }
    assert not hides & set(has)
    assert has["ProtectSystem"] == "full"
    assert has["CacheDirectory"] == "nst-batch"
    assert ENVIRONMENT["NST_BATCH_CACHE"] == "/var/cache/nst-batch"


@pytest.mark.parametrize("name", RUN_ROWS)
def test_scratch_is_the_services_own_and_locks_are_everyones(name: str) -> None:
    scratch = ENVIRONMENT["TMPDIR"].removeprefix("/var/lib/")
    assert scratch in service(name)["StateDirectory"].split()
    assert usual_locks(TMPDIR=ENVIRONMENT["TMPDIR"]) == usual_locks() == "/tmp"
    assert "NST_BATCH_DEVICE_LOCKS" not in ENVIRONMENT


def usual_locks(**variables: str) -> str:
    """The folder of device locks where nobody says otherwise."""
    program = "from nst_core.storage.locks import lock_folder; print(lock_folder())"
    named = ("NST_BATCH_", "TMPDIR", "TEMP", "TMP")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(named)}
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


def test_a_stop_leaves_time_to_give_up_a_row() -> None:
    worker, serve = map(service, RUN_ROWS)
    assert worker["KillMode"] == "mixed"
    assert worker["ExecStart"].endswith("/deploy/worker.py")
    assert serve["KillMode"] == "control-group"
    assert int(worker["TimeoutStopSec"]) == int(serve["TimeoutStopSec"]) >= 60
    assert compose()["worker"]["stop_grace_period"] == f"{worker['TimeoutStopSec']}s"
    assert compose()["worker"]["command"][-1].endswith("/deploy/worker.py")


def test_a_container_shares_the_locks_of_its_host() -> None:
    (lock,) = [volume for volume in compose()["worker"]["volumes"] if isinstance(volume, dict)]
    locks = compose()["worker"]["environment"]["NST_BATCH_DEVICE_LOCKS"]
    assert lock["source"] == lock["target"] == locks
    assert f"install -d -m 1777 {locks}\n" in (DEPLOY / "compose.yaml").read_text()
    assert f"install -d -m 1777 {locks} " in (ROOT / "docs" / "nightly.md").read_text()


def test_no_night_starts_before_somebody_switches_it_on() -> None:
    """The manifest of the first deployment is for the user to write."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    schedules = [schedule for each in deployments for schedule in each["schedules"]]
    assert schedules
    assert not any(schedule["active"] for schedule in schedules)
    switch = "prefect deployment schedule resume --all"
    for page in ("README.md", "docs/nightly.md", "prefect.yaml"):
        assert switch in (ROOT / page).read_text()


def test_the_server_writes_its_page_where_it_may() -> None:
    """Else into the installation, which is not its own: there is no page then."""
    page = ENVIRONMENT["PREFECT_UI_STATIC_DIRECTORY"]
    assert page.startswith("/var/lib/nst-batch/")
    assert "nst-batch" in service("nst-batch-server")["StateDirectory"].split()
    assert "PREFECT_UI_STATIC_DIRECTORY=/prefect/" in (DEPLOY / "Dockerfile").read_text()
    assert "prefect:/prefect" in compose()["server"]["volumes"]


def test_servers_of_both_kinds_keep_leases_and_what_automations_wait_for() -> None:
    told = compose()["server"]["environment"]
    for name in (
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
        "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER",
    ):
        assert told[name] == ENVIRONMENT[name]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    """With commands that are there; that every key is known and every value is understood."""
    for unit in UNITS:
        text = re.sub(r"(?<==)/opt/nst-batch/\.venv/bin/\S+", "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    command = [*verify, *(str(tmp_path / unit.name) for unit in UNITS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_gpu_lock_is_what_tensorflow_asks_for() -> None:
    lock = (DEPLOY / "requirements-gpu.lock").read_text()
    locked = dict(re.findall(r"^(\S+)==(\S+)", lock, flags=re.MULTILINE))
    asked = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, requires("tensorflow") or [])
        if "and-cuda" in str(requirement.marker)
    }
    assert asked
    assert locked.keys() == asked.keys()
    assert all(version in asked[name] for name, version in locked.items())


def test_the_image_gets_what_its_dockerfile_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:].rstrip("/") for line in ignored if line.startswith("!")}
    assert all((ROOT / path).exists() for path in kept)
    packages = {"flows", "tasks", "nst_core"}
    installed = {"pyproject.toml", "README.md", "requirements.lock", "deploy/requirements-gpu.lock"}
    run = {"prefect.yaml", "manifests", "deploy/worker.py"}
    assert kept == packages | installed | run


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
def test_a_worker_that_is_stopped_lets_its_run_give_up_first(tmp_path: Path) -> None:
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
def test_a_worker_that_a_shell_started_ends_too(tmp_path: Path) -> None:
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


def test_no_proxy_comes_between_a_worker_and_its_server() -> None:
    assert {"localhost", "127.0.0.1", "::1"} <= set(ENVIRONMENT["NO_PROXY"].split(","))
    assert ENVIRONMENT["no_proxy"] == ENVIRONMENT["NO_PROXY"]
    given = compose()["worker"]["environment"]
    assert "server" in given["NO_PROXY"].split(",")
    assert given["no_proxy"] == given["NO_PROXY"]
