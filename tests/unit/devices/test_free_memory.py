"""What a row can still allocate: the machine's memory, limits of control groups, other rows."""

import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf

from nst_core.devices import free_memory as module
from nst_core.devices import is_allocation_failure, reserved_memory
from nst_core.devices.free_memory import Reservation, free_on_cpu, free_on_gpu
from nst_core.devices.gpus import machine_gpus
from nst_core.devices.memory import resident_memory
from tests.nvml import FakeNvml, fake_gpu, uuid

GB = 1 << 30


@pytest.fixture
def system(tmp_path: Path) -> SimpleNamespace:
    """Return the folders of a machine that has 8 GB available, and no control groups."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {8 * GB // 1024} kB\n")
    cgroups.mkdir()
    return SimpleNamespace(proc=proc, cgroups=cgroups)


def limit(folder: Path, limit: int | str, used: int, cached: int, version: int) -> None:
    """Write the files of a control group; `cached` of its used bytes can be reclaimed."""
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cached}\nfile 2\n")


def free(system: SimpleNamespace) -> int:
    return free_on_cpu(system.proc, system.cgroups)


def test_without_a_limit_it_is_what_the_machine_has_available(system: SimpleNamespace) -> None:
    assert free(system) == 8 * GB


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("where", ["a/b", "a", ""], ids=["own", "above", "root"])
def test_the_lowest_limit_of_the_control_groups_counts(
    system: SimpleNamespace, version: int, where: str
) -> None:
    lines = {1: "3:cpu:/x\n4:memory:/a/b\n0::/\n", 2: "0::/a/b\n"}
    (system.proc / "self" / "cgroup").write_text(lines[version])
    root = system.cgroups / "memory" if version == 1 else system.cgroups
    limit(root / where, 4 * GB, 3 * GB, GB // 2, version)
    assert free(system) == GB + GB // 2
    limit(root / "a", 4 * GB, 4 * GB, 0, version)
    assert free(system) == 0


def test_limits_that_are_none_are_ignored(system: SimpleNamespace) -> None:
    (system.proc / "self" / "cgroup").write_text("0::/a\n4:memory:/../host\n")
    limit(system.cgroups / "a", "max", 3 * GB, 0, 2)
    limit(system.cgroups / "memory", 0x7FFFFFFFFFFFF000, 3 * GB, 0, 1)
    limit(system.cgroups / "host", GB, GB, 0, 1)
    assert free(system) == 8 * GB


def test_without_proc_it_is_what_psutil_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=5 * GB))
    assert free_on_cpu(tmp_path, tmp_path) == 5 * GB


def test_a_process_that_has_ended_holds_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    assert resident_memory(ended.pid) == 0


def test_this_system_says() -> None:
    assert 0 < resident_memory() < 1 << 40
    assert free_on_cpu() > 0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a machine's available and resident memory, which a test may change."""
    numbers = SimpleNamespace(available=1000, resident=50)
    monkeypatch.setattr(module, "free_on_cpu", lambda: numbers.available)
    monkeypatch.setattr(module, "resident_memory", lambda: numbers.resident)
    monkeypatch.setattr(module, "_cpu_memory", module._CpuMemory())
    return numbers


@pytest.mark.usefixtures("machine")
def test_the_first_size_that_fits_is_reserved() -> None:
    with reserved_memory("CPU:0", [1001, 1000, 10]) as first:
        assert first == (1, 1000)
        with reserved_memory("CPU:1", [1, 0]) as nothing:
            assert nothing == (1, 0)
    with reserved_memory("CPU:0", [1001]) as too_much:
        assert too_much == (None, 1000)
    with reserved_memory("CPU:0", [900]) as again:
        assert again == (0, 1000)


@pytest.mark.usefixtures("machine")
def test_a_row_that_does_not_fit_beside_another_waits_for_its_end() -> None:
    got: list[Reservation] = []

    def begin_second() -> None:
        with reserved_memory("CPU:1", [700, 600]) as second:
            got.append(second)

    thread = threading.Thread(target=begin_second)
    with reserved_memory("CPU:0", [500]):
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert not got
    thread.join(60)
    assert got == [(0, 1000)]


def test_what_a_row_has_allocated_counts_once(machine: SimpleNamespace) -> None:
    with reserved_memory("CPU:0", [600]):
        machine.available, machine.resident = 700, 350
        with reserved_memory("CPU:1", [500, 400]) as beside:
            assert beside == (1, 400)


def test_memory_that_an_earlier_row_left_is_used_again(machine: SimpleNamespace) -> None:
    with reserved_memory("CPU:0", [600]):
        machine.available, machine.resident = 400, 650
    machine.available, machine.resident = 700, 350
    with reserved_memory("CPU:0", [1000]) as later:
        assert later == (0, 1000)


