"""What the rows of a preview would take in full."""

from collections.abc import Sequence

from tasks.job import Job
from tasks.report.estimated_time import estimated_time
from tasks.report.gallery.in_full import BatchInFull, InFull
from tasks.store.output_folder import OutputFolder
from tasks.store.speeds import Speeds
from tasks.work.ladder import memory_mb


def batch_in_full(
    jobs: Sequence[Job], side: int, speeds: Speeds, output: OutputFolder, device: str
) -> BatchInFull:
    """Estimate what a batch would take, from the jobs of a preview of it.

    Args:
        jobs: those of all rows that can run, also of rows that the preview leaves out.
        side: the longest side of the previews, in pixels.
        speeds: those of this machine.
        output: the folder of the preview.
        device: the name of a device that would run the rows.
    """
    wholes = [job.whole for job in jobs]
    distinct: dict[str, Job] = {}
    for job in wholes:
        distinct.setdefault(job.key, job)
    time = estimated_time([*distinct.values()], speeds, output)
    rows = {
        job.line: InFull(
            width=job.shape[1],
            height=job.shape[0],
            seconds=time.seconds_of[distinct[job.key].line],
            memory_mb=memory_mb(job, device),
        )
        for job in wholes
    }
    return BatchInFull(side, rows, time.seconds, time.source)
