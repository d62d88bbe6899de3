"""Retries of a row, or of a style, whose failure may pass; Prefect's own retries are not used.

Prefect's wait cannot be interrupted by a stop, it does not tell a task why its earlier attempts
failed, and if it does not try again, it does not log why.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tasks.engine.transient import is_transient
from tasks.stopping import StoppedError
from tasks.store.finished import in_a_line, shortened

DELAYS = (2.0, 10.0, 60.0)
"""Seconds before each retry; the last number holds for all further ones."""

JITTER = 0.2
"""The share by which a delay varies at random, so that many rows do not try again together."""

LOOK_EVERY = 0.1
"""How many seconds to wait before checking again whether the batch is ending."""

EARLIER = "an earlier attempt failed: "
"""The beginning of the notes that the last attempt's exception has, one for each earlier attempt.

Notes appear in tracebacks, and reach the flow from other processes together with the exception.
"""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Retry:
    """An attempt that failed and is repeated.

    Attributes:
        number: 1 for the first retry.
        most: how many retries there can be.
        seconds: how long the wait before it is.
        reason: why the attempt failed, redacted, on one line.
    """

    number: int
    most: int
    seconds: float
    reason: str

    def __str__(self) -> str:
        when = f"in {self.seconds:.0f} s (retry {self.number} of {self.most})"
        return f"failed and will be tried again {when}: {self.reason}"


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """The result of the last attempt, and why each earlier one failed."""

    result: Result
    failures: tuple[str, ...]


def with_retries(
    attempt: Callable[[int], Result],
    most: int,
    check: Callable[[str], object],
    on_retry: Callable[[Retry], object],
) -> Outcome[Result]:
    """Try something, and try it again if it fails for a reason that may pass.

    Args:
        attempt: called with the number of earlier attempts.
        most: how often to try again at most.
        check: called during a wait, with what it waits for; raises `StoppedError` to give up.
        on_retry: called before each wait for another attempt.

    Raises:
        StoppedError: the batch is ending, also during a wait.
        Exception: what the last attempt raised, with a note for each earlier attempt.
    """
    failures: list[str] = []
    while True:
        try:
            return Outcome(attempt(len(failures)), tuple(failures))
        except StoppedError:
            raise
        except Exception as error:
            if len(failures) == most or not is_transient(error):
                for reason in failures:
                    error.add_note(f"{EARLIER}{reason}")
                raise
            # The exception itself is let go, because its frames may hold a device's memory.
            failures.append(in_a_line(error))
        retry = Retry(len(failures), most, _delay(len(failures)), failures[-1])
        on_retry(retry)
        _wait(retry, check)


def _delay(number: int) -> float:
    """Return the seconds before a retry, which vary at random; `number` is 1 for the first."""
    return DELAYS[min(number, len(DELAYS)) - 1] * random.uniform(1 - JITTER, 1 + JITTER)


def _wait(retry: Retry, check: Callable[[str], object]) -> None:
    end = time.monotonic() + retry.seconds
    while True:
        check(f"while it waited for a retry after this failure: {retry.reason}")
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(LOOK_EVERY, left))


def earlier_failures(error: BaseException) -> tuple[str, ...]:
    """Return why the attempts before the one that raised this exception failed."""
    notes: list[str] = getattr(error, "__notes__", [])
    return tuple(note.removeprefix(EARLIER) for note in notes if note.startswith(EARLIER))


def after_retries(error: BaseException) -> str:
    """Return a clause on the earlier attempts, to follow an exception's message; empty if none."""
    failures = earlier_failures(error)
    return f" ({tried(failures, in_a_line(error))})" if failures else ""


def tried(failures: Sequence[str], last: str = "") -> str:
    """Return how often something was tried, and why the earlier attempts failed.

    Args:
        failures: why each of them failed.
        last: why the last attempt failed, which is not repeated; empty if it did not.
    """
    others = " and ".join(reason for reason in dict.fromkeys(failures) if reason != last)
    before = f"; earlier failures: {shortened(others)}" if others else ""
    return f"tried {len(failures) + 1} times{before}"
