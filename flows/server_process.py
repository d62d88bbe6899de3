"""The process of an embedded server: Prefect's API on a listening socket, as long as a run lives.

    python -P server_process.py DESCRIPTOR OWNER

Started by `flows.embedded_server` alone. It imports nothing of ours, so that it may be run by its
path, whatever folder the run was started in.
"""

import os
import signal
import socket
import sys
import threading
import time

APPLICATION = "prefect.server.api.server:create_app"
POLL_SECONDS = 0.5
GRACE_SECONDS = 5


def end_with_owner(owner: int) -> None:
    """Wait until that process is not our parent any more, then end, politely first.

    A run that is killed cannot end its server, which would go on for ever, hold a quarter of a
    gigabyte, and keep open the pipe that the run's output went through.
    """
    while os.getppid() == owner:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def serve(listening: socket.socket) -> None:
    """Answer on a socket until a signal comes."""
    import uvicorn

    config = uvicorn.Config(
        APPLICATION, factory=True, log_level="error", lifespan="on", timeout_graceful_shutdown=2
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    descriptor, owner = map(int, sys.argv[1:])
    threading.Thread(target=end_with_owner, args=(owner,), daemon=True).start()
    serve(socket.socket(fileno=descriptor))
