"""What is known of Prefect's settings without Prefect, and where Prefect has to be asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.process.prefect_settings import may_be_named


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()


def test_without_any_settings_no_server_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'photographs'\n")
    (tmp_path / ".env").write_text("EDITOR=vi\n")
    assert not may_be_named()


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "prefect_api_url", "PREFECT_PROFILE"])
def test_a_variable_may_name_a_server(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    assert may_be_named()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("home/profiles.toml", "active = 'local'"),
        ("prefect.toml", "[api]\nurl = 'http://127.0.0.1:4200/api'"),
        ("pyproject.toml", "[tool.prefect.api]\nurl = 'http://127.0.0.1:4200/api'"),
        (".env", "prefect_api_url=http://127.0.0.1:4200/api"),
    ],
)
def test_a_file_may_name_a_server(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    assert may_be_named()


BOTH = """
import json, sys
from flows.process import environment
environment.prepare()
from flows.process.prefect_settings import ServerSettings
known = ServerSettings.current()
asked = "prefect" in sys.modules
from prefect.settings import Settings, get_current_settings
told = ServerSettings.of(get_current_settings())
def meant(settings):
    import os
    os.environ.clear()
    os.environ.update(settings.environment)
    return Settings().model_dump_json(), str(settings.home), settings.is_allowed, settings.patience
print(json.dumps([asked, meant(known) == meant(told), known.is_allowed, known.patience]))
"""


def both(**variables: str) -> list[object]:
    """Return whether Prefect was asked, whether it knows the same, and two of the settings."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | variables
    shown = subprocess.run(
        [sys.executable, "-c", BOTH], env=environment, capture_output=True, text=True, check=True
    )
    found: list[object] = json.loads(shown.stdout)
    return found


@pytest.mark.parametrize("home", ["home", "~/somewhere"])
def test_what_is_known_without_prefect_is_what_prefect_knows(home: str, tmp_path: Path) -> None:
    own = {"PREFECT_HOME": home, "HOME": str(tmp_path)}
    assert both(**own, PREFECT_LOGGING_LEVEL="DEBUG") == [False, True, True, 180]


@pytest.mark.parametrize(
    ("variables", "is_allowed", "patience"),
    [
        ({"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}, False, 180),
        ({"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300"}, True, 300),
        ({"PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:///x.db"}, True, 180),
    ],
)
def test_prefect_is_asked_if_other_settings_of_it_are_set(
    variables: dict[str, str], is_allowed: bool, patience: float
) -> None:
    assert both(**variables) == [True, True, is_allowed, patience]
