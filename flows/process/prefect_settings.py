"""Prefect's settings, as far as a run needs them before Prefect is imported.

The import of Prefect takes as long as a batch of hundreds of rows that are done, so it is asked
only if it may know something that the environment does not say.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.process.environment import DEFAULTS, STARTUP_SECONDS
from flows.process.server_database import DATABASE_URL, database_in

if TYPE_CHECKING:
    from prefect.settings import Settings

VARIABLES = ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH")
FILES = (".env", "prefect.toml", "pyproject.toml")
"""Files in the current folder that may have Prefect's settings."""


def named_server() -> str | None:
    """Return the URL of the API that the user has named; None if there is none."""
    if not may_be_named():
        return None
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def may_be_named() -> bool:
    """Return whether a server may be named in any of the places where Prefect looks for its URL."""
    if any(name in VARIABLES for name in _variables()):
        return True
    try:
        return (_home() / "profiles.toml").exists() or any(map(_is_of_prefect, FILES))
    except (OSError, RuntimeError):
        return True


def _variables() -> list[str]:
    """Return the names of Prefect's variables that are set; Prefect ignores their case."""
    return [name.upper() for name in os.environ if name.upper().startswith("PREFECT_")]


def _home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def _is_of_prefect(name: str) -> bool:
    file = Path(name)
    if not file.is_file():
        return False
    return name == "prefect.toml" or b"prefect" in file.read_bytes().lower()


class ServerSettings(NamedTuple):
    """What is to be known before a server is started.

    Attributes:
        is_allowed: whether a run may start one.
        home: the folder of its database.
        patience: the seconds within which it must answer.
        environment: that of its process.
    """

    is_allowed: bool
    home: Path
    patience: float
    environment: dict[str, str]

    @classmethod
    def current(cls) -> "ServerSettings":
        """Return those of this process."""
        patience, others = DEFAULTS[STARTUP_SECONDS], {*_variables()} - {*DEFAULTS, "PREFECT_HOME"}
        if others or os.environ.get(STARTUP_SECONDS) != patience or may_be_named():
            from prefect.settings import get_current_settings

            return cls.of(get_current_settings())
        home = _home()
        environment = {**os.environ, **_own_database(home), **OF_SERVER}
        return cls(True, home, float(patience), environment)

    @classmethod
    def of(cls, settings: "Settings") -> "ServerSettings":
        """Return those that Prefect knows.

        The server has its own database, unless the user has named one.
        """
        named = settings.server.database.model_fields_set & {"connection_url", "host", "name"}
        environment = {
            **os.environ,
            **settings.to_environment_variables(exclude_unset=True),
            **({} if named else _own_database(settings.home)),
            **OF_SERVER,
        }
        ephemeral = settings.server.ephemeral
        seconds = ephemeral.startup_timeout_seconds
        return cls(ephemeral.enabled, settings.home, seconds, environment)


OF_SERVER = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    # Its log goes into a file, in which the reason is looked up if it does not start.
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
}
"""Like Prefect's own embedded server, ours has no page and no scheduler."""


def _own_database(home: Path) -> dict[str, str]:
    database = database_in(home)
    return {
        DATABASE_URL: f"sqlite+aiosqlite:///{database}",
        # This file says which blocks a database knows, so two databases cannot share one.
        "PREFECT_SERVER_MEMO_STORE_PATH": str(database.with_name(f"{database.stem}-memo.toml")),
    }
