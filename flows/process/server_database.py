"""The database of an embedded server: a file that this version of Prefect can use.

A server changes the tables of its database to those of its own version when it starts, and does not
start if another version of Prefect has given the database tables that it does not know. A night
must not be lost because two versions take turns, so the earlier one then has a database of its own.
Nothing is lost either way: what was made is in the output folders.
"""

import re
import sqlite3
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

DATABASE = "nst-batch.db"
"""A file in Prefect's home; `prefect server start` has another, whose page shows other runs."""

DATABASE_URL = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
"""The variable that says which database a server has."""

MIGRATIONS = Path("server", "database", "_migrations", "versions", "sqlite")
"""Where Prefect has a file for each revision of its tables."""


def database_in(home: Path) -> Path:
    """Return the database that a server of this version of Prefect can use, in Prefect's home."""
    shared = home / DATABASE
    revision = _revision_of(shared)
    if revision is None or _is_known(revision):
        return shared
    return home / f"nst-batch-{version('prefect')}.db"


def _revision_of(database: Path) -> str | None:
    """Return the revision of a database's tables; None if there is none, or it cannot be read.

    Whoever opens the file as immutable leaves no file beside it, and does not wait for its writers.
    """
    try:
        with closing(
            sqlite3.connect(f"{database.resolve().as_uri()}?immutable=1", uri=True)
        ) as opened:
            found = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return str(found[0]) if found else None


def _is_known(revision: str) -> bool:
    """Return whether the installed Prefect knows a revision; also if that cannot be found out."""
    # Prefect itself is not imported for this, because that takes as long as a whole small batch.
    package = find_spec("prefect")
    folders = (package and package.submodule_search_locations) or ()
    files = [file for folder in folders for file in Path(folder, MIGRATIONS).glob("*.py")]
    # A few files have another name than their revision.
    assigned = re.compile(rf"^revision\s*=\s*[\"']{re.escape(revision)}[\"']", re.MULTILINE)
    by_name = sorted(files, key=lambda file: f"_{revision}_" not in file.name)
    return not files or any(assigned.search(file.read_text("utf-8")) for file in by_name)
