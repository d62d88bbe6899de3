"""Kinds of rows that take the same time per multiplication, and what was measured of each."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from nst_core.devices import parse_devices, visible_gpus
from nst_core.transfer.losses.terms import FRAME_TERMS
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import GRAM
from tasks.job import Job

MOST_ROWS = 20
"""Earlier rows of a kind count as no more than this many, so that speeds follow the machine."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=1000)]


def device_kind(names: Sequence[str]) -> str:
    """Return the type of a row's device, such as `GPU`, `CPU`, or `CPU/2` for half of the CPU.

    Args:
        names: the devices that rows are spread over, as TensorFlow names them.
    """
    counts = Counter(name.partition(":")[0] for name in names)
    shares = (f"{kind}/{n}" if kind == "CPU" and n > 1 else kind for kind, n in counts.items())
    return "+".join(sorted(shares))


def expected_devices(devices: str) -> tuple[str, ...]:
    """Return the names of the devices that a run will probably get, without TensorFlow.

    Args:
        devices: what the user asked for, as in `nst_core.devices.parse_devices`.

    Raises:
        DeviceError: the text is not written as `parse_devices` expects.
    """
    gpus = tuple(f"GPU:{number}" for number in range(len(visible_gpus())))
    return parse_devices(devices) or gpus or ("CPU:0",)


class Kind(BaseModel):
    """Rows that take the same time per multiplication.

    Attributes:
        host: the machine's name, because machines may share a cache.
        device: see `device_kind`.
        layers: those that the losses use, sorted, and the style losses, unless it is only `gram`;
            the terms that only frames have which follow another one; and the precision, unless it
            is that of earlier versions.
        tolerance, steps: they decide how early rows of this kind stop.
        side: the side of a square of the result's area, as a power of two, in pixels.
    """

    model_config = ConfigDict(frozen=True)

    host: Name
    device: Name
    encoder: Name
    layers: Name
    optimizer: Name
    tolerance: Amount
    steps: int = Field(ge=1)
    side: int = Field(ge=1)

    @classmethod
    def of(cls, job: Job, device: str, host: str) -> Self:
        """Return the kind of a job's row on a kind of device."""
        settings = job.settings
        taps = {*settings.content_layer_weights, *settings.style_layer_weights}
        return cls(
            host=host,
            device=device,
            encoder=settings.encoder,
            layers=" ".join([*sorted(taps), *_other_facts(job)]),
            optimizer=settings.optimizer,
            tolerance=settings.tolerance,
            steps=settings.steps,
            side=2 ** round(math.log2(math.prod(job.shape)) / 2),
        )

    @property
    def place(self) -> tuple[str, str]:
        """Where these rows run."""
        return self.host, self.device

    @property
    def program(self) -> tuple[str, str, str]:
        """What a device compiles once, for all sizes."""
        return self.encoder, self.layers, self.optimizer

    @property
    def stopping(self) -> tuple[str, float, int]:
        """What decides how early rows stop."""
        return self.optimizer, self.tolerance, self.steps

    @property
    def parts(self) -> int:
        """How many parts the CPU is split into, of which a row has one; 1 for other devices."""
        _, _, parts = self.device.partition("/")
        return int(parts) if parts.isdecimal() else 1

    def sizes_apart(self, other: "Kind") -> float:
        """Return how many times one size must be doubled to be the other."""
        return abs(math.log2(self.side / other.side))

    def distance(self, other: "Kind") -> tuple[float, ...]:
        """Return how different two kinds are; the first numbers count most."""
        return (
            self.host != other.host,
            self.device != other.device,
            self.encoder != other.encoder,
            self.layers != other.layers,
            self.optimizer != other.optimizer,
            self.sizes_apart(other),
            self.stopping != other.stopping,
        )


def _other_facts(job: Job) -> list[str]:
    """Return what changes the time of a step besides layers, as far as it is not the default."""
    precision = [] if job.settings.allows_tf32 else [job.settings.precision]
    frame_terms = FRAME_TERMS if job.previous else ()
    return [*_other_losses(job.settings), *frame_terms, *precision]


def _other_losses(settings: Settings) -> list[str]:
    """Return the names of the style losses; none if it is only `gram`, as in earlier versions."""
    losses = sorted(settings.style_loss_weights)
    return [] if losses == [GRAM] else losses


class Measured(BaseModel):
    """What was measured of one kind of rows.

    Attributes:
        rows: how many rows this is based on.
        rate: seconds per multiplication, as in `Job.multiplications`.
        preparation: seconds besides the steps, per row.
        compilation: additional seconds of the first row on a device; None if no row was first.
        share: the share of the planned work after which rows usually stop, from 0 to 1.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    rows: int = Field(ge=1)
    rate: Amount
    preparation: Amount
    compilation: Amount | None = None
    share: float = Field(ge=0, le=1)

    def with_newer(self, newer: "Measured") -> "Measured":
        """Return the mean with a newer measurement of the same kind, weighted by rows."""
        old, new = min(self.rows, MOST_ROWS), newer.rows

        def mean(before: float | None, now: float | None) -> float | None:
            if before is None or now is None:
                return now if before is None else before
            return (old * before + new * now) / (old + new)

        names = ("rate", "preparation", "compilation", "share")
        means = {name: mean(getattr(self, name), getattr(newer, name)) for name in names}
        return self.model_copy(update={**means, "rows": old + new})


@dataclass(frozen=True)
class MeasuredRow:
    """What was measured of one row that ran from its start to its end.

    Attributes:
        work: the multiplications of all planned steps.
        share: the share of the planned work after which it stopped, from 0 to 1.
        seconds: from its start to its end.
        stepping_seconds, stepping_share: the seconds and the share of the planned work between two
            reports of the row, both after its first ten steps; zeros if it had too few steps.
        is_first: whether its device compiled its kind of rows, which then takes longer.
    """

    kind: Kind
    work: float
    share: float
    seconds: float
    stepping_seconds: float
    stepping_share: float
    is_first: bool


def measure(rows: Sequence[MeasuredRow], rate: float, preparation: float) -> Measured:
    """Return what some rows of one kind show.

    Args:
        rows: at least one.
        rate: the seconds per multiplication to assume if no row has enough steps to measure it.
        preparation: the seconds to assume besides the steps if every row was the first.
    """
    stepped = sum(row.work * row.stepping_share for row in rows)
    if stepped:
        rate = sum(row.stepping_seconds for row in rows) / stepped
    rest = [(row.is_first, max(0.0, row.seconds - rate * row.work * row.share)) for row in rows]
    firsts = [seconds for is_first, seconds in rest if is_first]
    others = [seconds for is_first, seconds in rest if not is_first]
    usual = _mean(others) if others else min(preparation, *firsts)
    return Measured(
        kind=rows[0].kind,
        rows=len(rows),
        rate=rate,
        preparation=usual,
        compilation=max(0.0, _mean(firsts) - usual) if firsts else None,
        share=min(1.0, _mean([row.share for row in rows])),
    )


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)
