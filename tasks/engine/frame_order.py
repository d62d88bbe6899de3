"""The order of frames: each begins once the frame before it is done."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from tasks.job import Job
from tasks.store.statuses import STOPPED, RowResult, Status

_NOT_BEGUN = "this frame did not begin"


def may_begin(jobs: Iterable[Job], results: Mapping[int, RowResult]) -> Iterator[Job]:
    """Yield the jobs that wait for no other job, in order.

    Args:
        jobs: the jobs.
        results: how rows ended so far, by line.
    """
    for job in jobs:
        before = job.previous and results.get(job.previous.line)
        if job.previous is None or (before and before.record):
            yield job


def end_without_previous(
    job: Job, results: Mapping[int, RowResult], lines: Collection[int]
) -> RowResult | None:
    """Return how a frame ends that cannot begin, as the frame before has no picture; else None.

    It fails if that frame failed, so that `--only failed` asks for both; it is pending if that
    frame did not end because the batch ended.

    Args:
        job: the job.
        results: how rows ended so far, by line.
        lines: the lines of all jobs that this run begins.
    """
    if job.previous is None:
        return None
    line, before = job.previous.line, results.get(job.previous.line)
    if before is None:
        if line in lines:
            return None
        why = (
            f"line {line}, the frame before it, is not done and was not asked for; ask for it, too"
        )
        return RowResult("failed", error=f"{_NOT_BEGUN}: {why}")
    if before.record:
        return None
    if before.error.startswith(_NOT_BEGUN):
        return before
    status: Status = "pending" if before.status in STOPPED else "failed"
    why = f"line {line}, an earlier frame of the sequence {job.sequence!r}, is {before.status}"
    return RowResult(status, error=f"{_NOT_BEGUN}: {why}; it says why, and the next run continues")
