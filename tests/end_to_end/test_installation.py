"""What the chosen versions of Prefect and its libraries must be able to do together."""

import re
import time
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.conftest import Shell

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_deployment_with_a_cron_gets_scheduled_runs(server_url: str) -> None:
    """Fails without a word anywhere else where SQLAlchemy is too new for Prefect."""
    with httpx.Client(base_url=server_url, timeout=30) as server:
        flow = server.post("/flows/", json={"name": "smoke"}).raise_for_status().json()["id"]
        schedule = {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}
        deployment = {
            "name": "nightly",
            "flow_id": flow,
            "schedules": [{"schedule": schedule, "active": True}],
        }
        made = server.post("/deployments/", json=deployment).raise_for_status().json()["id"]
        wanted = {
            "deployments": {"id": {"any_": [made]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        }
        for _ in range(120):
            runs = server.post("/flow_runs/filter", json=wanted).raise_for_status().json()
            if runs:
                break
            time.sleep(1)
        assert runs, "the server's scheduler made no run in two minutes"


def test_the_python_of_the_readme_runs(shell: Shell) -> None:
    readme = (ROOT / "README.md").read_text()
    program = "\n".join(re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL))
    assert "stylize(" in program
    assert "iterates(" in program
    for name, seed in (("content.png", 1), ("style.png", 2)):
        shell.picture(name, seed)
    result = shell.python(program)
    assert (shell.folder / "result.png").is_file()
    assert "(36, 48, 3)" in result.stdout
