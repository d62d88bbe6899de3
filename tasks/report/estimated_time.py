"""About how long a batch takes, before any of it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.job import Job
from tasks.report.earlier_speed import seconds_a_multiplication
from tasks.report.time_left import last_end, longest_chain
from tasks.store.output_folder import OutputFolder
from tasks.store.speeds import Speeds


@dataclass(frozen=True)
class EstimatedTime:
    """About how long a batch takes.

    Attributes:
        seconds: from its first row to its last, on all devices.
        seconds_of: of each row, by its line, to a tenth.
        source: what this is based on, for people.
        is_measured: whether all of it is based on earlier rows of these kinds.
    """

    seconds: float
    seconds_of: Mapping[int, float]
    source: str
    is_measured: bool


def estimated_time(jobs: Sequence[Job], speeds: Speeds, output: OutputFolder) -> EstimatedTime:
    """Return about how long some rows take.

    Args:
        jobs: the jobs of these rows, which differ, in the order in which they run.
        speeds: those of this machine.
        output: the batch's output folder, whose table is used if nothing was measured.
    """
    rate = None if speeds.knows_device else seconds_a_multiplication(output)
    estimates = (speeds if rate is None else speeds.with_guess(rate)).of_batch(jobs)
    measured = sum(estimate.is_measured for estimate in estimates)
    if not estimates:
        source = "there is nothing to run"
    elif rate is not None:
        source = "measured on earlier rows in this output folder"
    elif measured and any(map(speeds.is_of_shared_cpu, jobs)):
        source = "measured on this machine while another run used its CPU, too"
        source += "" if measured == len(estimates) else ", and partly a guess"
    elif measured == len(estimates):
        source = "measured on this machine"
    elif measured:
        source = "partly measured on this machine, partly a guess"
    elif speeds.knows_device:
        source = "a guess from rows with other sizes or settings"
    else:
        source = "a guess"
    seconds_of = {each.line: round(each.seconds, 1) for each in estimates}
    return EstimatedTime(
        seconds=max(
            last_end(seconds_of.values(), [0.0] * speeds.at_once),
            longest_chain(estimates, lambda each: seconds_of[each.line]),
        ),
        seconds_of=seconds_of,
        source=source,
        is_measured=rate is not None or measured == len(estimates),
    )
