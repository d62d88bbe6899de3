"""The files in deploy/, checked as far as possible without systemd and a container engine."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tasks.request import BatchRequest
from tasks.request_checks import limits_of

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
ALL_UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
UNITS = [unit for unit in ALL_UNITS if "@" not in unit.name]
ENVIRONMENT = dict(
    line.split("=", 1)
    for line in (DEPLOY / "systemd" / "nst-batch.env").read_text().splitlines()
    if line and not line.startswith("#")
)
RUN_ROWS = ["nst-batch-worker", "nst-batch-serve"]


def section(name: str, of: str) -> dict[str, str]:
    """Return a section of a unit, with the last value of a setting that it repeats."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    assert unit.read(DEPLOY / "systemd" / f"{name}.service")
    return dict(unit[of])


def service(name: str) -> dict[str, str]:
    return section(name, "Service")


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
    files = re.findall(r"^EnvironmentFile=(.*)$", unit.read_text(), flags=re.MULTILINE)
    # Without a leading dash, a unit does not start if one is missing, such as the password.
    assert files == ["/etc/nst-batch.env", "/etc/nst-batch.secret"]
    assert settings["Restart"] == "always"
    assert settings["NoNewPrivileges"] == "true"
    used = re.findall(r"\$\{(\w+)\}", unit.read_text())
    assert set(used) <= set(ENVIRONMENT), "a variable that nst-batch.env does not set"


