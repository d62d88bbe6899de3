"""Ends Prefect's embedded server together with the run that it was started for.

Prefect imports this in every server (entry point `prefect.collections`). A run that is killed
cannot end its server, which would go on for ever, hold a quarter of a gigabyte, and keep open the
pipe that the run's output went through.
"""

import os
import signal
import threading
import time

OWNER = "NST_BATCH_OWNER"
"""The process of `nst-batch run`, which sets it; a server that it starts inherits it."""


def is_ours() -> bool:
    """Whether this process is the embedded server of one of our runs."""
    return OWNER in os.environ and os.environ.get("PREFECT__SERVER_EPHEMERAL") == "1"


def end_with_owner(owner: int) -> None:
    """Wait until that process is not our parent any more, then end, politely first."""
    while os.getppid() == owner:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os.kill(os.getpid(), signal.SIGKILL)


if is_ours():
    watch = threading.Thread(target=end_with_owner, args=(int(os.environ[OWNER]),), daemon=True)
    watch.start()
