"""Features that the chosen versions of Prefect and its libraries must support together."""

import time

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule


def test_a_deployment_with_a_cron_schedule_gets_runs(server_url: str) -> None:
    """This fails if SQLAlchemy is too new for Prefect, which nothing else reports."""
    schedule = CronSchedule(cron="0 3 * * *", timezone="Europe/Berlin")
    # Prefect's own client retries while the server's database is busy with other tests.
    with SyncPrefectClient(server_url) as server:
        deployment = server.create_deployment(
            flow_id=server.create_flow_from_name("smoke"),
            name="nightly",
            schedules=[DeploymentScheduleCreate(schedule=schedule, active=True)],
        )
        of_deployment = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        runs: list[FlowRun] = []
        for _ in range(120):
            runs = server.read_flow_runs(deployment_filter=of_deployment)
            if runs:
                break
            time.sleep(1)
        assert runs, "the server's scheduler made no run in two minutes"
        assert {run.state_name for run in runs} == {"Scheduled"}
