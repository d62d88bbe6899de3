"""The rows of the gallery, made from the table, jobs and previews of a batch."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from urllib.parse import quote

from tasks.job import Job
from tasks.report.gallery.page import GalleryRow, Shown
from tasks.report.gallery.previews import Preview, content_name, thumbnail_name
from tasks.report.table_row import Table, TableRow
from tasks.store.curves import CurveError, read_curve
from tasks.store.lookup import LOOKS_AT_ONCE
from tasks.store.output_folder import PREVIEWS, OutputFolder
from tasks.store.statuses import RowResult

logger = logging.getLogger("nst_batch.gallery")


def previews_of(
    jobs: Iterable[Job], results: Mapping[int, RowResult], *, may_be_missing: bool
) -> Iterator[Preview]:
    """Yield the files that the page shows: contents and styles of rows that could run, and results.

    Args:
        jobs: the jobs of those rows.
        results: the results by line.
        may_be_missing: show the files that exist, and make no others.
    """
    for job in jobs:
        record = results[job.line].record
        content, style, most = job.content_sha256, job.style_sha256, job.max_pixels
        for sha256, source in ((content, job.content), (style, job.style)):
            name = thumbnail_name(sha256)
            yield Preview(name, source, sha256, most, may_be_missing=may_be_missing)
        if record:
            name, settings = thumbnail_name(record.file.sha256), job.settings
            yield Preview(name, record.file.path, "", most, may_be_missing=may_be_missing)
            yield Preview(
                *(content_name(content, job.shape), job.content, content, most),
                size=settings.size,
                enlarge=settings.enlarge,
                may_be_missing=may_be_missing,
            )


def gallery_rows(
    table: Table,
    jobs: Iterable[Job],
    results: Mapping[int, RowResult],
    previews: set[str],
    output: OutputFolder,
) -> tuple[GalleryRow, ...]:
    """Return the rows of the page, in the table's order.

    Args:
        table: made by `summarize` and `compare`.
        jobs: the jobs of the rows that could run.
        results: the results by line.
        previews: the names of the previews that exist.
        output: the batch's output folder, from which curves are read.
    """
    by_line = {job.line: job for job in jobs}
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        curves = list(pool.map(lambda row: _curve(row.curve or "", output), table.rows))
    return tuple(
        _gallery_row(row, by_line.get(row.line), results[row.line], previews, curve)
        for row, curve in zip(table.rows, curves, strict=True)
    )


def _gallery_row(
    row: TableRow,
    job: Job | None,
    result: RowResult,
    previews: set[str],
    curve: tuple[tuple[float, ...], ...],
) -> GalleryRow:
    return GalleryRow(
        line=row.line,
        status=row.status,
        output=row.output,
        content=_content(row, job, previews),
        style=_style(row, job, previews),
        result=_result(row, result, previews),
        width=row.width,
        height=row.height,
        total_loss=row.total_loss,
        term_losses=row.term_losses,
        previous_loss=row.previous_loss,
        change=row.change,
        seconds=row.seconds,
        steps=row.steps,
        stop_reason=row.stop_reason or "",
        device=row.device or "",
        error=row.error,
        warnings=row.warnings,
        degraded=row.degraded,
        curve=curve,
        curve_file=quote(row.curve or ""),
    )


def _content(row: TableRow, job: Job | None, previews: set[str]) -> Shown:
    if job is None:
        return Shown(row.content)
    return Shown(
        row.content,
        thumbnail=_url(thumbnail_name(job.content_sha256), previews),
        whole=_url(content_name(job.content_sha256, job.shape), previews),
    )


def _style(row: TableRow, job: Job | None, previews: set[str]) -> Shown:
    name = thumbnail_name(job.style_sha256) if job else ""
    return Shown(row.style, thumbnail=_url(name, previews), whole=_url(name, previews))


def _result(row: TableRow, result: RowResult, previews: set[str]) -> Shown | None:
    if row.picture is None:
        return None
    whole = quote(row.picture)
    if result.record is None:
        return Shown(row.output, thumbnail=whole, whole=whole)
    thumbnail = _url(thumbnail_name(result.record.file.sha256), previews)
    return Shown(row.output, thumbnail=thumbnail or whole, whole=whole)


def _url(name: str, previews: set[str]) -> str:
    """Return a URL relative to the page; empty if the preview could not be made."""
    return f"{PREVIEWS}/{name}" if name in previews else ""


def _curve(name: str, output: OutputFolder) -> tuple[tuple[float, ...], ...]:
    """Return total losses by octave; empty if the file cannot be read."""
    if not name:
        return ()
    try:
        points = read_curve(output.root / name)
    except (OSError, CurveError) as error:
        logger.warning("a loss curve is not shown in the gallery: %s", error)
        return ()
    octaves = groupby(points, key=lambda point: point.octave)
    return tuple(tuple(point.total_loss for point in octave) for _, octave in octaves)
