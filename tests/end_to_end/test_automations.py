"""The automations in deploy/: their triggers, and the report of a failed night."""

import importlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.settings import Settings

from flows.ending import final_state
from tasks.report.table_row import Table, TableRow
from tasks.store.statuses import Status
from tests.end_to_end.conftest import Shell
from tests.http_server import Answer, serving
from tests.pictures import write_csv

DEPLOY = Path(__file__).parents[2] / "deploy"
CRASHED = DEPLOY / "automations" / "crashed-nights.yaml"
FAILED = DEPLOY / "automations" / "failed-or-late-night.yaml"

Result = TypeVar("Result")


def crashed_nights() -> Any:
    return AutomationCore.model_validate(yaml.safe_load(CRASHED.read_text()))


def test_the_crash_automation_waits_for_three_heartbeats() -> None:
    """With less than one heartbeat, Prefect would end healthy runs."""
    heartbeat = Settings.model_fields["flows"].annotation.model_fields["heartbeat_frequency"]
    assert crashed_nights().trigger.within.total_seconds() >= 3 * heartbeat.default


def table_of(statuses: tuple[Status, ...], seconds_left: float | None) -> Table:
    rows = tuple(TableRow(line=line, status=status) for line, status in enumerate(statuses, 2))
    return Table(rows, seconds_left=seconds_left)


def test_the_crash_automation_expects_all_final_states() -> None:
    """Events are named after states, some of which this project defines."""
    ends: tuple[tuple[tuple[Status, ...], float | None], ...] = (
        *((("done",), None), (("done", "pending"), 60.0), (("failed",), None)),
        (("done", "failed"), None),
    )
    own_states = {
        f"prefect.flow-run.{final_state(table_of(statuses, seconds)).name}"
        for statuses, seconds in ends
    }
    assert len(own_states) == len(ends)
    prefect_states = {
        f"prefect.flow-run.{name}" for name in ("Failed", "Crashed", "Cancelled", "heartbeat")
    }
    assert crashed_nights().trigger.expect == own_states | prefect_states


def test_prefect_recognizes_the_settings_of_the_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DEPLOY / "systemd" / "nst-batch.env").read_text()
    for name, value in re.findall(r"^(PREFECT_\w+)=(.*)$", text, flags=re.MULTILINE):
        monkeypatch.setenv(name, value)
    server = Settings().server
    assert server.events.expired_bucket_buffer.days == 7
    assert not server.analytics_enabled
    assert not server.ephemeral.enabled
    vacuum = server.services.db_vacuum
    assert vacuum.enabled_vacuum_types >= {"events", "flow_runs"}
    assert vacuum.retention_period.days == 30
    storage = importlib.import_module(server.concurrency.lease_storage)
    assert storage.ConcurrencyLeaseStorage(tmp_path).storage_path == tmp_path


@pytest.mark.nights
def test_a_failed_night_is_reported_once(shell: Shell, server_url: str) -> None:
    manifest = write_csv(shell.folder / "failing.csv", ("content", "style"), ("none.png", "s.png"))
    with serving(Answer(b"")) as webhook, SyncPrefectClient(server_url) as server:
        create_automations(shell, block_that_posts_to(shell, webhook.url))
        served = shell.start("serve", manifest, "-o", "out", "--name", "nightly")
        watchdog = threading.Timer(150, served.kill)
        watchdog.start()
        try:
            night = wait_until(lambda: nightly(server))
            server.create_flow_run_from_deployment(night)
            wait_until(lambda: webhook.posted)
        finally:
            served.terminate()
            served.communicate()
            watchdog.cancel()
            delete_automations(server)
    (posted,) = webhook.posted
    # The last line is a link, which this server, without a URL of its own, does not know.
    subject, counts, reason, _ = json.loads(posted)["text"].splitlines()
    text = r"nst-batch: failing \d{4}-\d\d-\d\d \d\d:\d\d ended as AllRowsFailed"
    assert re.fullmatch(text, subject)
    assert counts == "1 invalid"
    assert reason.startswith("line 2, column content: ")
    assert "none.png" in reason


def block_that_posts_to(shell: Shell, url: str) -> str:
    """Save a notification block on the server, and return its id."""
    program = f"""
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
block = Block(name="test", url="{url}", json_data={{"text": "{{{{subject}}}}\\n{{{{body}}}}"}})
print(block.save("nst-batch", overwrite=True))
"""
    return shell.python(program).stdout.split()[-1]


def create_automations(shell: Shell, block: str) -> None:
    """Create the automations as docs/nightly.md describes it."""
    text = FAILED.read_text().replace("NOTIFICATION_BLOCK_ID", block)
    (shell.folder / "night.yaml").write_text(text)
    prefect = str(Path(sys.executable).parent / "prefect")
    created = subprocess.run(
        [prefect, "automation", "create", "--from-file", "night.yaml"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert created.returncode == 0, created.stdout + created.stderr


def delete_automations(server: SyncPrefectClient) -> None:
    for automation in yaml.safe_load(FAILED.read_text()):
        for found in server.read_automations_by_name(automation["name"]):
            server.delete_automation(found.id)


def nightly(server: SyncPrefectClient) -> UUID | None:
    try:
        return server.read_deployment_by_name("stylize-manifest/nightly").id
    except ObjectNotFound:
        return None


def wait_until(found: Callable[[], Result]) -> Result:
    """Return the result of `found` as soon as there is one."""
    for _ in range(240):
        if result := found():
            return result
        time.sleep(0.5)
    pytest.fail("waited for two minutes in vain")
