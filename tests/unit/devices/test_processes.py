"""A process for each device: it works, reports, dies and ends as its parent expects."""

import errno
import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nst_core.devices import (
    ProcessEndedError,
    ProcessKilledError,
    Say,
    is_allocation_failure,
    process_of,
    processes,
    processes_of_devices,
)
from nst_core.devices.memory import peak_memory_mb, peak_resident_memory
from nst_core.devices.processes import DeviceProcess
from nst_core.errors import UserError
from tasks.stopping import StoppedError

SECONDS = 120
"""The limit of waits for what takes a moment on an idle machine."""


def without_tensorflow(_: str, work: Callable[[Say], Any], say: Say) -> Any:
    """Do work as a device's process does, but without TensorFlow, which takes seconds to load."""
    return work(say)


@pytest.fixture(scope="module", autouse=True)
def _light() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, processes_of_devices():
        patch.setattr(processes, "_on_device", without_tensorflow)
        yield


@pytest.fixture
def process() -> DeviceProcess:
    """Return the process of a device, which the tests share as long as it lives."""
    return process_of("CPU:0")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def exists(process: int) -> bool:
    """Return whether a process exists and has not ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def what_it_is(_: Say) -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "folder": Path.cwd(),
        "path": sys.path,
        "errors": os.fstat(2).st_ino,
        "outputs": Path("/proc/self/fd/1").readlink(),
        "first to be killed": int(Path("/proc/self/oom_score_adj").read_text()),
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "session": os.getsid(0),
        "variable": os.environ.get("NST_BATCH_CACHE"),
        "slow": {"prefect", "tensorflow"} & {*sys.modules},
    }


def test_it_has_this_process_s_surroundings_and_is_the_first_that_the_kernel_kills(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NST_BATCH_CACHE", "here")
    monkeypatch.chdir(tmp_path)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found = process_of("CPU:1").run(what_it_is)
    assert found["process"] != os.getpid()
    assert (found["folder"], found["variable"]) == (tmp_path, "here")
    assert found["path"] == sys.path
    assert found["errors"] == os.fstat(2).st_ino
    assert found["outputs"] == Path(os.devnull)
    assert found["first to be killed"] == 1000
    assert found["session"] == found["process"]
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= found["blocked"]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert not found["slow"]


def on_the_device(say: Say) -> str:
    return processes._on_device("CPU:1", lambda _: current_device(), say)


def current_device() -> str:
    from nst_core.networks.forward import current_device

    return current_device().rpartition("device:")[2]


def test_operations_are_on_the_device(process: DeviceProcess) -> None:
    assert process.run(on_the_device) == "CPU:1"


def says(say: Say) -> str:
    logging.getLogger("nst_batch.rows").warning("a %s line", "logged")
    say(1)
    say(os.getpid())
    return "the end"


def test_what_work_says_and_logs_arrives_before_its_result(
    process: DeviceProcess, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[Any] = []
    assert process.run(says, said.append) == "the end"
    assert said == [1, process.process_id]
    (line,) = caplog.records
    assert (line.name, line.levelname) == ("nst_batch.rows", "WARNING")
    assert line.getMessage() == "a logged line"
    assert line.process == process.process_id


def test_a_log_that_is_switched_off_stays_off(
    process: DeviceProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "nst_batch.rows"):
        process.run(says)
    assert not caplog.records


class OddError(Exception):
    """An exception that cannot be sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


def fail(error: Exception, _: Say) -> None:
    try:
        raise OSError(errno.EIO, "no answer", "file")
    except OSError as cause:
        raise error from cause


def fail_oddly(*_: Any) -> None:
    raise OddError("very odd")


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), StoppedError("stopped", "interrupted/a.png"), MemoryError()]
)
def test_an_exception_arrives_with_its_cause_and_its_traceback(
    process: DeviceProcess, error: Exception
) -> None:
    with pytest.raises(type(error)) as raised:
        process.run(partial(fail, error))
    assert (raised.value.args, vars(error)) == (error.args, vars(error))
    assert str(raised.value) == str(error)
    cause = raised.value.__cause__
    assert isinstance(cause, OSError)
    assert (cause.errno, cause.filename) == (errno.EIO, "file")
    (trace,) = raised.value.__notes__
    assert trace.startswith("In the process of CPU:0:\nTraceback (most recent call last):\n")
    assert "in fail\n    raise OSError(errno.EIO" in trace
    assert process.run(says) == "the end"


def test_an_exception_that_cannot_be_sent_is_named(process: DeviceProcess) -> None:
    with pytest.raises(RuntimeError, match="very odd") as raised:
        process.run(fail_oddly)
    assert str(raised.value) == "OddError: very odd"
    assert "in fail_oddly" in raised.value.__notes__[0]


_noticed = threading.Event()


def waits(say: Say) -> bool:
    say("waits")
    return _noticed.wait(SECONDS)


def notice() -> None:
    _noticed.set()


def test_a_notice_arrives_while_it_works(process: DeviceProcess) -> None:
    assert process.run(waits, lambda _: process.notify(notice))


def test_the_parent_may_act_while_it_waits(process: DeviceProcess) -> None:
    looks: list[int] = []
    process.run(waits, while_waiting=lambda: looks.append(1) or process.notify(notice))  # type: ignore[func-returns-value]
    assert looks


