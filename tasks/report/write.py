"""The outputs of a batch for people: the table, the gallery and the contact sheet."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from nst_core.storage.files import list_files, remove, write_atomic
from nst_core.storage.places import Place, name_of, redacted
from tasks.events import GalleryWritten, TableWritten, emit
from tasks.job import Examined, Job
from tasks.report.comparison import COMPARED, compare, gone
from tasks.report.contact_sheet import write_contact_sheet
from tasks.report.gallery.in_full import BatchInFull
from tasks.report.gallery.page import Page, render
from tasks.report.gallery.page_pictures import complete_page_pictures
from tasks.report.gallery.rows import gallery_rows, page_pictures_of
from tasks.report.saved_table import MissingColumnError, read_summary
from tasks.report.selection import EVERY_ROW, Selection
from tasks.report.table import summarize, write_summary
from tasks.report.table_row import Table
from tasks.report.varied import named_settings
from tasks.row import Row
from tasks.store.finished import confirmed
from tasks.store.managed import INTERRUPTED_MARK, is_marked
from tasks.store.output_folder import CONTACT_SHEET, INTERRUPTED, OutputFolder
from tasks.store.statuses import PENDING, STOPPED, RowResult

logger = logging.getLogger("nst_batch.report")


@dataclass(frozen=True)
class BatchReport:
    """A batch that has ended, as it is reported to people.

    Attributes:
        title: the name of the manifest, or of the output folder if a run made the manifest.
        output: the batch's output folder.
        table: the table of all rows.
        gone: outputs that the previous run had and this manifest does not.
        compared_with: when the table of the previous run was made, if there was one.
        has_gallery: whether the page shows this run.
        has_contact_sheet: whether the batch is a grid, all of it in one picture.
    """

    title: str
    output: OutputFolder
    table: Table
    gone: tuple[str, ...]
    compared_with: datetime | None
    has_gallery: bool = False
    has_contact_sheet: bool = False


def write_report(
    examined: Examined,
    results: dict[int, RowResult],
    manifest: Place,
    output: OutputFolder,
    seconds_left: float | None = None,
    selection: Selection = EVERY_ROW,
    in_full: BatchInFull | None = None,
) -> BatchReport:
    """Write everything that shows how a batch ended.

    If the page cannot be made, there is only a warning, because the pictures and the table exist.

    Args:
        examined: all rows, and the jobs of those that could run.
        results: the results of the jobs, by line; those of the other rows are added.
        manifest: where the manifest is.
        output: the batch's output folder.
        seconds_left: see `Table`.
        selection: the rows that were asked for.
        in_full: what the whole batch would take, if the results are previews.

    Raises:
        OSError: the table cannot be written.
    """
    # A stop may come before any result is known.
    results |= {job.line: PENDING for job in examined.jobs if job.line not in results}
    results |= confirmed(examined.jobs, results, output)
    results |= {row.line: _invalid(row) for row in examined.rows if row.faults}
    results |= selection.applied(results)
    report = _write_table(summarize(examined.rows, results), manifest, output, seconds_left)
    try:
        remove_finished(results, examined.jobs, output)
        report = write_gallery(report, examined, results, in_full)
        emit(GalleryWritten(str(output.gallery), in_full.cost if in_full else ""))
    except Exception as error:
        logger.warning("the gallery is not up to date: %s: %s", type(error).__name__, error)
        logger.debug("why the gallery is not up to date", exc_info=True)
    return report


def _title(manifest: Place, output: OutputFolder) -> str:
    """Return the name of the manifest; of the output folder, if a run keeps the manifest there.

    Nobody wrote that manifest, and all such manifests have the same name.
    """
    return name_of(output.root if manifest == output.manifest else manifest)


def _write_table(
    rows: Table, manifest: Place, output: OutputFolder, seconds_left: float | None
) -> BatchReport:
    """Write the table, compared with that of the previous run, and return the batch with it."""
    earlier = _earlier_table(output)
    table = replace(
        compare(rows, earlier),
        made_at=datetime.now().astimezone().replace(microsecond=0),
        manifest=redacted(str(manifest.absolute())),
        seconds_left=seconds_left,
    )
    write_summary(table, output)
    emit(TableWritten(len(table.rows)))
    return BatchReport(
        title=_title(manifest.absolute(), output.absolute()),
        output=output,
        table=table,
        gone=tuple(gone(table, earlier)),
        compared_with=earlier.made_at if earlier else None,
    )


def _invalid(row: Row) -> RowResult:
    *others, last = map(str, row.faults)
    return RowResult(
        "invalid", error="; ".join([*(each.removesuffix(".") for each in others), last])
    )


def _earlier_table(output: OutputFolder) -> Table | None:
    """Return the table of the previous run; None if there is none, or if it lacks columns."""
    try:
        return read_summary(output, COMPARED)
    except (FileNotFoundError, MissingColumnError):
        return None
    except (OSError, ValueError) as error:
        logger.warning("no comparison with the previous run: its table cannot be read: %s", error)
        return None


def remove_finished(
    results: dict[int, RowResult], jobs: Iterable[Job], output: OutputFolder
) -> None:
    """Remove the best pictures so far of rows that were interrupted before and are done now.

    Raises:
        OSError: the output folder cannot be read or written.
    """
    done = {job.output for job in jobs if results[job.line].record}
    for name in list_files(output.root / INTERRUPTED) & done:
        picture = output.interrupted(name)
        if is_marked(picture, INTERRUPTED_MARK):
            remove(picture)


def write_gallery(
    report: BatchReport,
    examined: Examined,
    results: dict[int, RowResult],
    in_full: BatchInFull | None = None,
) -> BatchReport:
    """Write the page, the pictures that it needs, and the contact sheet of a grid.

    Args:
        report: the batch, as far as it is known.
        examined: all rows, and the jobs of those that could run.
        results: the results by line.
        in_full: what the whole batch would take, if the results are previews. The page then shows
            only the rows that were asked for.

    Returns:
        The batch, with what was written.

    Raises:
        OSError: the output folder cannot be read or written.
    """
    # A user who stops a batch of thousands of rows does not want to wait for all small pictures.
    is_stopped = any(result.asked and result.status in STOPPED for result in results.values())
    wanted = page_pictures_of(examined.jobs, results, may_be_missing=is_stopped)
    there = complete_page_pictures(wanted, report.output)
    shown = report.table.asked_for if in_full else report.table
    costs = in_full.rows if in_full else {}
    settings = named_settings(examined.rows)
    rows = gallery_rows(
        *(shown, examined.jobs, results, there, report.output, settings), costs=costs
    )
    report = replace(report, has_contact_sheet=write_contact_sheet(rows, report.output))
    page = Page(
        title=report.title,
        made_at=report.table.made_at or datetime.now().astimezone(),
        rows=rows,
        gone=report.gone,
        compared_with=report.compared_with,
        contact_sheet=CONTACT_SHEET if report.has_contact_sheet else "",
        preview=in_full,
    )
    write_atomic(report.output.gallery, render(page).encode())
    return replace(report, has_gallery=True)
