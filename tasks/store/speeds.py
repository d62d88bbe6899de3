"""How long rows take on this machine."""

from dataclasses import dataclass

from tasks.job import Job
from tasks.store.style_cache import StyleCache

SECONDS_A_ROW = 0.5
"""Seconds to read and write the pictures of a row."""

SECONDS_A_MULTIPLICATION = 2.8e-11
"""Seconds per step and multiplication of a forward pass, on 2 CPU cores (docs/benchmarks.md)."""


@dataclass(frozen=True)
class Speeds:
    """What is known about the speed of this machine."""

    @classmethod
    def read(cls, cache: StyleCache) -> "Speeds":  # noqa: ARG003 - where measurements belong
        """Return what this machine has measured."""
        return cls()

    def seconds(self, job: Job) -> float:
        """Return the estimated seconds of a row that nothing disturbs."""
        return SECONDS_A_ROW + job.multiplications * SECONDS_A_MULTIPLICATION
