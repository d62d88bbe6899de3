"""Checks of where rows may run, before anything is started."""

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from nst_core.devices import ANY_GPU, UNLOCKED_CPU, DeviceError
from tasks.engine import runner_choice, runners
from tasks.engine.runner_choice import RunnerError, RunnerName, check_runner


@pytest.mark.parametrize("runner", ["ray", "dask"])
def test_missing_requirements_of_a_cluster_are_reported(runner: RunnerName) -> None:
    for devices in ("auto", "gpu", "cpu"):
        check_runner(runner, None, devices)
        check_runner(runner, "somewhere:1", devices)
    with pytest.raises(RunnerError, match="expected auto, gpu or cpu with --runner"):
        check_runner(runner, None, "gpu:0,gpu:1")
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(RunnerError, match="PREFECT_API_URL is not set"),
    ):
        check_runner(runner, None, "auto")


def test_an_address_needs_a_cluster() -> None:
    check_runner("local", None, "gpu:0,gpu:1")
    with pytest.raises(RunnerError, match="expected --runner ray or --runner dask, too"):
        check_runner("local", "tcp://127.0.0.1:8786", "auto")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_choice, "find_spec", lambda _: None)
    with pytest.raises(RunnerError, match=r"pip install '.\[ray\]' in"):
        check_runner("ray", None, "auto")
    check_runner("local", None, "auto")


@pytest.mark.parametrize(
    ("devices", "gpus", "lent"),
    [
        ("auto", 0, UNLOCKED_CPU),
        ("auto", 3, ANY_GPU),
        ("gpu", 1, ANY_GPU),
        ("cpu", 2, UNLOCKED_CPU),
        ("cpu", 0, UNLOCKED_CPU),
    ],
)
def test_a_cluster_lends_a_gpu_or_a_cpu(devices: str, gpus: float, lent: str) -> None:
    assert runners._lent_by_cluster(devices, gpus) == lent


def test_a_cluster_without_gpus_is_refused_if_gpus_are_required() -> None:
    with pytest.raises(DeviceError, match="no worker of the cluster reports a GPU"):
        runners._lent_by_cluster("gpu", 0)


@pytest.mark.parametrize(
    ("address", "named", "is_client"),
    [
        (None, "ray://head:10001", False),
        ("auto", None, False),
        ("auto", "head:6379", False),
        ("auto", "ray://head:10001", True),
        ("head:6379", "ray://head:10001", False),
        ("ray://head:10001", None, True),
    ],
)
def test_addresses_of_the_ray_client_are_recognized(
    monkeypatch: pytest.MonkeyPatch, address: str | None, named: str | None, is_client: bool
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if named:
        monkeypatch.setenv("RAY_ADDRESS", named)
    assert runners._is_ray_client(address) == is_client


class LostFuture:
    """A task whose worker died too often: prefect-dask's `wait` returns as if it had ended."""

    def __init__(self, state: object) -> None:
        self.state = state

    def wait(self) -> None:
        pass

    def result(self) -> None:
        raise MemoryError("worker died four times")


def test_a_task_that_its_cluster_gave_up_is_crashed() -> None:
    from prefect.states import Completed, Pending

    state = runners.ended(LostFuture(Pending()))  # type: ignore[arg-type]
    assert (state.name, state.message) == ("Crashed", "MemoryError: worker died four times")
    assert isinstance(state.result(raise_on_failure=False), MemoryError)
    assert runners.ended(LostFuture(Completed())).is_completed()  # type: ignore[arg-type]
