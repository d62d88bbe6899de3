"""What NVML says about GPUs, and nothing if it does not work."""

import sys

import pytest

from nst_core.devices.nvml import Gpu, NvmlAnswer, ask_nvml
from tests.nvml import FakeNvml, fake_gpu, uuid


def test_each_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = [fake_gpu("a", 4), fake_gpu("b", 2, name="NVIDIA L4", capability=(8, 9))]
    nvml = FakeNvml(gpus).install(monkeypatch)
    answer = ask_nvml()
    assert (answer.driver, answer.problem) == ("550.54.15", "")
    assert answer.gpus == (
        Gpu(0, uuid("a"), (0, 4, 0), "NVIDIA H100", 80 * 10**9, 79 * 10**9, (9, 0)),
        Gpu(1, uuid("b"), (0, 2, 0), "NVIDIA L4", 80 * 10**9, 79 * 10**9, (8, 9)),
    )
    assert answer.gpus[0].usable == (uuid("a"),)
    assert nvml.opened == 0


def test_unknown_facts_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml([{"uuid": uuid("a"), "bus": 1}], failing={"driver": "Unknown Error"}).install(
        monkeypatch
    )
    assert ask_nvml() == NvmlAnswer((Gpu(0, uuid("a"), (0, 1, 0)),), "", "")


def test_gpus_that_a_control_group_forbids_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml([fake_gpu("a", 1, forbidden=True), fake_gpu("b", 2)]).install(monkeypatch)
    assert [(gpu.index, gpu.uuid) for gpu in ask_nvml().gpus] == [(1, uuid("b"))]


def test_the_instances_of_a_divided_gpu_are_what_can_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    FakeNvml([fake_gpu("a", 1, instances=["MIG-1", "MIG-2"])]).install(monkeypatch)
    (gpu,) = ask_nvml().gpus
    assert gpu.is_divided
    assert gpu.usable == ("MIG-1", "MIG-2")


def test_without_the_library_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert ask_nvml() == NvmlAnswer(problem="the Python package nvidia-ml-py is not installed")


@pytest.mark.parametrize("failing", ["init", "count", "uuid"])
def test_a_driver_that_fails_gives_no_answer(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    nvml = FakeNvml([fake_gpu("a", 1)], failing={failing: "GPU is lost"}).install(monkeypatch)
    assert ask_nvml() == NvmlAnswer(problem="NVML gives no answer: GPU is lost")
    assert nvml.opened == 0


def test_a_library_that_is_something_else_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml([fake_gpu("a", 1)]).install(monkeypatch)
    del nvml.nvmlDeviceGetPciInfo
    answer = ask_nvml()
    assert not answer.gpus
    assert "nvmlDeviceGetPciInfo" in answer.problem
