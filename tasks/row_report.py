"""What a row says of itself: progress for whoever listens, and lines in its task run's log."""

import time
from typing import TYPE_CHECKING, Literal

from nst_core.places import Place, without_secrets
from tasks.jobs import Job
from tasks.progress import RowProgress, tell
from tasks.run_log import run_log
from tasks.stopping import StoppedError, is_stopped

if TYPE_CHECKING:
    from nst_core.stylize import Iterate

LOG_EVERY = 50
"""Steps between two lines in the log."""


class RowReport:
    """Tells of one row from its start to its end."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.log = run_log()
        self.started_at = time.perf_counter()
        self.has_waited = False

    def started(self) -> None:
        """Before anything is loaded."""
        height, width = self.job.shape
        self.log.info(
            "line %d: %s x %s, %d x %d pixels, encoder %s",
            *(self.job.line, self.job.content_name, self.job.style_name),
            *(width, height, self.job.settings.encoder),
        )
        tell(RowProgress(self.job.line, self.job.output, "started"))

    def waiting(self, holder: str) -> None:
        """While all devices are in use; told once, however often it is called.

        Args:
            holder: who uses one, such as `process 4711 of anna`; empty where nobody can tell.
        """
        if not self.has_waited:
            self.has_waited = True
            how = f"waits for a device{f' that another run uses: {holder}' if holder else ''}"
            self.log.info("%s", how)
            tell(RowProgress(self.job.line, self.job.output, "waiting", message=how))

    def step(self, iterate: "Iterate") -> None:
        """With each of its iterates."""
        if iterate.step_of_octave % LOG_EVERY == 0:
            height, width = iterate.pixels.shape[:2]
            self.log.info(
                "step %d of %d at %d x %d pixels: loss %.4g",
                *(iterate.step, iterate.steps, width, height, iterate.losses.total),
            )
        tell(
            RowProgress(
                line=self.job.line,
                output=self.job.output,
                event="step",
                share=iterate.work_done,
                step=iterate.step,
                steps=iterate.steps,
                loss=iterate.losses.total,
            )
        )

    def ended(
        self,
        event: Literal["done", "failed", "interrupted"],
        how: str,
        loss: float = float("nan"),
    ) -> None:
        """However it ended."""
        seconds, job = time.perf_counter() - self.started_at, self.job
        if event == "done":
            self.log.info("done after %.1f s, loss %.4g: %s", seconds, loss, how)
        else:
            self.log.error("%s after %.1f s: %s", event, seconds, without_secrets(how))
        share = 1.0 if event == "done" else 0.0
        tell(RowProgress(job.line, job.output, event, share=share, loss=loss, message=how))


def wait_for_device(report: RowReport, holder: str, output: Place) -> None:
    """Say once that a row, or its style before it, waits for a device.

    Args:
        report: of the row.
        holder: as `RowReport.waiting` has it.
        output: the batch's output folder.

    Raises:
        StoppedError: the batch was stopped.
    """
    report.waiting(holder)
    if is_stopped(output):
        raise StoppedError("stopped while it waited for a device")
