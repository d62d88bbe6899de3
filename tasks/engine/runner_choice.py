"""The runner that was asked for, and whether it is available, checked before importing Prefect."""

from importlib.util import find_spec
from typing import Literal

from nst_core.devices import ANY_GPU, AUTO, CPU
from nst_core.errors import UserError
from nst_core.extras import command_for

RunnerName = Literal["local", "ray", "dask"]
LOCAL: RunnerName = "local"


class RunnerError(UserError):
    """Tasks cannot run where the user asked; the message says what to do."""


def check_isolation(runner: RunnerName, *, isolate: bool) -> None:
    """Check whether rows can run in the processes of their devices, if they are to do so.

    Raises:
        RunnerError: they run on a cluster.
    """
    if isolate and runner != LOCAL:
        raise RunnerError(
            f"--isolate: found --runner {runner}, whose workers are processes apart from the batch "
            "anyway; expected --runner local; leave out --isolate"
        )


def check_runner(runner: RunnerName, address: str | None, devices: str) -> None:
    """Check whether tasks can run there, as far as is known before anything is started.

    Args:
        runner: threads of this process, or a cluster.
        address: the address of a running cluster; None to start one for the run.
        devices: the devices that the user asked for.

    Raises:
        RunnerError: tasks cannot run there.
    """
    if runner == LOCAL:
        if address:
            raise RunnerError(
                f"--address: found {address!r}; expected --runner ray or --runner dask, too"
            )
        return
    if find_spec(f"prefect_{runner}") is None:
        raise RunnerError(
            f"--runner {runner}: prefect-{runner} is not installed: {command_for(runner)}"
        )
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:
        raise RunnerError(
            f"--runner {runner}: PREFECT_API_URL is not set, and workers need a server that all of "
            "them can reach; start one with `prefect server start` and set PREFECT_API_URL"
        )
    if devices not in (AUTO, CPU, ANY_GPU):
        raise RunnerError(
            f"--devices: found {devices!r}; expected auto, gpu or cpu with --runner {runner}, as "
            "the cluster chooses which device a row gets"
        )
