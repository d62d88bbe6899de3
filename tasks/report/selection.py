"""The rows of a manifest that a run is asked to run: all, or those that `--only` names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from nst_core.errors import UserError
from nst_core.storage.places import redacted
from tasks.report.saved_table import read_summary
from tasks.report.table_row import Table, TableRow
from tasks.row import Row
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import UNDONE, RowResult, Status

EXPECTED = (
    f"expected statuses ({', '.join(UNDONE)}), lines of the manifest or ranges of lines, separated "
    "by commas, such as failed or 3,7-9"
)
LONGEST_SHOWN = 100


class OnlyError(UserError):
    """The rows that `--only` names cannot be selected; the message says why, and what to do."""


@dataclass(frozen=True)
class Only:
    """What `--only` asks for.

    Attributes:
        text: as it was given.
        statuses: the statuses in the last table of the rows to select.
        lines: the lines of the manifest in which rows to select begin.
    """

    text: str
    statuses: frozenset[Status]
    lines: tuple[range, ...]


@dataclass(frozen=True)
class Selection:
    """The rows that a run is asked to run.

    Attributes:
        text: what `--only` says; empty if all rows are asked for.
        lines: the lines in which these rows begin; None if all rows are asked for.
        last_ends: how the last runs left rows without a picture, by line.
        limit: what `--limit` says; None if there is no limit.
    """

    text: str = ""
    lines: frozenset[int] | None = None
    last_ends: Mapping[int, Status] = field(default_factory=dict)
    limit: int | None = None

    def asks_for(self, line: int) -> bool:
        """Return whether the row that begins in this line is asked for."""
        return self.lines is None or line in self.lines

    def limited_to(self, limit: int, waiting: Sequence[int], rows: Iterable[Row]) -> "Selection":
        """Return a selection without the rows that wait behind the first ones.

        Args:
            limit: the number of the first ones.
            waiting: the lines of the rows that are asked for and not done, in the order in which
                they would run.
            rows: all rows of the manifest.
        """
        late = frozenset(waiting[limit:])
        asked = frozenset(row.line for row in rows if self.asks_for(row.line))
        return replace(self, lines=asked - late, limit=limit)

    def applied(self, results: Mapping[int, RowResult]) -> dict[int, RowResult]:
        """Return results by line that say which rows were not asked for."""
        return {
            line: result if self.asks_for(line) else self._unasked(line, result)
            for line, result in results.items()
        }

    def _unasked(self, line: int, result: RowResult) -> RowResult:
        if result.status != "pending":
            return replace(result, asked=False)
        last: Status | Literal[""] = self.last_ends.get(line, "")
        before = f"; it last ended as {last}" if last else ""
        options = [f"--only {self.text}"] if self.text else []
        options += [] if self.limit is None else [f"--limit {self.limit}"]
        why = f"not asked for ({' '.join(options)}){before}"
        return RowResult("pending", error=why, asked=False, last_status=last)


EVERY_ROW = Selection()


def parse_only(text: str) -> Only:
    """Return what the text of `--only` asks for.

    Raises:
        OnlyError: the text is not a list of statuses, lines and ranges.
    """
    statuses: set[Status] = set()
    lines: list[range] = []
    for item in text.split(","):
        named = item.strip().lower()
        numbers = re.fullmatch(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?", named)
        known: list[Status] = [status for status in UNDONE if status == named]
        if numbers:
            first, last = int(numbers[1]), int(numbers[2] or numbers[1])
            lines.append(range(first, last + 1))
        if not known and not (numbers and lines[-1]):
            raise OnlyError(f"--only: found {_shown(item.strip() or text)}; {EXPECTED}")
        statuses.update(known)
    return Only(redacted(text), frozenset(statuses), tuple(lines))


def _shown(text: str) -> str:
    return repr(redacted(text)[:LONGEST_SHOWN])


def check_lines(only: Only, rows: Iterable[Row]) -> None:
    """Refuse lines in which no row begins, and ranges without such a line.

    Raises:
        OnlyError: there is such a line or range.
    """
    there = [row.line for row in rows]
    for lines in only.lines:
        if not any(line in lines for line in there):
            is_range = len(lines) > 1
            named = f"{lines[0]}-{lines[-1]}" if is_range else f"{lines[0]}"
            raise OnlyError(
                f"--only: found {named!r}, but no row of the manifest begins in "
                f"{'these lines' if is_range else 'this line'}; expected lines from "
                f"{min(there, default=0)} to {max(there, default=0)} (the header is line 1)"
            )


def select(text: str | None, rows: Sequence[Row], output: OutputFolder) -> Selection:
    """Return which rows of a manifest are asked for.

    Args:
        text: the text of `--only`; None for all rows.
        rows: the rows of the manifest.
        output: the output folder, whose last table has the statuses; rows are found there by their
            outputs, because their lines may have changed since.

    Raises:
        OnlyError: the text cannot be used, names a line without a row, or names a status although
            there is no table.
    """
    if text is None:
        return EVERY_ROW
    only = parse_only(text)
    check_lines(only, rows)
    found = _in_last_table(rows, _last_table(only, output))
    lines = {row.line for row in rows if any(row.line in lines for lines in only.lines)}
    lines |= {line for line, last in found.items() if only.statuses & {*_statuses(last)}}
    ends = {line: _statuses(last)[-1] for line, last in found.items()}
    last_ends = {line: status for line, status in ends.items() if status in UNDONE}
    return Selection(only.text, frozenset(lines), last_ends)


def _statuses(row: TableRow) -> tuple[Status, ...]:
    """Return a row's status, and how it ended before that if it was not asked for last time."""
    return (row.status, row.last_status) if row.last_status else (row.status,)


def _last_table(only: Only, output: OutputFolder) -> Table:
    """Return the last table; an empty one if there is none and only lines are asked for."""
    why = ""
    try:
        return read_summary(output, ("output", "status"))
    except FileNotFoundError:
        why = "there is none"
    except (OSError, ValueError) as error:
        why = f"it cannot be read: {getattr(error, 'strerror', None) or error}"
    if only.statuses:
        raise OnlyError(
            f"--only: found {_shown(only.text)}, which needs the table of an earlier run in "
            f"{output}, but {why}; run the whole batch first, or give lines such as 3,7-9"
        )
    return Table(())


def _in_last_table(rows: Iterable[Row], table: Table) -> dict[int, TableRow]:
    """Return the row of the last table that has the same output, by the line that rows have now.

    If a table has several rows of one output, all but one of which are invalid, the row that was in
    the same line counts, or else the first.
    """
    by_output: dict[str, dict[int, TableRow]] = {}
    for each in table.rows:
        by_output.setdefault(each.output, {})[each.line] = each
    found = {}
    for row in rows:
        same = by_output.get(row.output) if row.output else None
        if same:
            found[row.line] = same.get(row.line) or next(iter(same.values()))
    return found
