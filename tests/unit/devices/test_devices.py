"""Devices: chosen by name, lent to one optimization at a time, and avoided after failures."""

import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from nst_core.devices import (
    PATTERN,
    DeviceError,
    DeviceFailedError,
    device_lock,
    lend_device,
    lending,
    on_a_device,
    on_asked_devices,
    open_devices,
    parse_devices,
    using_cpu,
    visible_gpus,
    written_plainly,
)
from nst_core.devices.gpus import machine_gpus
from nst_core.storage.locks import locked
from tests.nvml import FakeNvml, fake_gpu, uuid

BROKEN = tf.errors.InternalError(None, None, "the device was lost")


@pytest.fixture(autouse=True)
def _no_failed_devices() -> Iterator[None]:
    lending._failures.clear()
    yield
    lending._failures.clear()


@pytest.fixture(autouse=True)
def _no_nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the GPUs of the machine that runs the tests, and of other tests, out of each test."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    machine_gpus.cache_clear()
    yield
    machine_gpus.cache_clear()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("auto", ()),
        ("gpu", ()),
        ("cpu", ("CPU:0",)),
        ("gpu:0,gpu:2", ("GPU:0", "GPU:2")),
        (" GPU:1, cpu:0", ("GPU:1", "CPU:0")),
    ],
)
def test_usual_spellings_of_devices_are_parsed(text: str, names: tuple[str, ...]) -> None:
    assert parse_devices(text) == names
    # The flow's parameter accepts one spelling only.
    assert re.fullmatch(PATTERN, written_plainly(text))
    assert parse_devices(written_plainly(text)) == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gpu0",
        "gpu:",
        "gpu:0,",
        "tpu:0",
        "gpu:0 gpu:1",
        "0",
        "auto,cpu",
        "gpu,cpu",
        "unlocked cpu",
    ],
)
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(DeviceError, match="expected auto, gpu, cpu, or devices such as gpu:0"):
        parse_devices(text)


def test_a_device_named_twice_is_refused() -> None:
    with pytest.raises(DeviceError, match="gpu:1 twice"):
        parse_devices("gpu:1,gpu:0,gpu:1")


def test_a_missing_gpu_is_an_error() -> None:
    assert not tf.config.list_physical_devices("GPU"), "this test needs a machine without a GPU"
    with pytest.raises(
        DeviceError, match="devices: gpu:0 requested, but TensorFlow sees only cpu:0"
    ):
        open_devices("gpu:0")
    with pytest.raises(DeviceError, match="devices: gpu requested, but TensorFlow sees only cpu:0"):
        open_devices("gpu")


def test_auto_means_the_cpu_if_there_is_no_gpu() -> None:
    assert open_devices("auto") == open_devices("cpu") == ("CPU:0",)


def test_gpus_are_counted_without_tensorflow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nodes = [tmp_path / name for name in ("nvidia0", "nvidia1", "nvidiactl")]
    monkeypatch.setattr(Path, "glob", lambda *_: nodes)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert visible_gpus() == ("1",)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937, 1,2")
    assert visible_gpus() == ("GPU-8932f937", "1")


@pytest.mark.parametrize("device", ["CPU:0", "GPU:0"])
def test_a_device_is_lent_to_one_thread_at_a_time(device: str) -> None:
    waited = threading.Event()
    order = []

    def second() -> None:
        with lend_device([device], lambda _: waited.set()):
            order.append("second")

    other = threading.Thread(target=second)
    with lend_device([device]):
        other.start()
        assert waited.wait(30)
        order.append("first")
    other.join(30)
    assert order == ["first", "second"]


def test_an_idle_device_is_preferred_to_a_busy_one() -> None:
    with lend_device(["GPU:0", "CPU:7"]) as first, lend_device(["GPU:0", "CPU:7"]) as second:
        assert (first, second) == ("GPU:0", "CPU:7")


