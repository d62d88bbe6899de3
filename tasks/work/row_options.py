"""How each row of a batch runs, whatever its pictures and settings are."""

from dataclasses import dataclass, field, replace
from typing import Self

from tasks.stopping import Limits


@dataclass(frozen=True)
class RowOptions:
    """How each row of a batch runs.

    Attributes:
        intermediate_steps: save the current picture after every so many steps of an octave; None
            if no intermediates are wanted.
        checkpoint_seconds: seconds between checkpoints; 0 if none are wanted.
        resume: whether to continue from the checkpoint of an earlier run.
        limits: when a row must end before it is finished.
        retries: how often to try again after a failure that may pass.
        strict: whether a row that needs more memory than there is fails instead of being degraded.
        isolate: whether rows run in the process of their device instead of this one.
    """

    intermediate_steps: int | None = None
    checkpoint_seconds: float = 0
    resume: bool = True
    limits: Limits = field(default_factory=Limits)
    retries: int = 0
    strict: bool = False
    isolate: bool = False

    def after(self, attempts: int) -> Self:
        """Return the same for a row that was tried this often: it continues what it began."""
        return replace(self, resume=self.resume or attempts > 0)
