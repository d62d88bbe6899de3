"""Real clusters on this machine, each of two worker processes, and which of these run rows."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.end_to_end.conftest import free_port, write_own_packages

BIN = Path(sys.executable).parent
ROW = "stylize"


@dataclass(frozen=True)
class Cluster:
    """The address of a cluster, and the processes that execute a row at this moment."""

    runner: str
    address: str
    busy: Callable[[], set[int]]


@contextmanager
def started(
    arguments: list[str], environment: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process, and in the end stop it and all processes that it started.

    Its current folder, the log's, has packages of the user's own that have the names of ours.
    """
    write_own_packages(log.parent)
    command = [str(BIN / arguments[0]), *arguments[1:]]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=log.parent, env=environment, stdout=file, stderr=file
        )
    family: list[psutil.Process] = []
    try:
        yield process
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue


def wait_for(found: Callable[[], Any], what: str, seconds: float = 180) -> Any:
    """Return the result of `found` as soon as there is one."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.1)
    return value


@contextmanager
def dask_cluster(
    folder: Path, environment: dict[str, str], *workers: tuple[str, ...]
) -> Iterator[Cluster]:
    """Run a scheduler, and a worker for each tuple of options."""
    from distributed import Client

    address = f"tcp://127.0.0.1:{free_port()}"
    worker = ["dask", "worker", address, "--no-dashboard", "--memory-limit", "0"]
    with ExitStack() as stack:
        scheduler = ["dask", "scheduler", "--host", address, "--no-dashboard"]
        stack.enter_context(started(scheduler, environment, folder / "scheduler.log"))
        for number, options in enumerate(workers):
            command = [*worker, "--local-directory", str(folder / f"worker-{number}"), *options]
            stack.enter_context(started(command, environment, folder / f"worker-{number}.log"))
        client = stack.enter_context(Client(address, set_as_default=False, timeout=120))
        client.wait_for_workers(len(workers), timeout=120)

        # A local function is sent to workers as it is, so they need not find these tests.
        def rows_executed(dask_worker: Any) -> tuple[int, int]:
            """Return the process of the worker that runs this, and how many rows it executes."""
            return os.getpid(), sum(ROW in str(task.key) for task in dask_worker.state.executing)

        client.run(rows_executed)

        def busy() -> set[int]:
            # A worker may be killed meanwhile.
            answers = client.run(rows_executed, on_error="ignore")
            return {process for process, rows in answers.values() if rows}

        yield Cluster("dask", address, busy)


@contextmanager
def ray_cluster(folder: Path, environment: dict[str, str], *options: str) -> Iterator[Cluster]:
    """Run a head node with two worker processes."""
    port = free_port()
    command = ["ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    command += [f"--port={port}", "--num-cpus=2", "--include-dashboard=false", *options]
    command += ["--disable-usage-stats", f"--ray-client-server-port={free_port()}"]
    log = folder / "ray.log"
    with started(command, environment, log) as head:

        def busy() -> set[int]:
            return {
                process.pid
                for process in psutil.Process(head.pid).children(recursive=True)
                if _title(process).startswith(f"ray::{ROW}")
            }

        wait_for(lambda: "--block" in log.read_text(), "Ray head")
        yield Cluster("ray", f"127.0.0.1:{port}", busy)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
