"""`nst-batch serve`: nightly runs without a work pool."""

import signal
import threading

import pytest

from tests.end_to_end.conftest import QUICK, Shell
from tests.pictures import write_csv


@pytest.mark.nights
def test_a_served_manifest_runs_on_request_and_is_scheduled(shell: Shell) -> None:
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    served = shell.start("serve", manifest, "-o", "out", *QUICK, "--timezone", "Europe/Berlin")
    watchdog = threading.Timer(240, served.kill)
    watchdog.start()
    try:
        run = shell.python(
            """
import time
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
for _ in range(60):
    try:
        with SyncPrefectClient(get_current_settings().api.url) as server:
            deployment = server.read_deployment_by_name("stylize-manifest/served")
        break
    except ObjectNotFound:
        time.sleep(1)
schedule = deployment.schedules[0].schedule
print(schedule.cron, schedule.timezone, deployment.parameters["settings"]["size"])
print(run_deployment("stylize-manifest/served", timeout=180, poll_interval=1).state.name)
"""
        )
        assert run.stdout.splitlines()[-2:] == ["0 1 * * * Europe/Berlin 32", "Completed"]
        assert (shell.folder / "out" / "pictures" / "a_s.png").is_file()
        served.send_signal(signal.SIGTERM)
        _, errors = served.communicate()
        assert served.returncode == 0, errors
        assert "never awaited" not in errors
        assert "Traceback" not in errors
    finally:
        served.kill()
        served.communicate()
        watchdog.cancel()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cron", "at night"], "found 'at night'; expected a cron expression such as"),
        (["--timezone", "Mars/Olympus"], "Mars/Olympus"),
        (["--devices", "gpu0"], "expected auto, gpu, cpu, or devices"),
        (["--address", "tcp://127.0.0.1:8786"], "expected --runner ray or --runner dask, too"),
    ],
)
def test_invalid_options_are_refused(shell: Shell, arguments: list[str], message: str) -> None:
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    result = shell.run("serve", manifest, "-o", "out", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_serving_needs_a_server(lone_shell: Shell) -> None:
    manifest = write_csv(lone_shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    result = lone_shell.run("serve", manifest, "-o", "out")
    assert result.returncode == 2
    assert "prefect server start" in result.stderr
