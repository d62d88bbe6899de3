"""TF32 on GPUs, which a process decides once."""

from collections.abc import Iterator

import pytest

from nst_core.devices import (
    PrecisionError,
    Say,
    decide_tf32,
    process_of,
    processes_of_devices,
    tensor_float,
)
from nst_core.devices import processes as module
from tests.unit.devices.test_processes import without_tensorflow


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what happens to TensorFlow's switch, which stays as it is; nothing is decided yet."""
    seen: list[str] = []
    monkeypatch.setattr(tensor_float, "_decided", [])
    monkeypatch.setattr(tensor_float, "_forbid_tf32", lambda: seen.append("off"))
    return seen


@pytest.mark.parametrize("allowed", [True, False])
def test_the_first_use_of_a_gpu_decides_for_all_gpus(
    *, forbidden: list[str], allowed: bool
) -> None:
    for device in ("GPU:0", "/job:localhost/replica:0/task:0/device:GPU:1", "GPU:0"):
        decide_tf32(device, allowed=allowed)
    assert forbidden == ([] if allowed else ["off"])
    found, before = ("float32 or bfloat16", "tf32")[:: 1 if allowed else -1]
    with pytest.raises(
        PrecisionError,
        match=f"found precision = {found} in a process whose GPUs .* precision = {before};",
    ):
        decide_tf32("GPU:2", allowed=not allowed)
    decide_tf32("GPU:2", allowed=allowed)
    assert forbidden == ([] if allowed else ["off"])


def test_a_cpu_decides_nothing(forbidden: list[str]) -> None:
    for allowed in (True, False, True):
        decide_tf32("/job:localhost/replica:0/task:0/device:CPU:0", allowed=allowed)
        decide_tf32("CPU:1", allowed=allowed)
    decide_tf32("GPU:0", allowed=False)
    assert forbidden == ["off"]


@pytest.fixture
def _light(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_on_device", without_tensorflow)
    with processes_of_devices():
        yield


def rounds_to_tf32(_: Say) -> bool:
    """Return TensorFlow's switch in the process of a device, which has no GPU in these tests."""
    from nst_core.quiet_tensorflow import tf

    return bool(tf.config.experimental.tensor_float_32_execution_enabled())


@pytest.mark.usefixtures("_light")
def test_a_gpu_has_a_process_with_tf32_and_one_without_and_a_cpu_has_one() -> None:
    with_it, without_it = process_of("GPU:7"), process_of("GPU:7", tf32=False)
    assert with_it.process_id != without_it.process_id
    assert not without_it.run(rounds_to_tf32)
    assert rounds_to_tf32(print), "the switch of this process stays as it is"
    assert process_of("GPU:7", tf32=False) is without_it
    assert process_of("GPU:7", tf32=True) is with_it
    assert process_of("CPU:6", tf32=False) is process_of("CPU:6")
