"""Where tasks run: in threads of this process, or on the workers of a Ray or Dask cluster."""

import os
import socket
import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

from prefect import Task
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, PrefectWrappedFuture
from prefect.states import Crashed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from nst_core.devices import (
    ANY_GPU,
    CPU,
    UNLOCKED_CPU,
    DeviceError,
    open_devices,
    using_cpu,
    visible_gpus,
)
from tasks.engine.runner_choice import LOCAL, RunnerError, RunnerName
from tasks.events import DevicesOpened, StageEntered, emit
from tasks.stopping import raise_if_asked_to_stop

AnyRunner = TaskRunner[Any]

WAIT_SECONDS = 0.2


class Workers(NamedTuple):
    """A task runner that was started.

    Attributes:
        runner: the task runner.
        devices: the `devices` that its tasks get.
        at_once: returns how many tasks can run at once now; a cluster may grow and shrink.
    """

    runner: AnyRunner
    devices: str
    at_once: Callable[[], int]

    def submit(self, task: Task[Any, Any], parameters: dict[str, Any]) -> PrefectFuture[Any]:
        """Run a task on one of the workers, with `devices` among its parameters."""
        future: PrefectFuture[Any] = self.runner.submit(
            task, {**parameters, "devices": self.devices}
        )
        return future


def start_workers(
    runner: RunnerName, address: str | None, devices: str
) -> AbstractContextManager[Workers]:
    """Start workers of a kind that `check_runner` accepted, for as long as the context lasts.

    Raises:
        RunnerError: no cluster answers at the address.
        DeviceError: a device that was asked for does not exist.
    """
    if runner != LOCAL:
        what = f"connecting to the {runner} cluster" if address else f"starting a {runner} cluster"
        emit(StageEntered(what))
    if runner == "dask":
        return _on_dask(address, devices)
    if runner == "ray":
        return _on_ray(address, devices)
    return _on_devices(devices)


@contextmanager
def _on_devices(devices: str) -> Iterator[Workers]:
    """Use the devices of this machine, each with a thread of this process."""
    is_new = "tensorflow" not in sys.modules
    if is_new:
        emit(StageEntered("loading TensorFlow"))
    opened = open_devices(devices)
    uses_cpu = any(device.startswith("CPU") for device in opened)
    with using_cpu() if uses_cpu else nullcontext("") as other:
        emit(DevicesOpened(opened, other))
        if is_new:
            emit(StageEntered("compiling for the first row"))
        with in_threads(len(opened), devices) as workers:
            yield workers


@contextmanager
def in_threads(count: int, devices: str) -> Iterator[Workers]:
    """Run up to `count` tasks at once in this process."""
    threads: AnyRunner = ThreadPoolTaskRunner(max_workers=count)
    with threads as runner:
        yield Workers(runner, devices, lambda: count)


@contextmanager
def _on_dask(address: str | None, devices: str) -> Iterator[Workers]:
    import dask
    from prefect_dask import DaskTaskRunner

    own = None if address else _own_dask_cluster
    with DaskTaskRunner(address=address, cluster_class=own) as runner:
        try:
            workers = runner.client.scheduler_info()["workers"].values()
        except (OSError, ValueError) as error:
            raise _unreachable("dask", address, error) from error
        if not workers:
            raise RunnerError(
                f"--address: the Dask cluster at {address} has no workers; start some"
            )
        lent = _lent_by_cluster(
            devices, sum(worker["resources"].get("GPU", 0) for worker in workers)
        )
        with dask.annotate(resources={"GPU": 1} if lent == ANY_GPU else {}):
            yield Workers(runner, lent, partial(_count_on_dask, runner.client, lent))


def _count_on_dask(client: Any, lent: str) -> int:
    """Return how many rows a Dask cluster can run at once now."""
    if lent != ANY_GPU:
        return sum(client.nthreads().values())
    workers = client.scheduler_info()["workers"].values()
    return int(sum(worker["resources"].get("GPU", 0) for worker in workers))


def _own_dask_cluster() -> Any:
    """Return a cluster on this machine: a process for each GPU, which sees no other GPU.

    Without GPUs, it is a single process.
    """
    from distributed import Nanny, Scheduler, SpecCluster

    # Unless its limit is 0, Dask would end a process that takes more than its share of memory.
    options = {"nthreads": 1, "memory_limit": 0, "host": "127.0.0.1"}
    # Any free port will do; the usual one may belong to another cluster.
    head = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    workers = [
        {**options, "resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": gpu}}
        for gpu in visible_gpus()
    ]
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": head},
        workers={
            number: {"cls": Nanny, "options": worker}
            for number, worker in enumerate(workers or [options])
        },
    )