def dies(number: int, say: Say) -> None:
    say("dies")
    os.kill(os.getpid(), number)
    time.sleep(SECONDS)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, 40])
def test_a_killed_process_is_a_lack_of_memory_and_the_next_work_has_a_new_one(
    number: int,
) -> None:
    process = process_of("CPU:2")
    with pytest.raises(ProcessKilledError) as raised:
        process.run(partial(dies, number))
    error = raised.value
    assert isinstance(error, UserError)
    assert is_allocation_failure(error)
    assert str(error).startswith(
        f"the process of CPU:2 was killed by signal {number:d}, probably because memory ran out; "
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert process.held_memory == 0
    again = process_of("CPU:2")
    assert again is not process
    assert again.run(says) == "the end"
    assert process_of("CPU:2") is again


def test_a_process_that_dies_while_it_is_idle_is_replaced() -> None:
    process = process_of("CPU:2")
    os.kill(process.process_id, signal.SIGKILL)
    wait_for(lambda: not process.is_alive)
    assert process_of("CPU:2").run(says) == "the end"


def ends(_: Say) -> None:
    os._exit(3)


def test_a_process_that_ends_otherwise_is_no_lack_of_memory() -> None:
    with pytest.raises(ProcessEndedError, match="CPU:2 ended with exit code 3; expected") as raised:
        process_of("CPU:2").run(ends)
    assert not is_allocation_failure(raised.value)


def test_a_device_that_is_missing_there_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_begun", fail_oddly)
    before = children()
    with pytest.raises(RuntimeError, match="OddError"):
        DeviceProcess("CPU:7")
    assert children() == before


def children() -> set[int]:
    """Return the processes of devices that this process started."""
    found = subprocess.run(
        ["pgrep", "--parent", str(os.getpid()), "--full", processes.PROGRAM.name],
        capture_output=True,
        text=True,
        check=False,
    )
    return {int(each) for each in found.stdout.split() if exists(int(each))}


def test_if_the_parent_fails_meanwhile_no_answer_is_taken_for_another() -> None:
    def refuse(_: object) -> None:
        raise KeyError("a subscriber failed")

    with pytest.raises(KeyError):
        process_of("CPU:2").run(says, refuse)
    assert process_of("CPU:2").run(what_it_is)["process"] == process_of("CPU:2").process_id


def test_stop_signals_do_not_end_it(process: DeviceProcess) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(process.process_id, number)
    assert process.run(says) == "the end"


def test_processes_end_with_the_context_unless_they_are_at_work() -> None:
    with processes_of_devices():
        idle, busy = process_of("CPU:3"), process_of("CPU:4")
        said, results = threading.Event(), []
        thread = threading.Thread(
            target=lambda: results.append(busy.run(waits, lambda _: said.set()))
        )
        thread.start()
        assert said.wait(SECONDS)
    assert not exists(idle.process_id)
    busy.notify(notice)
    thread.join(SECONDS)
    assert results == [True]


PARENT = """
import sys, time
from functools import partial
from nst_core.devices import process_of, processes
from tests.unit.devices.test_processes import says, dies_with_parent, without_tensorflow
processes._on_device = without_tensorflow
process = process_of("CPU:0")
print(process.process_id, flush=True)
if sys.argv[1] == "at work":
    process.run(dies_with_parent, lambda _: print("works", flush=True))
time.sleep(600)
"""


def dies_with_parent(say: Say) -> None:
    say("begins")
    time.sleep(600)


@pytest.mark.parametrize("state", ["idle", "at work"])
def test_it_ends_with_a_parent_that_is_killed(state: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, state], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        if state == "at work":
            assert parent.stdout.readline() == "works\n"
        assert exists(child)
        parent.kill()
    wait_for(lambda: not exists(child))


def holds(size: int, _: Say) -> int:
    _held.append(bytes(bytearray(b"x") * size))
    return sum(map(len, _held))


_held: list[bytes] = []


def test_what_its_work_holds_is_known(process: DeviceProcess) -> None:
    before = process.held_memory
    process.run(partial(holds, 50_000_000))
    assert 45e6 < process.held_memory - before < 200e6


def own_peak(_: Say) -> tuple[float, float]:
    return peak_memory_mb("CPU:0"), peak_resident_memory() / 1e6


def test_its_peak_memory_is_its_own(process: DeviceProcess) -> None:
    # The system's own figure for a process includes the peak of the one that started it.
    own = bytearray(b"x") * 400_000_000
    started = DeviceProcess("CPU:5")
    there, also_there = started.run(own_peak)
    started.end_if_idle()
    assert there == also_there
    assert 5 < there < len(own) / 1e6
    assert peak_memory_mb("CPU:0") > len(own) / 1e6
    assert process.is_alive


def test_without_proc_the_peak_is_what_the_system_says(tmp_path: Path) -> None:
    assert peak_resident_memory(tmp_path) >= 5e6
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("VmPeak:\t9 kB\nVmHWM:\t  2 kB\n")
    assert peak_resident_memory(tmp_path) == 2048


def test_its_command_line_says_for_which_device_it_works(process: DeviceProcess) -> None:
    command = Path(f"/proc/{process.process_id}/cmdline").read_text().split("\0")
    assert command[1] == "-P"
    assert command[2] == str(processes.PROGRAM)
    assert re.fullmatch(r"\d+", command[3])
    assert command[4] == "CPU:0"
