"""Reports of one row: events for subscribers, and lines in its task run's log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from nst_core.storage.places import redacted
from tasks.engine.progress import Progress, Resumed, Stepped
from tasks.engine.retries import Retry, after_retries
from tasks.engine.run_log import run_log
from tasks.events import RowEnded, RowRetried, RowStarted, RowStepped, RowWaiting, emit
from tasks.job import Job
from tasks.stopping import Deadline, StoppedError, check_may_continue
from tasks.store.output_folder import OutputFolder

if TYPE_CHECKING:
    from tasks.store.records import PictureRecord

LOG_EVERY = 50
"""Steps between two lines in the log."""


class RowReport:
    """Reporter of one row, from its start to its end."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.log = run_log()
        self.started_at = time.perf_counter()
        self.has_waited = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Report the start of the row, and its end if the context ends with an exception."""
        self.started()
        try:
            yield
        except StoppedError as stopped:
            self.ended("interrupted", str(stopped))
            raise
        except Exception as error:
            self.ended("failed", f"{error}{after_retries(error)}")
            raise

    def started(self) -> None:
        """Report the start of the row, before anything is loaded."""
        height, width = self.job.shape
        self.log.info(
            "line %d: %s x %s, %d x %d pixels, encoder %s",
            *(self.job.line, self.job.content.name, self.job.style_name),
            *(width, height, self.job.settings.encoder),
        )
        emit(RowStarted(self.job.line, self.job.output))

    def progress(self, progress: Progress) -> None:
        """Report what the row says of its optimization."""
        if isinstance(progress, Resumed):
            self.log.info("continues after step %d, from its checkpoint", progress.step)
        else:
            self._stepped(progress)

    def retried(self, retry: Retry, subject: str = "") -> None:
        """Report that the row failed and is tried again.

        Args:
            retry: the failure and the wait.
            subject: what failed, if it is not the row itself, such as `style night.png`.
        """
        self.has_waited = False
        how = f"{subject} {retry}".lstrip()
        self.log.warning("%s", how)
        emit(RowRetried(self.job.line, self.job.output, how))

    def waiting(self, holder: str) -> None:
        """Report that all devices are in use; only once, however often it is called.

        Args:
            holder: who uses one, such as `process 4711 of anna`; empty if this is unknown.
        """
        if not self.has_waited:
            self.has_waited = True
            how = f"waits for a device{f' that another run uses: {holder}' if holder else ''}"
            self.log.info("%s", how)
            emit(RowWaiting(self.job.line, self.job.output, how))

    def _stepped(self, taken: Stepped) -> None:
        if taken.step_of_octave % LOG_EVERY == 0:
            height, width = taken.shape
            self.log.info(
                "step %d of %d at %d x %d pixels: loss %.4g",
                *(taken.step, taken.steps, width, height, taken.loss),
            )
        emit(
            RowStepped(
                line=self.job.line,
                output=self.job.output,
                step=taken.step,
                steps=taken.steps,
                share=taken.share,
                loss=taken.loss,
            )
        )

    def done(self, record: "PictureRecord") -> None:
        """Report that the row is done."""
        from nst_core.transfer.stylize import ENDED_EARLY

        how = f"{record.steps} steps, stop reason {record.stop_reason}"
        is_typical = record.stop_reason != ENDED_EARLY and not record.degraded
        self.ended("done", how, record.total_loss, is_typical=is_typical)

    def ended(
        self,
        status: Literal["done", "failed", "interrupted"],
        how: str,
        loss: float = float("nan"),
        *,
        is_typical: bool = True,
    ) -> None:
        """Report the end of the row, however it ended; the arguments are those of `RowEnded`."""
        seconds, job = time.perf_counter() - self.started_at, self.job
        if status == "done":
            self.log.info("done after %.1f s, loss %.4g: %s", seconds, loss, how)
        else:
            self.log.error("%s after %.1f s: %s", status, seconds, redacted(how))
        emit(RowEnded(job.line, job.output, status, loss, how, is_typical))


def wait_for_device(
    report: RowReport, holder: str, output: OutputFolder, deadline: Deadline
) -> None:
    """Report once that a row, or its style before it, waits for a device.

    Args:
        report: the reporter of the row.
        holder: see `RowReport.waiting`.
        output: the batch's output folder.
        deadline: that of the run.

    Raises:
        StoppedError: the batch was stopped, or the deadline has passed.
    """
    report.waiting(holder)
    check_may_continue(output, deadline, "while it waited for a device")
