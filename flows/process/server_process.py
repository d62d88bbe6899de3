"""The process of an embedded server: Prefect's API on a listening socket, while the run lives.

    python -P server_process.py DESCRIPTOR OWNER

Only `flows.process.embedded_server` starts it. It imports nothing of ours, so it can be run by its
path, whatever folder the run was started in.
"""

import gc
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module

APPLICATION = "prefect.server.api.server:create_app"
POLL_SECONDS = 0.5
GRACE_SECONDS = 5


def end_with_owner(owner: int) -> None:
    """Wait until that process is no longer our parent, and then end, gracefully at first.

    A run that is killed cannot stop its server. The server would run forever, hold a quarter of a
    gigabyte, and keep the pipe open that the run's output went through.
    """
    while is_alive(owner):
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def is_alive(owner: int) -> bool:
    """Return whether the process that started this one lives."""
    if sys.platform == "win32":
        # There, a process keeps the number of its parent when the parent has ended.
        import psutil

        return bool(psutil.pid_exists(owner))
    return os.getppid() == owner


def serve(listening: socket.socket) -> None:
    """Answer requests on a socket until a signal arrives."""
    # Collections would take a third of the time of the start, and find next to nothing.
    gc.disable()
    import uvicorn

    import_module(APPLICATION.partition(":")[0])
    gc.freeze()
    gc.enable()
    config = uvicorn.Config(
        APPLICATION, factory=True, log_level="error", lifespan="on", timeout_graceful_shutdown=2
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    descriptor, owner = map(int, sys.argv[1:])
    threading.Thread(target=end_with_owner, args=(owner,), daemon=True).start()
    serve(socket.socket(fileno=descriptor))
