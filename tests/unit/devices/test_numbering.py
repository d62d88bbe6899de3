"""Which GPU of the machine a number or a name means, or that nobody can know."""

import os
import sys

import pytest

from flows.process import environment
from nst_core.devices.numbering import number_by_bus, uuids_in_cuda, uuids_in_tensorflow
from nst_core.devices.nvml import Gpu

FAST, SMALL, OTHER = "GPU-fa57", "GPU-5ma1", "GPU-07e4"
# NVML does not promise to list GPUs by their addresses.
CARDS = (
    Gpu(0, FAST, (0, 9, 0), "H100"),
    Gpu(1, SMALL, (0, 3, 0), "GT 1030"),
    Gpu(2, OTHER, (1, 0, 0), "H100"),
)
WHOLE = Gpu(0, FAST, (0, 1, 0), "H100")
DIVIDED = Gpu(1, SMALL, (0, 2, 0), "A100", is_divided=True, instances=("MIG-1", "MIG-2"))
ONE_INSTANCE = Gpu(0, SMALL, (0, 2, 0), "A100", is_divided=True, instances=("MIG-1",))


def show(monkeypatch: pytest.MonkeyPatch, listed: str | None, order: str | None) -> None:
    for name, value in (("CUDA_VISIBLE_DEVICES", listed), ("CUDA_DEVICE_ORDER", order)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("listed", "order", "expected"),
    [
        (None, "PCI_BUS_ID", (SMALL, FAST, OTHER)),
        (None, None, ()),
        (None, "FASTEST_FIRST", ()),
        ("", "PCI_BUS_ID", ()),
        ("2, 0", "PCI_BUS_ID", (OTHER, SMALL)),
        ("2,0", None, ()),
        ("0,-1,1", "PCI_BUS_ID", (SMALL,)),
        ("0,3,1", "PCI_BUS_ID", (SMALL,)),
        (f"{OTHER},{SMALL}", None, (OTHER, SMALL)),
        ("GPU-0,GPU-f", "FASTEST_FIRST", (OTHER, FAST)),
        ("GPU-f,1", "FASTEST_FIRST", ()),
        ("GPU-f,2", "PCI_BUS_ID", (FAST, OTHER)),
        ("GPU-", None, ()),
        ("GPU-nobody", "PCI_BUS_ID", ()),
    ],
)
def test_gpus_are_found_only_if_they_are_certain(
    monkeypatch: pytest.MonkeyPatch,
    listed: str | None,
    order: str | None,
    expected: tuple[str, ...],
) -> None:
    show(monkeypatch, listed, order)
    assert uuids_in_cuda(CARDS) == expected


@pytest.mark.parametrize("order", [None, "FASTEST_FIRST", "PCI_BUS_ID"])
@pytest.mark.parametrize("listed", [None, "0", FAST])
def test_a_single_gpu_is_certain_in_any_order(
    monkeypatch: pytest.MonkeyPatch, listed: str | None, order: str | None
) -> None:
    show(monkeypatch, listed, order)
    assert uuids_in_cuda((WHOLE,)) == (FAST,)


@pytest.mark.parametrize(
    ("gpus", "listed", "expected"),
    [
        ((ONE_INSTANCE,), None, ("MIG-1",)),
        ((ONE_INSTANCE,), "0", ("MIG-1",)),
        ((DIVIDED,), None, ()),
        ((DIVIDED,), "MIG-2", ("MIG-2",)),
        ((WHOLE, DIVIDED), None, ()),
        ((WHOLE, DIVIDED), "1", ()),
        ((WHOLE, DIVIDED), FAST, (FAST,)),
        ((WHOLE, DIVIDED), "MIG-2", ("MIG-2",)),
        ((WHOLE, DIVIDED), f"{FAST},MIG-2", ()),
        ((WHOLE, DIVIDED), f"MIG-{SMALL}/1/0", ()),
    ],
)
def test_instances_are_found_only_if_they_are_certain(
    monkeypatch: pytest.MonkeyPatch,
    gpus: tuple[Gpu, ...],
    listed: str | None,
    expected: tuple[str, ...],
) -> None:
    show(monkeypatch, listed, "PCI_BUS_ID")
    assert uuids_in_cuda(gpus) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("GT 1030", "H100", "H100"), (SMALL, FAST, OTHER)),
        (("H100", "H100"), (FAST, OTHER)),
        # TensorFlow may write names as NVML does not, which matters only if it left out some.
        (("Graphics", "Hopper", "Hopper"), (SMALL, FAST, OTHER)),
        (("Hopper", "Hopper"), ()),
        (("H100",), ()),
        ((), ()),
    ],
)
def test_gpus_that_tensorflow_leaves_out_are_not_counted(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    show(monkeypatch, None, "PCI_BUS_ID")
    assert uuids_in_tensorflow(CARDS, names) == expected


def test_cuda_numbers_gpus_by_address_unless_the_user_or_tensorflow_came_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    show(monkeypatch, None, None)
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    number_by_bus()
    assert "CUDA_DEVICE_ORDER" not in os.environ
    monkeypatch.delitem(sys.modules, "tensorflow")
    number_by_bus()
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    number_by_bus()
    assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


def test_commands_number_gpus_in_the_same_way() -> None:
    assert environment.DEFAULTS["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
