"""How long rows take on this machine, learned from the rows that it has finished; else a guess."""

import json
import logging
import math
import platform
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from nst_core.storage.files import local_cache, read_kept, write_atomic
from nst_core.storage.places import Place, PlaceError, redacted
from tasks.events import RowEstimate
from tasks.job import Job
from tasks.store.output_folder import INTERNAL
from tasks.store.row_kinds import (
    Kind,
    Measured,
    MeasuredRow,
    device_kind,
    expected_devices,
    measure,
)
from tasks.store.style_cache import StyleCache

logger = logging.getLogger("nst_batch.speeds")

PREPARATION = 0.5
"""A guess at the seconds that a row spends on its files rather than on steps."""

COMPILATION = 5.0
"""A guess at the seconds for which a device compiles before its first row of a kind."""

SECONDS_A_MULTIPLICATION = 2.8e-11
"""A guess at the seconds per multiplication of a forward pass, with all that a step does besides.

It was measured on 2 CPU cores (docs/benchmarks.md).
"""

MOST_KINDS = 200
"""The most kinds of rows in the file; those whose last measurement is oldest are removed."""

MOST_BYTES = 1 << 20
NEAR_SIZES = 2.0
"""Sizes that differ by no more than this factor have nearly the same speed."""


class _File(BaseModel):
    """The contents of the file."""

    version: Literal[1] = 1
    measured: tuple[Measured, ...] = Field((), max_length=MOST_KINDS)
    beside: tuple[Measured, ...] = Field((), max_length=MOST_KINDS)