@contextmanager
def _on_ray(address: str | None, devices: str) -> Iterator[Workers]:
    import ray
    from prefect_ray import RayTaskRunner
    from prefect_ray.context import remote_options

    # These are options because the runner would take `auto`, or no address, to mean any cluster
    # that it finds.
    options: dict[str, Any] = {"address": address or "local", "log_to_driver": False}
    if not address:
        options |= {"num_cpus": max(1, len(visible_gpus())), "include_dashboard": False}
    # With its client, Ray takes no job configuration, and adds no folder of this process.
    if not _is_ray_client(address):
        options |= {"job_config": _job_without_folders()}
    runner = RayTaskRunner(init_kwargs=options | {"logging_level": "ERROR"})
    with ExitStack() as stack:
        try:
            _check_reachable(address or "")
            stack.enter_context(runner)
        except (OSError, RuntimeError, ValueError) as error:
            raise _unreachable("ray", address, error) from error
        lent = _lent_by_cluster(devices, ray.cluster_resources().get("GPU", 0))
        resources = {"num_gpus": 1, "num_cpus": 0} if lent == ANY_GPU else {"num_cpus": 1}
        kind = "GPU" if lent == ANY_GPU else "CPU"
        with remote_options(**resources):
            yield Workers(runner, lent, lambda: int(ray.cluster_resources().get(kind, 0)))


def _is_ray_client(address: str | None) -> bool:
    """Return whether Ray uses its client for this address, or for the one that `auto` means."""
    meant = os.environ.get("RAY_ADDRESS") or address if address == "auto" else address
    return "://" in (meant or "")


def _job_without_folders() -> Any:
    """Return the configuration of a Ray job whose workers import from no folder of this process.

    By default, they import from its current folder before they look anywhere else, and that folder
    may have packages of the user's own that have the names of ours.
    """
    from ray.job_config import JobConfig

    job = JobConfig()
    # Ray adds no folders to a job that has a `working_dir`. A real one would also become the
    # current folder of the workers, where Prefect looks for settings, and where relative paths in
    # environment variables start. Ray has no public option for this; if a version of Ray no longer
    # calls this method, tests/cluster/test_folders.py fails.
    job._runtime_env_has_working_dir = lambda: True
    return job


def _check_reachable(address: str) -> None:
    """Raise `OSError` if nobody listens, because Ray would keep trying for a quarter of an hour."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _unreachable(runner: str, address: str | None, error: Exception) -> RunnerError:
    where = (
        f"--address: no {runner} cluster answers at {address}"
        if address
        else (f"--runner {runner}: no cluster can be started on this machine")
    )
    # Ray says which token it wants only in the cause.
    message = " ".join(f"{error} {error.__cause__ or ''}".split())
    return RunnerError(f"{where}: {message}")


def _lent_by_cluster(devices: str, gpus: float) -> str:
    """Return the `devices` of a task on a worker to which the cluster lends one GPU or one CPU."""
    if devices == ANY_GPU and not gpus:
        raise DeviceError(
            "--devices: gpu was requested, but no worker of the cluster reports a GPU; start Dask "
            "workers with `--resources GPU=1`, or Ray workers with `--num-gpus=1`"
        )
    if devices == CPU or not gpus:
        emit(DevicesOpened(("CPUs of the cluster",)))
        return UNLOCKED_CPU
    emit(DevicesOpened((f"GPUs of the cluster ({gpus:g})",)))
    return ANY_GPU


def ended(future: PrefectFuture[Any]) -> State[Any]:
    """Wait for a task and return its final state, even if its worker died too often.

    Prefect is not notified when a cluster gives up a task.

    Raises:
        KeyboardInterrupt: the batch was asked to stop in the meantime.
    """
    try:
        # Wait in steps: a signal that another thread received does not end a wait without a limit.
        while not is_done(future):
            raise_if_asked_to_stop()
            future.wait(timeout=WAIT_SECONDS)
        future.wait()
        if future.state.is_final():
            return future.state
        return Crashed(message=f"the task did not end: {future.result()}")
    # `CancelledError` means that Prefect gave up a task before the task reached its function.
    except (CancelledError, Exception) as error:  # noqa: BLE001 - clusters raise their own kinds
        return Crashed(message=f"{type(error).__name__}: {error}", data=error)


def is_done(future: PrefectFuture[Any]) -> bool:
    """Return whether a task has ended, without asking the server, which lags behind."""
    wrapped = future.wrapped_future if isinstance(future, PrefectWrappedFuture) else None
    if wrapped is None:
        return True
    if hasattr(wrapped, "done"):
        return bool(wrapped.done())
    import ray

    ready, _ = ray.wait([wrapped], timeout=0)
    return bool(ready)
