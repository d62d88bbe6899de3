"""Leases: at most one holder at any time, which dies with its process."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from nst_core.storage.answers import Listed, StorageError
from nst_core.storage.leases import LeaseHeldError, LeaseLostError, Timing, leased
from nst_core.storage.schemes import SCHEMES, Scheme
from nst_core.system import own_name
from tasks.stopping import raise_if_asked_to_stop
from tasks.store import output_folder
from tasks.store.output_folder import InUseError, OutputFolder
from tests.memory_storage import MemoryStorage
from tests.object_storage import Bucket, object_storage

SHORT = Timing(length=6, renewal=1, loss=4, decision=2)

HOLD = """
import sys, time
from nst_core.storage.leases import LeaseHeldError, Timing, leased
from nst_core.storage.places import place
folder, seconds, timing = place(sys.argv[1]), float(sys.argv[2]), Timing(*map(float, sys.argv[3:]))
try:
    with leased(folder, "the folder", lambda: print("lost", flush=True), timing):
        print("held", flush=True)
        time.sleep(seconds)
except LeaseHeldError as error:
    print(error, flush=True)
"""

CONTEND = """
import os, sys, time
from nst_core.storage.leases import LeaseHeldError, Timing, leased
from nst_core.storage.places import place
folder, mark, until = place(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
held = 0
while time.monotonic() < until:
    try:
        with leased(folder, "the folder", lambda: print("lost"), Timing(60, 20, 50, 5)):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))  # fails if anybody else is inside
            time.sleep(0.1)
            os.unlink(mark)
            held += 1
    except LeaseHeldError:
        time.sleep(0.02)
print(held)
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[UPath]:
    """Yield a folder in a storage that this process alone can see."""
    scheme = Scheme(storage="tests.memory_storage.MemoryStorage")
    monkeypatch.setitem(SCHEMES, "memory", scheme)
    MemoryStorage.files.clear()
    yield UPath("memory://bucket/leases")
    MemoryStorage.files.clear()


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with object_storage() as bucket:
        yield bucket


def claims() -> list[str]:
    return [name for name, data in MemoryStorage.files.copy().items() if data]


def ignore_loss() -> None:
    """Do nothing."""


