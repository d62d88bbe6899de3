"""The settings of the server that a run starts, above all its database."""

from pathlib import Path

from prefect.settings import (
    PREFECT_API_DATABASE_CONNECTION_URL,
    PREFECT_HOME,
    get_current_settings,
    temporary_settings,
)

from flows.process.prefect_settings import ServerSettings

DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"


def test_its_database_is_not_that_of_a_server_of_the_user(tmp_path: Path) -> None:
    with temporary_settings(
        {PREFECT_HOME: tmp_path}, restore_defaults={PREFECT_API_DATABASE_CONNECTION_URL}
    ):
        settings = get_current_settings()
        given = ServerSettings.of(settings).environment
        users = settings.server.database.connection_url
    assert given[DATABASE] == f"sqlite+aiosqlite:///{tmp_path}/nst-batch.db"
    assert users is not None
    assert given[DATABASE] != users.get_secret_value()
    assert Path(given["PREFECT_SERVER_MEMO_STORE_PATH"]) != settings.server.memo_store_path


def test_a_database_that_the_user_names_is_used(tmp_path: Path) -> None:
    named = f"sqlite+aiosqlite:///{tmp_path}/named.db"
    with temporary_settings({PREFECT_API_DATABASE_CONNECTION_URL: named}):
        given = ServerSettings.of(get_current_settings()).environment
    assert given[DATABASE] == named
