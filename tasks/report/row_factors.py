"""By which factors the estimates of a batch's rows are wrong, learned from the rows so far."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.events import RowEstimate

TRUST_IN_BATCH = 0.5
"""The weight of the factor of all rows in that of a group, as a number of the group's rows."""

TRUST_IN_SHARE = 0.25
"""The weight of an estimated share beside the shares of a group's rows, as a number of rows."""


class Report(NamedTuple):
    """A report of a row: when it came, in seconds, and the share of the row's work done by then."""

    at: float
    share: float


@dataclass
class RunningRow:
    """A row that runs, or has ended.

    Attributes:
        began: when it began, in seconds from any moment.
        reports: its first two reports, and its last one.
    """

    estimate: RowEstimate
    began: float
    reports: list[Report] = field(default_factory=list)

    def add(self, report: Report) -> None:
        """Add the latest report."""
        del self.reports[2:]
        self.reports.append(report)

    @property
    def share(self) -> float:
        """The share of its work that is done, from 0 to 1."""
        return self.reports[-1].share if self.reports else 0.0

    @property
    def stepping(self) -> Report:
        """The seconds of some of its steps, and their share of its work; zeros if unknown.

        If its device compiles, it does so before the second report.
        """
        steady = self.reports[1 if len(self.reports) > 2 or self.estimate.compilation else 0 :]
        if len(steady) < 2:
            return Report(0.0, 0.0)
        return Report(steady[-1].at - steady[0].at, steady[-1].share - steady[0].share)

    def besides_steps(self, ended: float) -> float:
        """Return the seconds that it took besides its steps, if it ended at this time."""
        seconds, share = self.stepping
        steps = seconds / share * (self.share - self.reports[0].share) if share else 0.0
        return max(0.0, ended - self.began - steps)


@dataclass
class Sums:
    """What some rows have taken, and what they should have taken; in seconds, or as shares."""

    taken: float = 0.0
    estimated: float = 0.0

    def add(self, taken: float, estimated: float) -> None:
        """Add a row."""
        self.taken += taken
        self.estimated += estimated

    def factor(self, usual: float = 1.0, trusted: float = 0.0) -> float:
        """Return the factor by which the estimates are wrong.

        Args:
            usual: the factor if nothing is known.
            trusted: the weight of `usual`, in the unit of the estimates.
        """
        estimated = self.estimated + trusted
        return (self.taken + trusted * usual) / estimated if estimated else usual


def _by_group() -> defaultdict[str, Sums]:
    return defaultdict(Sums)


@dataclass
class Factors:
    """What the rows of a batch so far say about those that are still to run.

    Attributes:
        typical_work: the mean estimated seconds of the steps of a row, by speed group.
        work, preparation: sums of rows by speed group, and of all rows.
        compilation: sums of the rows for which a device compiled, with their preparation.
        shares: sums of rows by share group.
    """

    typical_work: dict[str, float] = field(default_factory=dict)
    work: defaultdict[str, Sums] = field(default_factory=_by_group)
    all_work: Sums = field(default_factory=Sums)
    preparation: Sums = field(default_factory=Sums)
    compilation: Sums = field(default_factory=Sums)
    shares: defaultdict[str, Sums] = field(default_factory=_by_group)

    def add_steps(self, row: RunningRow) -> None:
        """Learn from the steps of a row that runs, or has ended."""
        seconds, share = row.stepping
        estimated = row.estimate.work * share
        self.work[row.estimate.speed_group].add(seconds, estimated)
        self.all_work.add(seconds, estimated)

    def add_end(self, row: RunningRow, ended: float) -> None:
        """Learn from the end of a row."""
        estimate = row.estimate
        sums = self.compilation if estimate.compilation else self.preparation
        sums.add(row.besides_steps(ended), estimate.preparation + estimate.compilation)
        self.shares[estimate.share_group].add(row.share, estimate.share)

    def besides_steps(self, row: RowEstimate) -> float:
        """Return about how many seconds a row takes besides its steps."""
        factor = self.compilation.factor()
        if not row.compilation:
            factor = self.preparation.factor(factor)
        return factor * (row.preparation + row.compilation)

    def steps(self, row: RowEstimate) -> float:
        """Return about how many seconds all planned steps of a row would take."""
        trusted = TRUST_IN_BATCH * self.typical_work[row.speed_group]
        return row.work * self.work[row.speed_group].factor(self.all_work.factor(), trusted)

    def share(self, row: RowEstimate) -> float:
        """Return the share of its work after which a row probably stops, from 0 to 1."""
        trusted = TRUST_IN_SHARE * row.share
        return min(1.0, row.share * self.shares[row.share_group].factor(1.0, trusted))

    def seconds(self, row: RowEstimate) -> float:
        """Return about how many seconds a row takes."""
        return self.besides_steps(row) + self.share(row) * self.steps(row)