def process(program: str, bucket: Bucket, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | bucket.environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def holder_in(bucket: Bucket, folder: str, seconds: float) -> "subprocess.Popen[str]":
    timing = (SHORT.length, SHORT.renewal, SHORT.loss, SHORT.decision)
    return process(HOLD, bucket, f"s3://pictures/{folder}", seconds, *timing)


def line_of(running: "subprocess.Popen[str]") -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def test_a_lease_has_one_holder_who_is_named(folder: UPath) -> None:
    with leased(folder, "the folder", ignore_loss):
        with (
            pytest.raises(LeaseHeldError) as held,
            leased(folder, "the folder", ignore_loss),
        ):
            pytest.fail("two hold the lease")
        me = own_name()
        assert held.value.holder == f"process {os.getpid()} of {me} on {socket.gethostname()}"
        assert 80 < held.value.seconds <= 91
        assert len(claims()) == 1
    assert MemoryStorage.files == {}
    with leased(folder, "the folder", ignore_loss):
        pass


def test_the_lease_ends_with_an_error_or_a_stop(folder: UPath) -> None:
    for end in (ValueError, KeyboardInterrupt):
        with pytest.raises(end), leased(folder, "the folder", ignore_loss):
            raise end
        assert MemoryStorage.files == {}


def test_a_claim_shows_no_more_of_a_stranger_than_printable_text(folder: UPath) -> None:
    claim = {"machine": "m\x1b[2J\n", "process": 7, "user": "u"}
    for text, holder in ((json.dumps(claim), "process 7 of u on m[2J"), ("{", ""), ("[]", "")):
        MemoryStorage.files.clear()
        MemoryStorage().write(folder / "0123456789abcdef", text.encode())
        with pytest.raises(LeaseHeldError) as held, leased(folder, "the folder", ignore_loss):
            pass
        assert held.value.holder == holder


def test_of_many_threads_that_start_at_once_exactly_one_has_the_lease(folder: UPath) -> None:
    for _ in range(5):
        start, end = threading.Barrier(12), threading.Event()
        outcomes: list[str] = []

        def contend(start: threading.Barrier, end: threading.Event, outcomes: list[str]) -> None:
            start.wait()
            try:
                with leased(folder, "the folder", ignore_loss, Timing(decision=60)):
                    outcomes.append("held")
                    end.wait()
            except LeaseHeldError:
                outcomes.append("refused")

        threads = [threading.Thread(target=contend, args=(start, end, outcomes)) for _ in range(12)]
        for thread in threads:
            thread.start()
        while len(outcomes) < 12:
            time.sleep(0.01)
        end.set()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["held"] + ["refused"] * 11
        assert MemoryStorage.files == {}


@pytest.mark.nights
def test_processes_never_hold_the_lease_together(bucket: Bucket, tmp_path: Path) -> None:
    arguments = ("s3://pictures/many", tmp_path / "inside", 10)
    contenders = [process(CONTEND, bucket, *arguments) for _ in range(4)]
    outputs = [contender.communicate()[0].split() for contender in contenders]
    assert [contender.returncode for contender in contenders] == [0] * 4
    assert all(len(output) == 1 for output in outputs), outputs
    assert sum(int(output[0]) for output in outputs) >= 2
    assert not [name for name in bucket.names() if name.startswith("many/")]


def test_who_came_later_gives_way_even_if_its_claim_seems_older(folder: UPath) -> None:
    """A holder that has just renewed its claim looks younger than a contender."""
    timing = Timing(renewal=0.05, decision=1)
    with leased(folder, "the folder", ignore_loss, timing):
        (holder,) = claims()
        MemoryStorage.times[holder] = time.time() + 1000
        started = time.monotonic()
        with pytest.raises(LeaseHeldError), leased(folder, "the folder", ignore_loss, timing):
            pytest.fail("two hold the lease")
        assert time.monotonic() - started >= 1
        assert claims() == [holder]


def test_a_contender_waits_for_younger_ones_that_saw_it_to_withdraw(folder: UPath) -> None:
    younger = folder / ("f" * 16)
    MemoryStorage().write(younger, b"{}")
    MemoryStorage.times[str(younger)] += 1000
    threading.Timer(0.3, MemoryStorage().remove, [younger]).start()
    started = time.monotonic()
    with leased(folder, "the folder", ignore_loss, Timing(decision=60)):
        assert time.monotonic() - started >= 0.25


def test_a_dead_claim_does_not_count_and_is_removed(folder: UPath) -> None:
    dead, foreign = folder / ("0" * 16), folder / "notes.txt"
    for path in (dead, foreign):
        MemoryStorage().write(path, b"{}")
        MemoryStorage.times[str(path)] -= 91
    with leased(folder, "the folder", ignore_loss):
        assert str(dead) not in claims()
    assert claims() == [str(foreign)]


@pytest.mark.torture
def test_a_killed_holder_loses_the_lease_after_its_length(bucket: Bucket) -> None:
    with holder_in(bucket, "killed", 600) as holder:
        assert line_of(holder) == "held"
        time.sleep(SHORT.renewal * 3)
        with holder_in(bucket, "killed", 0) as second:
            assert line_of(second).startswith(f"held by process {holder.pid} of ")
        holder.kill()
    killed_at = time.monotonic()
    while True:
        with holder_in(bucket, "killed", 0) as next_one:
            if line_of(next_one) == "held":
                break
        assert time.monotonic() - killed_at < 60
    # S3 reports whole seconds.
    assert time.monotonic() - killed_at > SHORT.length - SHORT.renewal - 2
    assert not [name for name in bucket.names() if name.startswith("killed/")]


@pytest.mark.nights
def test_a_holder_that_was_paused_for_too_long_notices(bucket: Bucket) -> None:
    with holder_in(bucket, "paused", 600) as paused:
        assert line_of(paused) == "held"
        paused.send_signal(signal.SIGSTOP)
        time.sleep(SHORT.length + 2)
        with holder_in(bucket, "paused", 600) as other:
            assert line_of(other) == "held"
            paused.send_signal(signal.SIGCONT)
            assert line_of(paused) == "lost"
            paused.kill()
            # The one that took over is not disturbed, also once the other's claim is too old.
            time.sleep(SHORT.length + 2)
            with holder_in(bucket, "paused", 0) as third:
                assert f"process {other.pid} " in line_of(third)
            other.kill()


def failing(method: str, error: Exception, *, times: int = 10**9) -> Callable[..., Any]:
    """Return a method of the storage that fails at first, and then works."""
    original, calls = getattr(MemoryStorage, method), []

    def call(self: MemoryStorage, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) <= times:
            raise error
        return original(self, *arguments)

    return call


def test_a_lease_that_cannot_be_renewed_is_lost_before_others_may_have_it(
    folder: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = threading.Event()
    timing = Timing(length=1000, renewal=0.1, loss=0.5, decision=1)
    with leased(folder, "the folder", lost.set, timing):
        time.sleep(0.8)
        assert not lost.is_set()
        (claim,) = claims()
        renewed_at = MemoryStorage.times[claim]
        monkeypatch.setattr(MemoryStorage, "write", failing("write", StorageError(5, "gone")))
        assert lost.wait(60)
        assert time.time() - renewed_at > 0.4


def test_a_write_that_hangs_does_not_hide_the_loss(
    folder: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, hanging = threading.Event(), threading.Event()

    def hang(*_: object) -> str:
        hanging.wait()
        return ""

    with leased(folder, "the folder", lost.set, Timing(1000, 0.1, 0.5, 0.2)):
        monkeypatch.setattr(MemoryStorage, "write", hang)
        assert lost.wait(60)
    hanging.set()


def test_a_short_failure_costs_nothing(folder: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = threading.Event()
    with leased(folder, "the folder", lost.set, Timing(1000, 0.1, 60, 1)):
        (claim,) = claims()
        error = StorageError(5, "gone")
        monkeypatch.setattr(MemoryStorage, "write", failing("write", error, times=3))
        before = MemoryStorage.times[claim]
        while MemoryStorage.times[claim] == before:
            time.sleep(0.01)
        assert not lost.is_set()


def test_a_process_that_sleeps_while_it_contends_has_no_lease(
    folder: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have removed its claim as dead, and have the lease by now."""
    times = iter([0.0, 61.0])
    monkeypatch.setattr("nst_core.system.clock", lambda: next(times))
    with (
        pytest.raises(LeaseLostError, match=r"the folder: .* could not renew its lease for 60 s"),
        leased(folder, "the folder", ignore_loss),
    ):
        pytest.fail("the lease is held")
    assert MemoryStorage.files == {}


DENIED = StorageError(13, "access denied by the storage")


def test_without_permission_to_list_there_is_a_warning_and_no_lease(
    folder: UPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(MemoryStorage, "listing", failing("listing", DENIED))
    with leased(folder, "the folder", ignore_loss), leased(folder, "the folder", ignore_loss):
        assert MemoryStorage.files == {}
    (first, _) = caplog.messages
    assert first == (
        "the folder: a run on another machine is not kept out, because its files cannot be listed "
        "(access denied by the storage)"
    )


def test_a_storage_that_does_not_answer_is_an_error(
    folder: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryStorage, "listing", failing("listing", StorageError(5, "gone")))
    with pytest.raises(StorageError, match="gone"), leased(folder, "the folder", ignore_loss):
        pytest.fail("the lease is held")


def test_without_times_there_is_a_warning_and_no_lease(
    folder: UPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listing = MemoryStorage.listing

    def without_times(self: MemoryStorage, folder: UPath) -> dict[str, Listed]:
        found = listing(self, folder).items()
        return {name: Listed(listed.size, None) for name, listed in found}

    monkeypatch.setattr(MemoryStorage, "listing", without_times)
    with caplog.at_level(logging.WARNING), leased(folder, "the folder", ignore_loss):
        pass
    assert "does not say when a file was written" in caplog.text


def test_without_permission_to_delete_the_next_run_need_not_wait(
    folder: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryStorage, "remove", failing("remove", DENIED))
    for _ in range(3):
        with (
            leased(folder, "the folder", ignore_loss),
            pytest.raises(LeaseHeldError),
            leased(folder, "the folder", ignore_loss),
        ):
            pass
    assert claims() == []


@contextmanager
def as_on_another_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Use other locks than before, while the context lasts."""
    with monkeypatch.context() as other:
        other.setenv("NST_BATCH_DEVICE_LOCKS", str(folder))
        yield


def test_an_output_folder_in_object_storage_keeps_other_machines_out(
    folder: UPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = OutputFolder(folder)
    with output.lock():
        with (
            as_on_another_machine(monkeypatch, tmp_path),
            pytest.raises(InUseError) as refused,
            output.lock(),
        ):
            pytest.fail("two runs write there")
        assert str(refused.value).startswith(
            f"{output}: another run is writing there (process {os.getpid()} of "
        )
        assert f" on {socket.gethostname()}); wait for it, or choose" in str(refused.value)
        assert "; if it was killed, its lease ends within " in str(refused.value)
    with as_on_another_machine(monkeypatch, tmp_path), output.lock():
        pass


def test_a_folder_on_a_disk_has_no_lease(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    output.make()
    with output.lock():
        assert not (tmp_path / ".nst-batch" / "leases").exists()


def test_a_flow_whose_lease_is_lost_ends_with_an_error_that_says_so(
    folder: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost_at_once(_: object, __: str, on_loss: Callable[[], None]) -> Any:
        @contextmanager
        def lose() -> Iterator[None]:
            on_loss()
            yield

        return lose()

    monkeypatch.setattr(output_folder, "leased", lost_at_once)
    output = OutputFolder(folder)
    with pytest.raises(LeaseLostError, match="another run may be writing there"), output.lock():
        raise_if_asked_to_stop()
    # A flow that was over before it noticed leaves nothing for the next one.
    with output.lock():
        pass
    raise_if_asked_to_stop()
