"""The database of an embedded server, after other versions of Prefect have used it."""

import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest

from flows.process import server_database
from flows.process.server_database import DATABASE, database_in


def write_database(home: Path, *revisions: str) -> None:
    """Write a database whose tables are of a revision."""
    home.mkdir(exist_ok=True)
    with closing(sqlite3.connect(home / DATABASE)) as opened:
        opened.execute("PRAGMA journal_mode=wal")
        opened.execute("CREATE TABLE alembic_version (version_num TEXT)")
        opened.executemany("INSERT INTO alembic_version VALUES (?)", [(one,) for one in revisions])
        opened.commit()


def revisions_of_prefect() -> list[str]:
    """Return the revisions that Prefect's own migrations know, as it finds them."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from prefect.server.database import _migrations

    folder = Path(_migrations.__path__[0])
    options = Config()
    options.set_main_option("script_location", str(folder))
    options.set_main_option("version_locations", str(folder / "versions" / "sqlite"))
    return [script.revision for script in ScriptDirectory.from_config(options).walk_revisions()]


def test_all_revisions_of_this_version_are_known(tmp_path: Path) -> None:
    for number, revision in enumerate(revisions_of_prefect()):
        home = tmp_path / str(number)
        write_database(home, revision)
        assert database_in(home) == home / DATABASE


def test_a_database_of_a_later_version_is_left_to_it(tmp_path: Path) -> None:
    write_database(tmp_path, "0123456789ab")
    before = (tmp_path / DATABASE).read_bytes()
    assert database_in(tmp_path) == tmp_path / f"nst-batch-{version('prefect')}.db"
    assert [path.name for path in tmp_path.iterdir()] == [DATABASE]
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"not a database", "no revision"])
def test_a_file_that_says_nothing_is_used(tmp_path: Path, content: bytes | str | None) -> None:
    if isinstance(content, bytes):
        (tmp_path / DATABASE).write_bytes(content)
    elif content:
        write_database(tmp_path)
    assert database_in(tmp_path) == tmp_path / DATABASE


def test_without_prefects_files_a_database_counts_as_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_database(tmp_path, "0123456789ab")
    monkeypatch.setattr(server_database, "MIGRATIONS", Path("elsewhere"))
    assert database_in(tmp_path) == tmp_path / DATABASE
