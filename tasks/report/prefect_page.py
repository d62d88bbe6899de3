"""What the Prefect UI shows of a batch: progress, and at the end a report, a table and links."""

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import PurePath
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from nst_core.storage.places import redacted
from tasks.engine.run_log import run_log
from tasks.events import Event, subscribed
from tasks.report.markdown import markdown_report, shown_rows
from tasks.report.reasons import described
from tasks.report.table_row import Table
from tasks.report.tally import Tally
from tasks.report.time_left import TimeLeft
from tasks.report.write import BatchReport
from tasks.store.output_folder import CONTACT_SHEET, GALLERY
from tasks.store.statuses import WRONG

logger = logging.getLogger("nst_batch.artifacts")

UPDATE_SECONDS = 5.0
PATIENT_RETRIES = 5
"""These take 2 + 4 + 8 + 16 + 32 seconds; the flow's own end, which matters more, waits longer."""

LONGEST_WAIT_SECONDS = 10.0
"""How long to wait for the last update if the server does not answer."""


def key_of(manifest: str, kind: str) -> str:
    """Return an artifact's key; the runs of a manifest are versions of one artifact.

    Args:
        manifest: the manifest's name.
        kind: the kind of artifact, such as `report`.

    Returns:
        Lowercase letters, digits and dashes, which is all that Prefect accepts.
    """
    name = re.sub("[^a-z0-9]+", "-", PurePath(manifest).stem.lower()).strip("-")
    return f"{name or 'manifest'}-{kind}"


@contextmanager
def shown_progress(manifest: str) -> Iterator[None]:
    """Keep a progress artifact up to date from a separate thread, so that no row waits for it.

    Args:
        manifest: the manifest's name.
    """
    if FlowRunContext.get() is None:
        yield
        return
    progress, over = _Progress(), threading.Event()
    updates = threading.Thread(
        target=copy_context().run,
        args=(_update_until, over, progress, key_of(manifest, "progress")),
        daemon=True,
    )
    with subscribed(progress.note):
        updates.start()
        try:
            yield
        finally:
            over.set()
            updates.join(LONGEST_WAIT_SECONDS)


class _Progress:
    """What the progress artifact shows: how many rows have ended, and the time left."""

    def __init__(self) -> None:
        self._tally, self._left = Tally(), TimeLeft()

    def note(self, event: Event) -> None:
        """Take note of an event."""
        self._tally.count(event)
        self._left.note(event, time.monotonic())

    @property
    def percent(self) -> float:
        """The share of the rows that have ended, in percent."""
        return round(100 * self._tally.share, 1)

    def __str__(self) -> str:
        """Return the progress for people; empty until it is known how many rows are to run."""
        left = self._left.text(time.monotonic())
        return f"{self._tally}, about {left}" if left else str(self._tally)


def _update_until(over: threading.Event, progress: _Progress, key: str) -> None:
    artifact = None
    is_over = False
    # If the server does not answer, do not wait for it: the next update makes up for this one.
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        while not is_over:
            is_over = over.wait(UPDATE_SECONDS)
            try:
                artifact = _update(artifact, progress, key)
            except Exception as error:  # noqa: BLE001 - the client raises nearly anything
                logger.debug("the Prefect UI lacks the latest progress: %s", error)


def _update(artifact: UUID | None, progress: _Progress, key: str) -> UUID | None:
    text, percent = str(progress), progress.percent
    if not text:
        return None
    if artifact is None:
        return cast(UUID, create_progress_artifact(percent, key, text))
    return cast(UUID, update_progress_artifact(artifact, percent, text))


def show_on_page(report: BatchReport, served_at: str | None, *, patiently: bool = True) -> None:
    """Create the artifacts of a batch that has ended; if Prefect refuses one, only log a warning.

    Args:
        report: the batch to show.
        served_at: the URL of the output folder, if it has one.
        patiently: wait a minute for a server that does not answer.
    """
    if FlowRunContext.get() is None:
        return
    try:
        retries = min(PATIENT_RETRIES, PREFECT_CLIENT_MAX_RETRIES.value()) if patiently else 0
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: retries}):
            _show_report(report)
            _show_table(report)
            if served_at is not None:
                _show_links(report, served_at.rstrip("/"))
    except Exception as error:  # noqa: BLE001 - the client raises nearly anything
        logger.warning(
            "the Prefect UI lacks the report of this batch: %s: %s", type(error).__name__, error
        )


def _show_report(report: BatchReport) -> None:
    create_markdown_artifact(
        markdown_report(report),
        key_of(report.title, "report"),
        "what came out, what failed and why, what changed",
    )


def _show_table(report: BatchReport) -> None:
    rows, count = shown_rows(report.table), len(report.table.rows)
    of_these = "" if len(rows) == count else f"the first {len(rows)} of "
    whole = redacted(report.output.summary())
    create_table_artifact(
        rows,
        key_of(report.title, "summary"),
        f"{of_these}{count} rows, those that are not done first; the complete table is {whole}",
    )


def _show_links(report: BatchReport, url: str) -> None:
    if report.has_gallery:
        gallery = f"{url}/{GALLERY}"
        create_link_artifact(gallery, gallery, key_of(report.title, "gallery"), "all pictures")
    if report.has_contact_sheet:
        key = key_of(report.title, "contact-sheet")
        create_image_artifact(f"{url}/{CONTACT_SHEET}", key, "all results")


MOST_ROWS = 200
"""The most rows that are logged one by one; the report and the table have all of them."""


def log_wrong_rows(table: Table) -> None:
    """Log which rows failed or are invalid, and why, and how many rows have each status.

    Args:
        table: the batch's table, made by `tasks.report.table`.
    """
    log = run_log()
    wrong = table.with_status(*WRONG)
    for row in wrong[:MOST_ROWS]:
        level = logging.WARNING if row.status == "invalid" else logging.ERROR
        log.log(level, "%s: %s", row.status, redacted(described(row)))
    if len(wrong) > MOST_ROWS:
        log.warning("... and %d more rows that are not done: see the table", len(wrong) - MOST_ROWS)
    # The final state has this, too, but `--watch` shows only the log, and may miss its last line.
    log.info("result: %s", ", ".join(f"{count} {status}" for status, count in table.counts.items()))