@pytest.mark.usefixtures("machine")
def test_a_reservation_ends_with_an_error() -> None:
    with pytest.raises(KeyError), reserved_memory("CPU:0", [600]):
        raise KeyError
    with reserved_memory("CPU:0", [1000]) as later:
        assert later == (0, 1000)


def test_if_it_is_unknown_anything_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_on_gpu", lambda *_: None)
    with reserved_memory("GPU:0", [1 << 60]) as on_gpu:
        assert on_gpu == (0, None)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> defaultdict[str, SimpleNamespace]:
    """Return what the process of each device holds, which a test may change."""
    found: defaultdict[str, SimpleNamespace] = defaultdict(lambda: Process(held_memory=0))
    monkeypatch.setattr(module, "process_of", lambda device, **_: found[device])
    return found


class Process(SimpleNamespace):
    """A stand-in for the process of a device."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def free_in_process(device: str) -> int | None:
    with reserved_memory(device, [0], isolated=True) as reservation:
        return reservation.free


def test_a_process_uses_again_what_its_own_rows_left_and_not_what_others_left(
    machine: SimpleNamespace, processes: defaultdict[str, SimpleNamespace]
) -> None:
    machine.available = 700
    processes["CPU:0"].held_memory = 300
    assert free_in_process("CPU:0") == 1000
    assert free_in_process("CPU:1") == 700
    # What this process has allocated is of no use to another.
    machine.resident += 100
    assert free_in_process("CPU:1") == 700


def test_a_row_in_another_process_still_needs_what_it_has_not_allocated_yet(
    machine: SimpleNamespace, processes: defaultdict[str, SimpleNamespace]
) -> None:
    with reserved_memory("CPU:0", [600], isolated=True):
        assert free_in_process("CPU:1") == 400
        processes["CPU:0"].held_memory, machine.available = 250, 750
        assert free_in_process("CPU:1") == 400
        # It takes more than was estimated.
        processes["CPU:0"].held_memory, machine.available = 700, 300
        assert free_in_process("CPU:1") == 300
    assert free_in_process("CPU:1") == 300
    processes["CPU:0"].held_memory, machine.available = 0, 1000
    assert free_in_process("CPU:1") == 1000


def test_what_a_new_process_takes_for_itself_is_not_free(
    machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: str, **__: bool) -> SimpleNamespace:
        machine.available -= 640
        return Process(held_memory=0)

    monkeypatch.setattr(module, "process_of", start)
    assert free_in_process("CPU:0") == 360


@pytest.mark.usefixtures("machine", "processes")
def test_a_row_that_does_not_fit_beside_one_in_another_process_waits_for_its_end() -> None:
    got: list[Reservation] = []

    def begin_second() -> None:
        with reserved_memory("CPU:1", [700], isolated=True) as second:
            got.append(second)

    thread = threading.Thread(target=begin_second)
    with reserved_memory("CPU:0", [500], isolated=True):
        thread.start()
        thread.join(0.2)
        assert not got
    thread.join(60)
    assert got == [(0, 1000)]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let NVML report two GPUs, and TensorFlow that it holds unused memory on each."""
    FakeNvml([fake_gpu("a", 1, free=100), fake_gpu("b", 2, free=500)]).install(monkeypatch)
    held = {"peak": 30, "current": 10}
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda _: held)
    monkeypatch.setattr(module, "names_of_gpus", lambda: ("NVIDIA H100",) * 2)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine_gpus.cache_clear()
    yield
    machine_gpus.cache_clear()


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_has_what_is_free_and_what_tensorflow_holds_unused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (free_on_gpu("GPU:0"), free_on_gpu("GPU:1")) == (120, 520)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{uuid('b')},0")
    assert (free_on_gpu("GPU:0"), free_on_gpu("GPU:1")) == (520, 120)


@pytest.mark.usefixtures("two_gpus")
def test_what_a_process_holds_unused_on_its_gpu_is_asked_of_that_process(
    processes: defaultdict[str, SimpleNamespace],
) -> None:
    asked = []

    def run(work: Callable[[object], int]) -> int:
        asked.append(work(None))
        return 70

    processes["GPU:1"].run = run
    assert free_in_process("GPU:1") == 570
    assert asked == [20]


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_without_nvidias_library_has_an_unknown_amount(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert free_on_gpu("GPU:0") is None


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), True),
        (tf.errors.InternalError(None, None, "Dst tensor is not initialized."), True),
        (tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (tf.errors.InternalError(None, None, "the device is lost"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_allocation_failures_are_recognized(error: Exception, is_one: bool) -> None:
    assert is_allocation_failure(error) is is_one
