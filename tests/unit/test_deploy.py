"""The files in deploy/, checked as far as possible without systemd and a container engine."""

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

from tasks.request import BatchRequest

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
    """Return the section [Service] of a unit."""
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
def test_a_unit_does_not_run_as_root_and_restarts(unit: Path) -> None:
    settings = service(unit.stem)
    assert settings["User"] == "nst-batch"
    assert settings["EnvironmentFile"] == "/etc/nst-batch.env"
    assert settings["Restart"] == "always"
    assert settings["NoNewPrivileges"] == "true"
    used = re.findall(r"\$\{(\w+)\}", unit.read_text())
    assert set(used) <= set(ENVIRONMENT), "a variable that nst-batch.env does not set"


@pytest.mark.parametrize("name", RUN_ROWS)
def test_rows_reach_gpus_locks_and_pictures(name: str) -> None:
    settings = service(name)
    restrictions = {
        *("PrivateTmp", "PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock"),
        *("ProcSubset", "MemoryDenyWriteExecute", "ProtectHome"),
    }
    assert not restrictions & set(settings)
    assert settings["ProtectSystem"] == "full"
    assert settings["CacheDirectory"] == "nst-batch"
    assert ENVIRONMENT["NST_BATCH_CACHE"] == "/var/cache/nst-batch"


@pytest.mark.parametrize("name", RUN_ROWS)
def test_temporary_files_are_private_and_locks_are_shared(name: str) -> None:
    scratch = ENVIRONMENT["TMPDIR"].removeprefix("/var/lib/")
    assert scratch in service(name)["StateDirectory"].split()
    assert default_lock_folder(TMPDIR=ENVIRONMENT["TMPDIR"]) == default_lock_folder() == "/tmp"
    assert "NST_BATCH_DEVICE_LOCKS" not in ENVIRONMENT


def default_lock_folder(**variables: str) -> str:
    """Return the default folder of device locks."""
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


def test_no_schedule_is_active_before_somebody_resumes_it() -> None:
    """The user must write the manifest of the first deployment before it can run."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    schedules = [schedule for each in deployments for schedule in each["schedules"]]
    assert schedules
    assert not any(schedule["active"] for schedule in schedules)
    switch = "prefect deployment schedule resume --all"
    for page in ("README.md", "docs/nightly.md", "prefect.yaml"):
        assert switch in (ROOT / page).read_text()


def test_the_parameters_of_deployments_are_those_of_a_run_that_ends_in_time() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    (parameters,) = (each["parameters"] for each in deployments if "parameters" in each)
    deadline = BatchRequest.model_validate(parameters).limits(time.time()).deadline
    assert 0 < deadline.window <= 25 * 3600


def test_the_server_writes_its_page_to_a_writable_folder() -> None:
    """Otherwise it would write to the installation, which it cannot, and there would be no page."""
    page = ENVIRONMENT["PREFECT_UI_STATIC_DIRECTORY"]
    assert page.startswith("/var/lib/nst-batch/")
    assert "nst-batch" in service("nst-batch-server")["StateDirectory"].split()
    assert "PREFECT_UI_STATIC_DIRECTORY=/prefect/" in (DEPLOY / "Dockerfile").read_text()
    assert "prefect:/prefect" in compose()["server"]["volumes"]


def test_both_kinds_of_server_keep_leases_and_states_of_automations() -> None:
    environment = compose()["server"]["environment"]
    for name in (
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
        "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER",
    ):
        assert environment[name] == ENVIRONMENT[name]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """All commands are replaced by one that exists; systemd then checks all keys and values."""
    for unit in UNITS:
        text = re.sub(r"(?<==)/opt/nst-batch/\.venv/bin/\S+", "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    command = [*verify, *(str(tmp_path / unit.name) for unit in UNITS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_gpu_lock_file_has_what_tensorflow_requires() -> None:
    lock = (DEPLOY / "requirements-gpu.lock").read_text()
    locked = dict(re.findall(r"^(\S+)==(\S+)", lock, flags=re.MULTILINE))
    required = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, requires("tensorflow") or [])
        if "and-cuda" in str(requirement.marker)
    }
    assert required
    assert locked.keys() == required.keys()
    assert all(version in required[name] for name, version in locked.items())


def test_the_image_gets_what_its_dockerfile_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {line[1:].rstrip("/") for line in ignored if line.startswith("!")}
    assert all((ROOT / path).exists() for path in copied)
    packages = {"flows", "tasks", "nst_core"}
    installed = {"pyproject.toml", "README.md", "requirements.lock", "deploy/requirements-gpu.lock"}
    run = {"prefect.yaml", "manifests", "deploy/worker.py"}
    assert copied == packages | installed | run


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


def test_a_worker_reaches_its_server_without_a_proxy() -> None:
    assert {"localhost", "127.0.0.1", "::1"} <= set(ENVIRONMENT["NO_PROXY"].split(","))
    assert ENVIRONMENT["no_proxy"] == ENVIRONMENT["NO_PROXY"]
    environment = compose()["worker"]["environment"]
    assert "server" in environment["NO_PROXY"].split(",")
    assert environment["no_proxy"] == environment["NO_PROXY"]
