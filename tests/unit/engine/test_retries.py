"""Retries: how often, after which waits, and what is said of the earlier attempts."""

import pickle
from collections.abc import Callable

import pytest

from nst_core.storage.files import StorageError
from tasks.engine import retries
from tasks.engine.retries import Retry, after_retries, earlier_failures, tried, with_retries
from tasks.stopping import StoppedError


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that receives the seconds of each wait, which takes no time."""
    now, seconds = [0.0], list[float]()

    def sleep(duration: float) -> None:
        now[0] += duration
        seconds[-1] += duration

    wait = retries._wait

    def counted(retry: Retry, check: Callable[[str], object]) -> None:
        seconds.append(0.0)
        wait(retry, check)

    monkeypatch.setattr(retries.time, "sleep", sleep)
    monkeypatch.setattr(retries.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(retries, "_wait", counted)
    return seconds


def go_on(_: str) -> None:
    """Let a wait continue."""


def failing(times: int, error: Callable[[int], Exception]) -> Callable[[int], str]:
    def attempt(earlier: int) -> str:
        if earlier < times:
            raise error(earlier)
        return f"done after {earlier}"

    return attempt


def out_of_memory(_: int) -> Exception:
    return MemoryError("no room")


def test_the_result_says_why_earlier_attempts_failed(waits: list[float]) -> None:
    told: list[Retry] = []
    outcome = with_retries(failing(2, out_of_memory), 2, go_on, told.append)
    assert (outcome.result, outcome.failures) == ("done after 2", ("MemoryError: no room",) * 2)
    assert [(retry.number, retry.most, retry.reason) for retry in told] == [
        (1, 2, "MemoryError: no room"),
        (2, 2, "MemoryError: no room"),
    ]
    assert waits == pytest.approx([retry.seconds for retry in told])


def test_waits_grow_and_vary(waits: list[float]) -> None:
    with_retries(failing(5, out_of_memory), 5, go_on, lambda _: None)
    for seconds, delay in zip(waits, (2, 10, 60, 60, 60), strict=True):
        assert 0.8 * delay <= seconds <= 1.2 * delay
    assert len(set(waits)) == 5


def test_no_failure_is_tried_again_more_often_than_asked() -> None:
    for most in (0, 1, 3):
        attempts: list[int] = []

        def attempt(earlier: int, attempts: list[int] = attempts) -> str:
            attempts.append(earlier)
            raise MemoryError("no room")

        with pytest.raises(MemoryError) as failed:
            with_retries(attempt, most, go_on, lambda _: None)
        assert attempts == list(range(most + 1))
        assert len(earlier_failures(failed.value)) == most


def test_a_lasting_failure_is_not_tried_again(waits: list[float]) -> None:
    def error(earlier: int) -> Exception:
        return ValueError("a bug") if earlier else MemoryError("no room")

    with pytest.raises(ValueError, match="a bug") as failed:
        with_retries(failing(9, error), 5, go_on, lambda _: None)
    assert len(waits) == 1
    assert after_retries(failed.value) == " (tried 2 times; earlier failures: MemoryError: no room)"


def test_a_stopped_batch_does_not_wait(waits: list[float]) -> None:
    def stop(doing: str) -> None:
        raise StoppedError(f"stopped {doing}")

    with pytest.raises(StoppedError, match="a retry after this failure: MemoryError: no room"):
        with_retries(failing(1, out_of_memory), 2, stop, lambda _: None)
    assert waits == [0.0]


def test_a_stopped_row_is_not_tried_again(waits: list[float]) -> None:
    stopped = StoppedError("stopped after 10 of 20 steps", "interrupted/a.png")

    def attempt(_: int) -> str:
        raise stopped

    with pytest.raises(StoppedError) as failed:
        with_retries(attempt, 2, go_on, lambda _: None)
    assert failed.value is stopped
    assert not waits


def test_each_reason_is_told_once() -> None:
    assert tried(("a", "a", "b"), last="a") == "tried 4 times; earlier failures: b"
    assert tried(("a", "a"), last="a") == "tried 3 times"
    assert tried(("a", "b", "a")) == "tried 4 times; earlier failures: a and b"
    assert len(tried(["x" * 400, "y" * 400])) < 700


def test_earlier_failures_reach_other_processes() -> None:
    def error(_: int) -> Exception:
        return StorageError(5, "no answer", "s3://bucket/out")

    with pytest.raises(StorageError) as failed:
        with_retries(failing(9, error), 1, go_on, lambda _: None)
    there = pickle.loads(pickle.dumps(failed.value))
    assert earlier_failures(there) == earlier_failures(failed.value)
    assert after_retries(there) == " (tried 2 times)"


def test_other_notes_and_secrets_are_left_out() -> None:
    def error(_: int) -> Exception:
        failure = ConnectionError("https://anna:secret@host/a.png?key=secret")
        failure.add_note("a note of a library")
        return failure

    told: list[Retry] = []
    with pytest.raises(ConnectionError) as failed:
        with_retries(failing(9, error), 1, go_on, told.append)
    assert len(earlier_failures(failed.value)) == 1
    assert "secret" not in after_retries(failed.value) + str(told[0])
