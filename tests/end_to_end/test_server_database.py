"""Runs whose server finds a database that it cannot use."""

import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.end_to_end.conftest import QUICK, Shell
from tests.pictures import write_csv

pytestmark = pytest.mark.nights


@pytest.fixture
def home(new_shell: Shell) -> Path:
    """Return Prefect's home."""
    found = Path(new_shell.environment["PREFECT_HOME"])
    found.mkdir(parents=True, exist_ok=True)
    for database in found.glob("*.db*"):
        database.unlink()
    return found


def run(shell: Shell) -> tuple[int, str]:
    """Run one row; return the exit code and what was printed."""
    name = shell.picture("a.png", 7).name
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), (name, "s.png"))
    result = shell.run("run", manifest, "--output", "out", *QUICK)
    return result.returncode, result.stdout + result.stderr


def test_a_database_of_a_later_prefect_costs_no_night(new_shell: Shell, home: Path) -> None:
    with closing(sqlite3.connect(home / "nst-batch.db")) as opened:
        opened.execute("CREATE TABLE alembic_version (version_num TEXT)")
        opened.execute("INSERT INTO alembic_version VALUES ('0123456789ab')")
        opened.commit()
    before = (home / "nst-batch.db").read_bytes()
    code, printed = run(new_shell)
    assert code == 0
    assert "1 done" in printed
    assert (home / "nst-batch.db").read_bytes() == before
    assert (home / f"nst-batch-{version('prefect')}.db").exists()


def test_a_damaged_database_is_named_with_what_to_do(new_shell: Shell, home: Path) -> None:
    (home / "nst-batch.db").write_text("not a database")
    code, printed = run(new_shell)
    assert code == 3
    assert "file is not a database" in printed
    assert f"if {home / 'nst-batch.db'} is damaged, remove it: no result depends on it" in printed
    assert "Traceback" not in printed
    (home / "nst-batch.db").unlink()
    assert run(new_shell)[0] == 0
