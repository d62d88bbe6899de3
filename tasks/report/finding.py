"""Lookup of a finished batch's row by what a user calls it."""

from difflib import get_close_matches
from itertools import chain

from nst_core.errors import UserError
from nst_core.images.write import formats_by_suffix
from nst_core.storage.places import redacted
from nst_core.transfer.losses.terms import FIRST_TERMS, weight_name
from tasks.report.saved_table import MissingColumnError, NewerTableError, read_summary
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tasks.store.output_names import DEFAULT_SUFFIX
from tasks.store.statuses import WITH_PICTURE

NEEDED = (
    *("line", "status", "output", "picture", "key", "content", "style", "curve", "error"),
    *("total_loss", *map(weight_name, FIRST_TERMS)),
)
"""The columns that are read and that every table of this version and of version 0.1.0 has."""


class NoResultsError(UserError):
    """A folder or a row without results; the message says what to do."""


def table_of(output: OutputFolder) -> Table:
    """Return the table of an output folder.

    Raises:
        NoResultsError: there is none, it lacks a column, or a newer version wrote it.
    """
    try:
        return read_summary(output, NEEDED)
    except MissingColumnError as error:
        raise NoResultsError(
            f"{redacted(output.summary('.parquet'))}: {error}; run the batch again, "
            "which does not repeat finished rows"
        ) from error
    except NewerTableError as error:
        raise NoResultsError(f"{redacted(output.summary('.parquet'))}: {error}") from error
    except (OSError, ValueError) as error:
        raise NoResultsError(
            f"{output}: found no summary.parquet; expected the output folder of a run "
            f"({getattr(error, 'strerror', None) or error})"
        ) from error


def find_frames(table: Table, output: OutputFolder, sequence: str) -> list[TableRow]:
    """Return the rows of a sequence, in the order of its frames, each with its picture.

    Raises:
        NoResultsError: there is no such sequence, or a frame has no picture.
    """
    frames = [row for row in table.rows if row.sequence == sequence]
    if not frames:
        names = [*dict.fromkeys(row.sequence for row in table.rows if row.sequence)]
        near = get_close_matches(sequence, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"found {', '.join(names[:5]) or 'none'}"
        raise NoResultsError(
            f"{output}: no sequence {sequence!r}; expected a name in the column sequence; {hint}"
        )
    without = [row for row in frames if row.status not in WITH_PICTURE]
    if without:
        raise NoResultsError(
            f"{output}: {len(without)} of the {len(frames)} frames of {sequence!r} have no "
            f"picture, the first of them in line {without[0].line} ({without[0].status}); expected "
            "all; run the batch again"
        )
    return frames


def find_row(table: Table, output: OutputFolder, named: str) -> TableRow:
    """Return the row with this line in the manifest, or with this output, with or without suffix.

    Raises:
        NoResultsError: there is no such row.
    """
    suffixes = tuple(formats_by_suffix())
    outputs = (named, *(f"{named}{suffix}" for suffix in suffixes))
    by_line = (row for row in table.rows if str(row.line) == named)
    by_output = (row for row in table.rows if row.output in outputs)
    found = next(chain(by_line, by_output), None)
    if found is not None:
        return found
    if not table.rows:
        raise NoResultsError(
            f"{output}: no row {named!r}; found a table without rows; run the batch again"
        )
    lines = [row.line for row in table.rows]
    names = [row.output for row in table.rows if row.output]
    meant = named if named.endswith(suffixes) else f"{named}{DEFAULT_SUFFIX}"
    near = get_close_matches(meant, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"for example {names[0]!r}" if names else ""
    raise NoResultsError(
        f"{output}: no row {named!r}; expected a line of the manifest, "
        f"{min(lines)} to {max(lines)}, or an output; {hint}"
    )
