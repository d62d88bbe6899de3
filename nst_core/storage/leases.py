"""Leases: locks in a storage that releases no lock by itself when the lock's holder dies.

Each contender writes a small file of its own, its claim, and then lists all claims. A storage lists
what was written before, so of two contenders, at least one sees the claim of the other. It does not
get the lease before that claim is gone: it withdraws if the other claim is older, and otherwise
waits for the other contender to withdraw. Therefore, no two contenders have the lease, whatever the
times in the listing are. The times only decide who withdraws.

The holder writes its claim again and again. A claim that has not been written for the length of the
lease is dead. How old a claim is follows from two times in one listing, both from the storage's
clock, so the clocks of the machines do not matter.
"""

import errno
import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from pydantic import BaseModel, Field

from nst_core import system
from nst_core.errors import UserError
from nst_core.storage.answers import StorageError
from nst_core.storage.files import listing_of, read_start, remove, write_atomic
from nst_core.storage.places import Place

logger = logging.getLogger("nst_batch.leases")

_CLAIM = re.compile("[0-9a-f]{16}")
_MOST_BYTES = 1000


@dataclass(frozen=True)
class Timing:
    """How long the steps of a lease take, in seconds.

    Attributes:
        length: a claim that has not been written for this long is dead.
        renewal: the time between two writes of a claim by its holder.
        loss: a holder that could not write its claim for this long has lost the lease. This is
            shorter than `length`, so that it stops before anybody else may start.
        decision: how long to wait for contenders that came at the same moment to withdraw.
    """

    length: float = 90
    renewal: float = 20
    loss: float = 60
    decision: float = 5


class Holder(BaseModel):
    """What a claim says about the process that wrote it."""

    machine: str = Field(max_length=255)
    process: int
    user: str = Field(max_length=255)

    def __str__(self) -> str:
        text = f"process {self.process} of {self.user} on {self.machine}"
        # Whoever may write to the storage may have written this text, and a terminal shows it.
        return "".join(character for character in text if character.isprintable())


class LeaseHeldError(UserError):
    """Somebody else has the lease.

    Attributes:
        holder: such as `process 4711 of anna on gpu1`; empty if it is unknown.
        seconds: if its holder was killed, the lease ends after at most this many seconds.
    """

    def __init__(self, holder: str, seconds: float) -> None:
        super().__init__(holder, seconds)
        self.holder, self.seconds = holder, seconds

    def __str__(self) -> str:
        return f"held by {self.holder or 'another process'}, for {self.seconds:.0f} s or longer"


class LeaseLostError(StorageError):
    """A lease was not renewed in time, so somebody else may have it; the message says why."""


@contextmanager
def leased(
    folder: Place, subject: str, on_loss: Callable[[], None], timing: Timing = Timing()
) -> Iterator[None]:
    """Hold the lease of a folder, and renew it in a thread.

    If this user may not list files, or the listing does not say when they were written, there is no
    lease; a warning says so, and the context is entered all the same.

    Args:
        folder: the folder of the claims, which nobody else uses.
        subject: what the lease is for, for messages.
        on_loss: called once, in another thread, if the lease was not renewed in time.
        timing: must be the same for all contenders.

    Raises:
        LeaseHeldError: somebody else has the lease; this is raised within seconds.
        LeaseLostError: the storage took too long to answer.
        OSError: the storage cannot be written, or does not answer.
    """
    own, started, claim = folder / secrets.token_hex(8), system.clock(), _own_claim()
    if not _can_list(folder, subject):
        yield
        return
    write_atomic(own, claim)
    try:
        is_held = _contend(own, subject, timing)
        if system.clock() - started > timing.loss:
            raise loss_of(subject, timing)
        renewal = _Renewal(own, claim, started, on_loss, timing)
        with renewal.running() if is_held else nullcontext():
            yield
    finally:
        _withdraw(own)


def loss_of(subject: str, timing: Timing = Timing()) -> LeaseLostError:
    """Return the error that says that a lease was lost.

    Args:
        subject: what the lease was for.
        timing: that of the lease.
    """
    return LeaseLostError(
        f"{subject}: this run could not renew its lease for {timing.loss:g} s, because the storage "
        "did not answer or this process was paused; another run may be writing there by now, so "
        "this run has stopped"
    )


def _own_claim() -> bytes:
    holder = Holder(machine=socket.gethostname(), process=os.getpid(), user=system.own_name())
    return holder.model_dump_json().encode()