@pytest.mark.parametrize("name", RUN_ROWS)
def test_rows_reach_gpus_locks_and_pictures(name: str) -> None:
    settings = service(name)
    restrictions = {
        *("PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock"),
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
    assert service(name)["PrivateTmp"] == "true"
    locks = ENVIRONMENT["NST_BATCH_DEVICE_LOCKS"]
    assert not locks.startswith(("/tmp", "/var/tmp")), "which is the unit's own"
    lines = (DEPLOY / "tmpfiles.d" / "nst-batch.conf").read_text().splitlines()
    (line,) = [line for line in lines if not line.startswith("#")]
    # Its age is "-": a lock file that is cleaned up would let two runs use one GPU.
    assert line.split() == ["d", locks, "1777", "root", "root", "-"]
    assert locks == compose()["worker"]["environment"]["NST_BATCH_DEVICE_LOCKS"]


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
    assert compose()["worker"]["command"][1].endswith("/deploy/worker.py")


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
    deadline = limits_of(BatchRequest.model_validate(parameters), time.time()).deadline
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
    for unit in ALL_UNITS:
        text = re.sub(r"(?<==)/opt/nst-batch/\.venv/bin/\S+", "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    command = [*verify, *(str(tmp_path / unit.name) for unit in ALL_UNITS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


MOST_EXPOSED = {"nst-batch-server": 1.5, "nst-batch-failed@": 2.0}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
@pytest.mark.parametrize("unit", ALL_UNITS, ids=lambda unit: unit.stem)
def test_systemd_rates_the_exposure_of_the_units_as_low(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rated = re.search(r"exposure level for \S+: (\d+\.\d)", result.stdout)
    assert rated
    assert float(rated[1]) <= MOST_EXPOSED.get(unit.stem, 3.0)


@pytest.mark.skipif(not shutil.which("systemd-tmpfiles"), reason="systemd-tmpfiles is not here")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create root's folders")
def test_systemd_creates_the_folder_of_the_locks(tmp_path: Path) -> None:
    conf = DEPLOY / "tmpfiles.d" / "nst-batch.conf"
    subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create", str(conf)], check=True)
    made = (tmp_path / ENVIRONMENT["NST_BATCH_DEVICE_LOCKS"].lstrip("/")).stat()
    assert (made.st_uid, oct(made.st_mode & 0o7777)) == (0, "0o1777")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_waits_for_its_folders_has_limits_and_reports_that_it_gave_up(unit: Path) -> None:
    head, settings = section(unit.stem, "Unit"), service(unit.stem)
    assert "network-online.target" in head["After"].split()
    assert "network-online.target" in head["Wants"].split()
    used = {"/opt/nst-batch", "/var/lib/nst-batch"}
    if unit.stem in RUN_ROWS:
        used |= {"/var/cache/nst-batch"}
        # Otherwise the end of one run for lack of memory would stop the worker as well, and with
        # `isolate`, that of a row's process would stop the run.
        assert settings["OOMPolicy"] == "continue"
    assert set(head["RequiresMountsFor"].split()) == used
    assert settings["MemoryMax"]
    assert head["OnFailure"] == "nst-batch-failed@%n.service"
    # A unit that is restarted without a limit never fails, so nothing would be reported.
    seconds = 3600 * int(head["StartLimitIntervalSec"].removesuffix("h"))
    assert int(head["StartLimitBurst"]) * int(settings["RestartSec"]) < seconds


def test_a_unit_that_gave_up_is_reported_to_a_program_of_the_user(tmp_path: Path) -> None:
    command = service("nst-batch-failed@")["ExecStart"]
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "told: $1" > {tmp_path}/told\n')
    script = command.removeprefix("/bin/sh -c '").removesuffix("'")
    script = script.replace("%i", "nst-batch-worker.service").replace(
        "/etc/nst-batch-failed", str(hook)
    )
    for mode in (0o644, 0o755):
        hook.chmod(mode)
        result = subprocess.run(
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=True
        )
        assert result.stdout.startswith("<1>nst-batch-worker.service gave up")
    assert (tmp_path / "told").read_text() == "told: nst-batch-worker.service\n"


def test_the_server_has_a_password_in_every_setup() -> None:
    for name in ("server", "worker"):
        environment = compose()[name]["environment"]
        # Compose refuses to start without the variable.
        assert environment["PREFECT_API_AUTH_STRING"].startswith("${NST_BATCH_AUTH:?")
    server = compose()["server"]["environment"]
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == server["PREFECT_API_AUTH_STRING"]
    # No file has a password that somebody could leave as it is.
    assert not any("AUTH_STRING" in name for name in ENVIRONMENT)
    for page in ("docs/nightly.md", "docs/operations.md"):
        text = (ROOT / page).read_text()
        assert "umask 077" in text
        assert text.count("PREFECT_SERVER_API_AUTH_STRING") >= 1


def test_both_kinds_of_server_let_runs_be_watched_with_their_logs() -> None:
    environment = compose()["server"]["environment"]
    for name in ("STREAM_OUT", "STREAM_PUBLISHING"):
        name = f"PREFECT_SERVER_LOGS_{name}_ENABLED"
        assert environment[name] == ENVIRONMENT[name] == "true"
        assert name in (ROOT / "docs" / "nightly.md").read_text()


def test_both_kinds_of_server_remove_old_runs() -> None:
    environment = compose()["server"]["environment"]
    for name in ("ENABLED", "RETENTION_PERIOD"):
        name = f"PREFECT_SERVER_SERVICES_DB_VACUUM_{name}"
        assert environment[name] == ENVIRONMENT[name]
    assert "flow_runs" in ENVIRONMENT["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"].split(",")


def test_every_setup_creates_the_work_pool_before_it_deploys() -> None:
    for page in ("README.md", "docs/nightly.md"):
        text = (ROOT / page).read_text()
        blocks = re.findall(r"(?:^    .*\n|^\n)+", text, flags=re.MULTILINE)
        deploys = [re.search(r"prefect (--no-prompt )?deploy \W", block) for block in blocks]
        assert any(deploys)
        for block, deploy in zip(blocks, deploys, strict=True):
            pool = block.find("prefect work-pool create")
            assert not deploy or 0 <= pool < deploy.start(), block


def test_the_gpu_lock_file_has_what_tensorflow_and_the_extra_require() -> None:
    lock = (DEPLOY / "requirements-gpu.lock").read_text()
    locked = dict(re.findall(r"^(\S+)==(\S+)", lock, flags=re.MULTILINE))
    required = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, requires("tensorflow") or [])
        if "and-cuda" in str(requirement.marker)
    }
    assert required
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    own = [need for need in map(Requirement, extra["gpu"]) if need.name.startswith("nvidia-")]
    required |= {need.name: need.specifier for need in own}
    assert locked.keys() == required.keys()
    assert all(version in required[name] for name, version in locked.items())


def test_a_worker_reaches_its_server_without_a_proxy() -> None:
    assert {"localhost", "127.0.0.1", "::1"} <= set(ENVIRONMENT["NO_PROXY"].split(","))
    assert ENVIRONMENT["no_proxy"] == ENVIRONMENT["NO_PROXY"]
    environment = compose()["worker"]["environment"]
    assert "server" in environment["NO_PROXY"].split(",")
    assert environment["no_proxy"] == environment["NO_PROXY"]
