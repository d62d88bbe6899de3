"""Cards and systems that are known to be troublesome."""

import dataclasses

import pytest

from nst_core.devices.nvml import Gpu
from nst_core.devices.troubles import TensorFlowBuild, card_troubles, numbers_in, system_troubles

BUILD = TensorFlowBuild(
    capabilities=((6, 0), (7, 0), (8, 0), (8, 9), (9, 0)), cuda=(12, 5, 1), cudnn=(9, 28, 0)
)
H100 = Gpu(0, "GPU-1", (0, 1, 0), "H100", 80 * 10**9, 79 * 10**9, (9, 0))


def subjects(
    driver: str = "550.54.15", build: TensorFlowBuild = BUILD, **facts: object
) -> list[str]:
    gpu = dataclasses.replace(H100, **facts)
    return [trouble.subject for trouble in card_troubles(gpu, driver, build)]


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((5, 2), ["age", "cuDNN"]),
        ((6, 1), ["cuDNN"]),
        ((7, 0), ["cuDNN"]),
        ((7, 5), []),
        ((8, 6), []),
        ((9, 0), []),
        ((10, 0), ["generation"]),
        ((12, 0), ["generation"]),
        (None, []),
    ],
)
def test_a_card_needs_a_capability_that_libraries_support(
    capability: tuple[int, int] | None, expected: list[str]
) -> None:
    assert subjects(capability=capability) == expected
    assert subjects(capability=capability, build=TensorFlowBuild()) == []


def test_an_older_cudnn_supports_older_cards() -> None:
    older = dataclasses.replace(BUILD, cudnn=(9, 10, 2))
    assert subjects(capability=(6, 1), build=older) == []


@pytest.mark.parametrize(
    ("driver", "cuda", "expected"),
    [
        ("470.256.02", (12, 5), ["driver"]),
        ("525.60.13", (12, 5), []),
        ("550.54.15", (13, 0), ["driver"]),
        ("580.65.06", (13, 0), []),
        ("470.256.02", (), []),
        ("470.256.02", (99, 0), []),
        ("", (12, 5), []),
    ],
)
def test_a_driver_must_be_new_enough_for_cuda(
    driver: str, cuda: tuple[int, ...], expected: list[str]
) -> None:
    assert subjects(driver, dataclasses.replace(BUILD, cuda=cuda)) == expected


def test_a_card_needs_memory_for_512_pixels() -> None:
    assert subjects(memory=900_000_000) == ["memory"]
    assert subjects(memory=2_000_000_000) == []
    assert subjects(memory=None) == []


def test_a_divided_card_needs_exactly_one_instance_for_a_run() -> None:
    assert subjects(is_divided=True) == ["MIG"]
    assert subjects(is_divided=True, instances=("MIG-1",)) == []
    assert subjects(is_divided=True, instances=("MIG-1", "MIG-2")) == ["MIG"]


def test_troubles_say_what_was_found_and_what_to_do() -> None:
    (blackwell,) = card_troubles(dataclasses.replace(H100, capability=(12, 0)), "", BUILD)
    assert "12.0" in blackwell.found
    assert "up to 9.0" in blackwell.found
    assert "--devices gpu" in blackwell.advice


@pytest.mark.parametrize(
    ("system", "release", "has_cuda", "gpus", "expected"),
    [
        ("Linux", "6.8.0-45-generic", True, 1, []),
        ("Linux", "6.8.0-45-generic", False, 0, []),
        ("Linux", "6.8.0-45-generic", False, 1, ["TensorFlow"]),
        ("Linux", "5.15.153.1-microsoft-standard-WSL2", True, 1, ["system"]),
        ("Darwin", "24.0.0", False, 0, ["system"]),
    ],
)
def test_systems_that_are_known_to_be_troublesome_are_named(
    system: str, release: str, has_cuda: bool, gpus: int, expected: list[str]
) -> None:
    build = TensorFlowBuild(has_cuda=has_cuda)
    found = system_troubles(system, release, build, gpus)
    assert [trouble.subject for trouble in found] == expected


def test_the_numbers_of_versions() -> None:
    assert numbers_in("12.5.1") == (12, 5, 1)
    assert numbers_in("9.28.0.42") == (9, 28, 0)
    assert numbers_in("") == ()