def _can_list(folder: Place, subject: str) -> bool:
    """Return whether this user may list the claims; warn if not.

    Raises:
        OSError: the storage does not answer.
    """
    try:
        listing_of(folder)
    except StorageError as error:
        if error.errno != errno.EACCES:
            raise
        _warn(subject, f"its files cannot be listed ({error.strerror})")
        return False
    return True


def _warn(subject: str, reason: str) -> None:
    logger.warning("%s: a run on another machine is not kept out, because %s", subject, reason)


def _contend(own: Place, subject: str, timing: Timing) -> bool:
    """Wait until no other claim stands in the way.

    Returns:
        Whether the lease is held; if not, there can be none, and a warning says why.

    Raises:
        LeaseHeldError: another claim is older, or stays.
        OSError: the storage does not answer.
    """
    claims = _claims(own.parent)
    mine = claims.pop(own.name, None)
    if mine is None:
        _warn(subject, "its listing does not say when a file was written")
        return False
    living = {name: time for name, time in claims.items() if time > mine - timing.length}
    _wait_for(living, own, mine, timing)
    for name in claims.keys() - living.keys():
        _withdraw(own.parent / name)
    return True


def _wait_for(others: dict[str, float], own: Place, mine: float, timing: Timing) -> None:
    """Wait until the claims that were there first are gone.

    Args:
        others: when they were written, by name.
        own: the own claim.
        mine: when it was written.
        timing: that of the lease.

    Raises:
        LeaseHeldError: one of them is older than the own claim, or stays.
    """
    deadline = time.monotonic() + timing.decision
    while others:
        oldest = min(others, key=lambda name: (others[name], name))
        is_older = (others[oldest], oldest) < (mine, own.name)
        if is_older or time.monotonic() > deadline:
            seconds = timing.length - (mine - others[oldest])
            raise LeaseHeldError(_holder_of(own.parent / oldest), seconds)
        time.sleep(timing.decision / 20)
        # Claims that came later are not waited for: their contenders see this one.
        others = {name: time for name, time in _claims(own.parent).items() if name in others}


def _claims(folder: Place) -> dict[str, float]:
    """Return when each claim was written, by name; empty ones have been withdrawn.

    Raises:
        OSError: the storage refuses to list its files, or does not answer.
    """
    return {
        name: listed.written_at
        for name, listed in listing_of(folder).items()
        if listed.size and listed.written_at is not None and _CLAIM.fullmatch(name)
    }


def _holder_of(claim: Place) -> str:
    try:
        return str(Holder.model_validate_json(read_start(claim, _MOST_BYTES)))
    except (OSError, ValueError):
        return ""


def _withdraw(claim: Place) -> None:
    """Remove a claim, or empty it if the storage does not let us remove files."""
    try:
        remove(claim)
    except OSError:
        # If this fails, too, the claim is dead after the length of the lease.
        with suppress(OSError):
            write_atomic(claim, b"")


class _Renewal:
    """The threads that renew a lease, and notice if it is lost."""

    def __init__(
        self,
        own: Place,
        claim: bytes,
        renewed: float,
        on_loss: Callable[[], None],
        timing: Timing,
    ) -> None:
        self._own, self._claim, self._on_loss, self._timing = own, claim, on_loss, timing
        self._renewed, self._over = renewed, threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Renew the lease as long as the context lasts."""
        renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        # A write may hang for longer than the lease lasts, so another thread looks at the clock.
        watching = threading.Thread(target=self._watch, name="lease-clock", daemon=True)
        renewing.start()
        watching.start()
        try:
            yield
        finally:
            self._over.set()
            # A write that ends after the claim was removed would bring the claim back.
            renewing.join(self._timing.decision)
            watching.join()

    def _renew(self) -> None:
        while not self._over.wait(self._timing.renewal):
            started = system.clock()
            try:
                write_atomic(self._own, self._claim)
            except OSError as error:
                logger.info("a lease was not renewed: %s", error.strerror)
                continue
            if self._is_lost():
                return  # somebody else may have removed the claim before it was written again
            self._renewed = started

    def _watch(self) -> None:
        while not self._over.wait(self._timing.renewal / 20):
            if self._is_lost():
                self._over.set()
                self._on_loss()
                return

    def _is_lost(self) -> bool:
        return system.clock() - self._renewed > self._timing.loss
