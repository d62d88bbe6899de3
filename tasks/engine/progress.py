"""What a row says of its optimization, wherever it runs; small and plain, to cross processes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    from nst_core.transfer.stylize import Iterate


@dataclass(frozen=True)
class Resumed:
    """A row continues after this step, from a checkpoint of an earlier run, or of this one."""

    step: int


@dataclass(frozen=True)
class Stepped:
    """A row took some optimizer steps.

    Attributes:
        step, steps: the steps taken so far, and their maximum.
        step_of_octave: the steps taken at this octave's size.
        shape: height and width of this octave, in pixels.
        share: the part of the row's planned work that is done, from 0 to 1.
        loss: the total loss of the best picture so far.
    """

    step: int
    steps: int
    step_of_octave: int
    shape: tuple[int, int]
    share: float
    loss: float

    @classmethod
    def to(cls, iterate: "Iterate") -> Self:
        """Return that the row came to an iterate."""
        height, width = iterate.pixels.shape[:2]
        return cls(
            *(iterate.step, iterate.steps, iterate.step_of_octave),
            *((height, width), iterate.work_done, iterate.losses.total),
        )


Progress: TypeAlias = Resumed | Stepped
