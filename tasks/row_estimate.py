"""About how long a row takes, in parts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RowEstimate:
    """About how long a row takes, in seconds.

    Attributes:
        line: the row's line in the manifest.
        preparation: what it takes besides its steps.
        work: what all of its planned steps take.
        compilation: what it takes in addition if it is the first of its kind on its device.
        share: the share of the planned work after which such rows usually stop, from 0 to 1.
        speed_group: a name for rows whose `preparation` and `work` are wrong by the same factors.
        share_group: a name for rows whose `share` is wrong by the same factor.
        is_measured: whether this machine has finished such rows; otherwise this is a guess.
        after: the line of the row that ends before this one begins, which is the frame before; 0 if
            it waits for no row.
    """

    line: int
    preparation: float
    work: float
    compilation: float = 0.0
    share: float = 1.0
    speed_group: str = ""
    share_group: str = ""
    is_measured: bool = False
    after: int = 0

    @property
    def seconds(self) -> float:
        """The whole time that the row takes."""
        return self.preparation + self.compilation + self.work * self.share
