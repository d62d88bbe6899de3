"""The rows of the gallery, made from the table, jobs and pictures of a batch."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from urllib.parse import quote

from nst_core.storage.files import reads_at_once
from tasks.job import Job, StylePicture
from tasks.report.gallery.in_full import InFull
from tasks.report.gallery.page import GalleryRow, Shown
from tasks.report.gallery.page_pictures import (
    PagePicture,
    content_name,
    shown_result_name,
    thumbnail_name,
)
from tasks.report.table_row import Table, TableRow
from tasks.report.varied import Value
from tasks.store.curves import CurveError, read_curve
from tasks.store.output_folder import PAGE_PICTURES, OutputFolder
from tasks.store.output_names import format_of
from tasks.store.statuses import RowResult

logger = logging.getLogger("nst_batch.gallery")

OF_CONTENT_COLORS = (
    "The losses are those of the saved picture, which got back the photograph's colors (color = "
    "content). They are therefore much higher than with the style's colors, and nothing is wrong."
)


def page_pictures_of(
    jobs: Iterable[Job], results: Mapping[int, RowResult], *, may_be_missing: bool
) -> Iterator[PagePicture]:
    """Yield the files that the page shows: contents and styles of rows that could run, and results.

    Args:
        jobs: the jobs of those rows.
        results: the results by line.
        may_be_missing: make the files that do not exist only as long as there is time.
    """
    # The rows that were interrupted are seen first.
    for job in sorted(jobs, key=lambda job: results[job.line].status != "interrupted"):
        record = results[job.line].record
        content, most = job.content, job.max_pixels
        styles = [(shown.sha256, shown.place) for shown in shown_styles(job)]
        for sha256, source in ((content.sha256, content.place), *styles):
            name = thumbnail_name(sha256)
            yield PagePicture(name, source, sha256, most, may_be_missing=may_be_missing)
        if record:
            name, settings = thumbnail_name(record.file.sha256), job.settings
            yield PagePicture(name, record.file.path, "", most, may_be_missing=may_be_missing)
            if not format_of(job.output).in_browsers:
                yield PagePicture(
                    *(shown_result_name(record), record.file.path, "", most),
                    size=max(record.width, record.height),
                    may_be_missing=may_be_missing,
                )
            yield PagePicture(
                *(content_name(content.sha256, job.shape), content.place, content.sha256, most),
                size=settings.size,
                enlarge=settings.enlarge,
                may_be_missing=may_be_missing,
            )


def gallery_rows(
    table: Table,
    jobs: Iterable[Job],
    results: Mapping[int, RowResult],
    there: set[str],
    output: OutputFolder,
    settings: Mapping[int, Mapping[str, Value]],
    costs: Mapping[int, InFull] | None = None,
) -> tuple[GalleryRow, ...]:
    """Return the rows of the page, in the table's order.

    Args:
        table: made by `summarize` and `compare`.
        jobs: the jobs of the rows that could run.
        results: the results by line.
        there: the names of the page's pictures that exist.
        output: the batch's output folder, from which curves are read.
        settings: those that may vary between rows, by line, of the rows where they are known.
        costs: what the rows of a preview would take in full, by line.
    """
    by_line = {job.line: job for job in jobs}
    with ThreadPoolExecutor(reads_at_once(output.root)) as pool:
        curves = list(pool.map(lambda row: _curve(row.curve or "", output), table.rows))
    made = (
        _gallery_row(row, by_line.get(row.line), results[row.line], there, curve)
        for row, curve in zip(table.rows, curves, strict=True)
    )
    return tuple(
        replace(
            row,
            settings=settings.get(row.line, {}),
            in_full=(costs or {}).get(row.line),
        )
        for row in made
    )


def _gallery_row(
    row: TableRow,
    job: Job | None,
    result: RowResult,
    there: set[str],
    curve: tuple[tuple[float, ...], ...],
) -> GalleryRow:
    return GalleryRow(
        line=row.line,
        status=row.status,
        output=row.output,
        content=_content(row, job, there),
        style=_style(row, job, there),
        styles=_styles(row, job, there),
        blend=row.style_blend or "",
        result=_result(row, result, there),
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
        loss_note=OF_CONTENT_COLORS if row.color == "content" else "",
        style_score=row.style_score,
        content_score=row.content_score,
        curve=curve,
        curve_file=quote(row.curve or ""),
    )


def _content(row: TableRow, job: Job | None, there: set[str]) -> Shown:
    if job is None:
        return Shown(row.content)
    return Shown(
        row.content,
        thumbnail=_url(thumbnail_name(job.content.sha256), there),
        whole=_url(content_name(job.content.sha256, job.shape), there),
    )


def shown_styles(job: Job) -> list[StylePicture]:
    """Return the pictures that stand for a job's styles: of a folder, its first by digest."""
    return [style.pictures[0] for style in job.styles_as_named]


def _style(row: TableRow, job: Job | None, there: set[str]) -> Shown:
    """Return the first style, with the text of the cell, which names all styles."""
    url = _url(thumbnail_name(shown_styles(job)[0].sha256), there) if job else ""
    return Shown(row.style, thumbnail=url, whole=url)


def _styles(row: TableRow, job: Job | None, there: set[str]) -> tuple[Shown, ...]:
    """Return the styles of a row that names several, each with its own name."""
    if job is None or not (row.style_blend or len(job.styles) > 1):
        return ()
    urls = [_url(thumbnail_name(shown.sha256), there) for shown in shown_styles(job)]
    return tuple(
        Shown(style.name, thumbnail=url, whole=url)
        for style, url in zip(job.styles_as_named, urls, strict=True)
    )


def _result(row: TableRow, result: RowResult, there: set[str]) -> Shown | None:
    if row.picture is None:
        return None
    file = quote(row.picture)
    if result.record is None:
        return Shown(row.output, thumbnail=file, whole=file)
    thumbnail = _url(thumbnail_name(result.record.file.sha256), there)
    if format_of(row.output).in_browsers:
        return Shown(row.output, thumbnail=thumbnail or file, whole=file)
    whole = _url(shown_result_name(result.record), there) or file
    return Shown(row.output, thumbnail=thumbnail or whole, whole=whole, file=file)


def _url(name: str, there: set[str]) -> str:
    """Return a URL relative to the page; empty if the picture could not be made."""
    return f"{PAGE_PICTURES}/{name}" if name in there else ""


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
