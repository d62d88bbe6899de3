"""The rows of the gallery, made from the table, jobs and previews of a batch."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any
from urllib.parse import quote

import pandas as pd

from nst_core.storage.places import Place
from tasks.job import Job
from tasks.report.gallery.page import GalleryRow, Shown
from tasks.report.gallery.previews import Preview, content_name, thumbnail_name
from tasks.store.curves import CurveError, read_curve
from tasks.store.layout import PREVIEWS
from tasks.store.placement import LOOKS_AT_ONCE
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
    table: pd.DataFrame,
    jobs: Iterable[Job],
    results: Mapping[int, RowResult],
    previews: set[str],
    output: Place,
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
    rows = [row for _, row in table.iterrows()]
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        curves = list(pool.map(lambda row: _curve(_text(row["curve"]), output), rows))
    return tuple(
        _gallery_row(row, by_line.get(row["line"]), results[row["line"]], previews, curve)
        for row, curve in zip(rows, curves, strict=True)
    )


def _gallery_row(
    row: "pd.Series[Any]",
    job: Job | None,
    result: RowResult,
    previews: set[str],
    curve: tuple[tuple[float, ...], ...],
) -> GalleryRow:
    return GalleryRow(
        line=int(row["line"]),
        status=row["status"],
        output=row["output"],
        content=_content(row, job, previews),
        style=_style(row, job, previews),
        result=_result(row, result, previews),
        width=_whole(row["width"]),
        height=_whole(row["height"]),
        total_loss=_number(row["total_loss"]),
        content_loss=_number(row["content_loss"]),
        style_loss=_number(row["style_loss"]),
        tv_loss=_number(row["tv_loss"]),
        previous_loss=_number(row["previous_loss"]),
        change=row["change"],
        seconds=_number(row["seconds"]),
        steps=_whole(row["steps"]),
        stop_reason=_text(row["stop_reason"]),
        device=_text(row["device"]),
        error=row["error"],
        warnings=row["warnings"],
        curve=curve,
        curve_file=quote(_text(row["curve"])),
    )


def _content(row: "pd.Series[Any]", job: Job | None, previews: set[str]) -> Shown:
    if job is None:
        return Shown(row["content"])
    return Shown(
        row["content"],
        thumbnail=_url(thumbnail_name(job.content_sha256), previews),
        whole=_url(content_name(job.content_sha256, job.shape), previews),
    )


def _style(row: "pd.Series[Any]", job: Job | None, previews: set[str]) -> Shown:
    name = thumbnail_name(job.style_sha256) if job else ""
    return Shown(row["style"], thumbnail=_url(name, previews), whole=_url(name, previews))


def _result(row: "pd.Series[Any]", result: RowResult, previews: set[str]) -> Shown | None:
    if pd.isna(row["picture"]):
        return None
    whole = quote(row["picture"])
    if result.record is None:
        return Shown(row["output"], thumbnail=whole, whole=whole)
    thumbnail = _url(thumbnail_name(result.record.file.sha256), previews)
    return Shown(row["output"], thumbnail=thumbnail or whole, whole=whole)


def _url(name: str, previews: set[str]) -> str:
    """Return an address relative to the page; empty if the preview could not be made."""
    return f"{PREVIEWS}/{name}" if name in previews else ""


def _curve(name: str, output: Place) -> tuple[tuple[float, ...], ...]:
    """Return total losses by octave; empty if the file cannot be read."""
    if not name:
        return ()
    try:
        points = read_curve(output / name)
    except (OSError, CurveError) as error:
        logger.warning("a loss curve is not shown in the gallery: %s", error)
        return ()
    octaves = groupby(points, key=lambda point: point.octave)
    return tuple(tuple(point.total_loss for point in octave) for _, octave in octaves)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
