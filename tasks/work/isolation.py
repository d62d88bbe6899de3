"""Work in the process of a device, which stops when the batch does."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from nst_core.devices import Say, process_of
from nst_core.transfer.settings import Settings
from tasks.stopping import is_stopped, stop_rows
from tasks.store.output_folder import OutputFolder

Result = TypeVar("Result")


def must_be_isolated(device: str, settings: Settings) -> bool:
    """Return whether a row can only run in the process of its device, not in that of the batch.

    Products without TF32 need a process of their own (`nst_core.devices.tensor_float`); the process
    of the batch has rows with it.

    Args:
        device: the device on which the row runs.
        settings: those of the row.
    """
    return device.startswith("GPU") and not settings.allows_tf32


def isolated(
    device: str,
    settings: Settings,
    output: OutputFolder,
    work: Callable[[Say], Result],
    on_said: Callable[[Any], object] = lambda _: None,
) -> Result:
    """Do work in the process of a device that is lent to the caller.

    Args:
        device: the device's name.
        settings: those of the row, by whose precision a GPU has one of two processes.
        output: the batch's output folder; work that asks `is_stopped` for it learns of a stop.
        work: called with a function that sends objects to `on_said`; can be pickled.
        on_said: called in this process.

    Raises:
        ProcessKilledError, ProcessEndedError: the process did not survive the work.
        Exception: what the work raised.
    """
    process = process_of(device, tf32=settings.allows_tf32)
    is_told = False

    def pass_on_stop() -> None:
        nonlocal is_told
        if not is_told and is_stopped(output):
            is_told = True
            process.notify(partial(stop_rows, output))

    return process.run(work, on_said, pass_on_stop)