@dataclass(frozen=True)
class Speeds:
    """How long rows take on this machine.

    Attributes:
        measured: what was measured of each kind, the latest last.
        device: the type of device that the estimates are for.
        host: the name of this machine.
        at_once: how many rows run at once on such devices.
        guess: seconds per multiplication if nothing was measured on such a device.
        beside: what was measured while another run used the CPU, too, the latest last. It counts
            only if nothing else was measured of such rows.
    """

    measured: tuple[Measured, ...] = ()
    device: str = "CPU"
    host: str = field(default_factory=platform.node)
    at_once: int = 1
    guess: float = SECONDS_A_MULTIPLICATION
    beside: tuple[Measured, ...] = ()
    _known: dict[Kind, Measured | None] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def read(cls, cache: StyleCache, devices: str = "auto") -> "Speeds":
        """Return what was measured, for the devices that a run will probably get.

        A file that is damaged or cannot be read is reported in one line of the log.

        Args:
            cache: the cache that runs use.
            devices: what the user asked for, as in `nst_core.devices.parse_devices`.

        Raises:
            DeviceError: the devices are not written as `parse_devices` expects.
        """
        names = expected_devices(devices)
        file = _read(cache)
        speeds = cls(file.measured, device_kind(names), at_once=len(names))
        return replace(speeds, beside=file.beside)

    def seconds(self, job: Job) -> float:
        """Return about how long a row takes if nothing disturbs it and nothing is compiled."""
        return self.estimate(job).seconds

    @property
    def knows_device(self) -> bool:
        """Whether rows of any kind were measured on such a device."""
        return bool(self._on_device)

    def is_measured(self, job: Job) -> bool:
        """Return whether this machine has finished rows of this kind at about this size."""
        kind = self.kind(job)
        nearest = self._nearest(kind)
        if nearest is None:
            return False
        is_same = nearest.kind.place == kind.place and nearest.kind.program == kind.program
        return is_same and nearest.kind.sizes_apart(kind) <= math.log2(NEAR_SIZES)

    def is_of_shared_cpu(self, job: Job) -> bool:
        """Return whether a row's estimate is that of rows that ran while another run did, too."""
        return self._nearest(self.kind(job)) in self.beside

    def compilation(self, job: Job) -> float:
        """Return how many seconds more the first row of this kind takes on each device."""
        kind = self.kind(job)
        known = [one for one in self._on_device if one.compilation is not None]
        nearest = min(known, key=lambda one: one.kind.distance(kind), default=None)
        return COMPILATION if nearest is None else nearest.compilation or 0.0

    def estimate(self, job: Job, *, is_first: bool = False) -> RowEstimate:
        """Return about how long a row takes, in parts.

        Args:
            job: the job of the row.
            is_first: whether its device must compile this kind of rows.
        """
        kind = self.kind(job)
        nearest = self._nearest(kind)
        preparation, rate = PREPARATION, self.guess
        if nearest:
            # On a smaller part of the CPU, a row takes longer, nearly in proportion.
            preparation = nearest.preparation
            rate = nearest.rate * kind.parts / nearest.kind.parts
        return RowEstimate(
            line=job.line,
            preparation=preparation,
            work=rate * job.multiplications,
            compilation=self.compilation(job) if is_first else 0.0,
            share=self._share(kind),
            speed_group=f"{' '.join(kind.program)} {kind.side}",
            share_group=" ".join(map(str, kind.stopping)),
            is_measured=self.is_measured(job),
            after=job.previous.line if job.previous else 0,
        )

    def of_batch(self, jobs: Iterable[Job]) -> tuple[RowEstimate, ...]:
        """Return the estimates of a batch's rows in their order; jobs that repeat one have none.

        Each device compiles each kind of rows once.
        """
        distinct: dict[str, Job] = {}
        for job in jobs:
            distinct.setdefault(job.key, job)
        begun: Counter[tuple[str, ...]] = Counter()
        estimates = []
        for job in distinct.values():
            program = self.kind(job).program
            begun[program] += 1
            estimates.append(self.estimate(job, is_first=begun[program] <= self.at_once))
        return tuple(estimates)

    def kind(self, job: Job) -> Kind:
        """Return the kind of a job's row on this machine."""
        return Kind.of(job, self.device, self.host)

    @property
    def _on_device(self) -> list[Measured]:
        """What was measured on devices of this sort, or on other parts of a CPU."""
        sort = self.device.partition("/")[0]
        known = {(one.kind.place, one.kind.program) for one in self.measured}
        beside = (one for one in self.beside if (one.kind.place, one.kind.program) not in known)
        every = (*self.measured, *beside)
        return [one for one in every if one.kind.device.partition("/")[0] == sort]

    def _nearest(self, kind: Kind) -> Measured | None:
        """Return what is known of the most similar kind on such a device."""
        if kind not in self._known:
            self._known[kind] = min(
                self._on_device, key=lambda one: one.kind.distance(kind), default=None
            )
        return self._known[kind]

    def _share(self, kind: Kind) -> float:
        """Return the share of the planned work after which such rows usually stop."""
        alike = [one for one in self._on_device if one.kind.stopping == kind.stopping]
        nearest = min(alike, key=lambda one: one.kind.distance(kind), default=None)
        return nearest.share if nearest else 1.0

    def with_guess(self, rate: float) -> "Speeds":
        """Return the same with another guess, in seconds per multiplication."""
        return replace(self, guess=rate)

    def with_rows(
        self, rows: Iterable[MeasuredRow], beside: Iterable[MeasuredRow] = ()
    ) -> "Speeds":
        """Return the speeds with the measurements of a finished run.

        Args:
            rows: those that had their device to themselves.
            beside: those on a CPU that another run used, too.
        """
        measured = self._added(self.measured, rows)
        return replace(self, measured=measured, beside=self._added(self.beside, beside))

    def _added(
        self, before: Iterable[Measured], rows: Iterable[MeasuredRow]
    ) -> tuple[Measured, ...]:
        by_kind: dict[Kind, list[MeasuredRow]] = {}
        for row in rows:
            by_kind.setdefault(row.kind, []).append(row)
        known = {one.kind: one for one in before}
        for kind, alike in by_kind.items():
            near = replace(self, device=kind.device)._nearest(kind)
            rate, preparation = (near.rate, near.preparation) if near else (self.guess, PREPARATION)
            newer, older = measure(alike, rate, preparation), known.pop(kind, None)
            # The latest are last, because the first go when there are too many.
            known[kind] = older.with_newer(newer) if older else newer
        return tuple(known.values())[-MOST_KINDS:]

    def write(self, cache: StyleCache) -> None:
        """Store what was measured; if that is not possible, say so in one line of the log."""
        if cache.is_served_read_only():
            return
        file = _File(measured=self.measured, beside=self.beside)
        try:
            write_atomic(_place(cache), json.dumps(file.model_dump(mode="json")).encode())
        except (OSError, PlaceError) as error:
            logger.warning("the speed of this machine cannot be stored: %s", _why(error))


def _place(cache: StyleCache) -> Place:
    """Return the place of the file, which is always on this machine.

    Raises:
        PlaceError: the cache is not on this machine, and the user has no cache folder.
    """
    return local_cache(cache.root) / INTERNAL / "speeds.json"


def _read(cache: StyleCache) -> _File:
    try:
        return _File.model_validate_json(read_kept(_place(cache), MOST_BYTES))
    except FileNotFoundError:
        return _File()
    except (OSError, ValueError, PlaceError) as error:
        logger.warning("the measured speed of this machine cannot be used: %s", _why(error))
        return _File()


def _why(error: Exception) -> str:
    """Return the reason on one line: a damaged file has one for each of its fields."""
    if isinstance(error, ValidationError):
        fault: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(map(str, fault['loc']))[:80]}: {fault['msg']}".removeprefix(": ")
    if isinstance(error, OSError) and error.strerror:
        return f"{redacted(str(error.filename))}: {error.strerror}"
    return redacted(str(error))