LEND = """
import sys
from nst_core.devices import lend_device
report = lambda holder: print("waits for", holder, flush=True)
with lend_device([sys.argv[1]], report): print("lent", flush=True)
"""


@pytest.mark.nights
def test_another_process_waits_for_a_gpu_and_not_for_the_cpu() -> None:
    with lend_device(["GPU:0"]), lend_device(["CPU:0"]):
        on_cpu = subprocess.run(
            [sys.executable, "-c", LEND, "CPU:0"],
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
        assert on_cpu.stdout == "lent\n"
        command = [sys.executable, "-c", LEND, "GPU:0"]
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert re.fullmatch(rf"waits for process {os.getpid()} of .+\n", other.stdout.readline())
        assert other.poll() is None
    assert other.communicate(timeout=60)[0].splitlines()[-1] == "lent"


def test_runs_that_share_the_cpu_are_known_to_each_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = "from nst_core.devices import using_cpu\nwith using_cpu() as other: print(other)"

    def another_run() -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert another_run() == "\n"
    with using_cpu() as other:
        assert other == ""
        assert re.fullmatch(rf"process {os.getpid()} of .+\n", another_run())
    # Without a usable lock, no other run is known, and nobody waits.
    monkeypatch.setenv("NST_BATCH_DEVICE_LOCKS", str(tmp_path / "file" / "folder"))
    (tmp_path / "file").touch()
    with using_cpu() as other:
        assert other == ""


@pytest.mark.parametrize(
    ("shown", "device", "name"),
    [
        (None, "GPU:1", "nst-batch-GPU1.lock"),
        ("2", "GPU:0", "nst-batch-GPU2.lock"),
        ("3, 1", "GPU:1", "nst-batch-GPU1.lock"),
        ("GPU-8932f937", "GPU:0", "nst-batch-GPUGPU-8932f937.lock"),
        ("MIG-GPU-8932f937/1/0", "GPU:0", "nst-batch-GPUMIG-GPU-8932f937-1-0.lock"),
    ],
)
def test_a_gpu_has_one_lock_whatever_a_process_calls_it(
    monkeypatch: pytest.MonkeyPatch, shown: str | None, device: str, name: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert device_lock(device).name == name


@pytest.mark.parametrize(
    ("shown", "order", "device", "name"),
    [
        (None, "PCI_BUS_ID", "GPU:0", f"nst-batch-GPU{uuid('b')}.lock"),
        (None, "PCI_BUS_ID", "GPU:1", f"nst-batch-GPU{uuid('a')}.lock"),
        ("1", "PCI_BUS_ID", "GPU:0", f"nst-batch-GPU{uuid('a')}.lock"),
        (uuid("a"), "FASTEST_FIRST", "GPU:0", f"nst-batch-GPU{uuid('a')}.lock"),
        ("GPU-a", None, "GPU:0", f"nst-batch-GPU{uuid('a')}.lock"),
        # Nobody knows which of the two CUDA considers the faster one.
        ("1", "FASTEST_FIRST", "GPU:0", "nst-batch-GPU1.lock"),
        (None, None, "GPU:0", "nst-batch-GPU0.lock"),
    ],
)
def test_a_lock_has_the_name_of_its_gpus_uuid(
    monkeypatch: pytest.MonkeyPatch, shown: str | None, order: str | None, device: str, name: str
) -> None:
    FakeNvml([fake_gpu("a", 5), fake_gpu("b", 2)]).install(monkeypatch)
    for variable, value in (("CUDA_VISIBLE_DEVICES", shown), ("CUDA_DEVICE_ORDER", order)):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert device_lock(device).name == name


def test_an_instance_has_a_lock_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml([fake_gpu("a", 5, instances=["MIG-GPU-8932f937/1/0", "MIG-2"])]).install(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-8932f937/1/0")
    assert device_lock("GPU:0").name == "nst-batch-GPUMIG-GPU-8932f937-1-0.lock"


def test_nvml_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml([fake_gpu("a", 5)]).install(monkeypatch)
    device_lock("GPU:0")
    monkeypatch.delattr(nvml, "nvmlInit")
    assert uuid("a") in device_lock("GPU:0").name


RENUMBERED = """
import sys
from nst_core.devices import lend_device, lending
lending.names_of_gpus = lambda: ("NVIDIA H100",)
report = lambda holder: print("waits for", holder, flush=True)
with lend_device(["GPU:0"], report): print("lent", flush=True)
"""


@pytest.mark.nights
def test_a_container_that_numbers_gpus_otherwise_waits_for_the_same_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """This process sees two GPUs and uses the second one; the container sees only that one."""
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    FakeNvml([fake_gpu("a", 1), fake_gpu("b", 2)]).install(monkeypatch)
    monkeypatch.setattr(lending, "names_of_gpus", lambda: ("NVIDIA H100",) * 2)
    FakeNvml([fake_gpu("b", 7)]).write(tmp_path / "fake")
    paths = [str(tmp_path / "fake"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with lend_device(["GPU:1"]):
        other = subprocess.Popen(
            [sys.executable, "-c", RENUMBERED], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert re.fullmatch(rf"waits for process {os.getpid()} of .+\n", other.stdout.readline())
    assert other.communicate(timeout=60)[0].splitlines()[-1] == "lent"


def test_rows_on_a_cluster_do_not_wait_for_the_cpu() -> None:
    with lend_device(["CPU:0"]):
        assert on_asked_devices("unlocked cpu", lambda device: device) == "CPU:0"


def test_a_failure_of_a_device_can_be_pickled() -> None:
    failed = pickle.loads(pickle.dumps(DeviceFailedError("GPU:0", "InternalError: lost")))
    assert (str(failed), failed.device) == ("GPU:0 failed: InternalError: lost", "GPU:0")


def failing_on(broken: set[str], seen: list[str]) -> Callable[[str], str]:
    def work(device: str) -> str:
        seen.append(device)
        if device in broken:
            raise BROKEN
        return device

    return work


def test_work_moves_to_another_device_if_one_fails() -> None:
    seen: list[str] = []
    assert on_a_device(["CPU:1", "CPU:2"], failing_on({"CPU:1"}, seen)) == "CPU:2"
    assert seen == ["CPU:1", "CPU:2"]


def test_a_device_that_fails_twice_in_a_row_is_not_used_again() -> None:
    seen: list[str] = []
    for _ in range(4):
        on_a_device(["CPU:1", "CPU:2"], failing_on({"CPU:1"}, seen))
    assert seen.count("CPU:1") == 2
    assert seen.count("CPU:2") == 4


def test_a_success_resets_the_failures_of_a_device() -> None:
    seen: list[str] = []
    for broken in ({"CPU:1"}, set(), {"CPU:1"}, set()):
        on_a_device(["CPU:1", "CPU:2"], failing_on(broken, seen))
    assert seen.count("CPU:1") == 4


def test_the_last_device_is_used_despite_its_failures() -> None:
    seen: list[str] = []
    for _ in range(4):
        with pytest.raises(DeviceFailedError, match="CPU:1 failed: InternalError"):
            on_a_device(["CPU:1"], failing_on({"CPU:1"}, seen))
    assert len(seen) == 4


def test_errors_of_a_row_are_no_failures_of_its_device() -> None:
    for error in (ValueError("a fault"), tf.errors.ResourceExhaustedError(None, None, "too large")):

        def work(_: str, error: Exception = error) -> None:
            raise error

        for _ in range(3):
            with pytest.raises(type(error)):
                on_a_device(["CPU:1", "CPU:2"], work)
    assert lending._failures.total() == 0


def test_a_device_is_released_after_a_failure() -> None:
    for device in ("CPU:1", "GPU:1"):
        with pytest.raises(DeviceFailedError):
            on_a_device([device], failing_on({device}, []))
        with lend_device([device]):
            pass
    with locked(device_lock("GPU:1")):
        pass
