"""What must be in the environment before Prefect and TensorFlow are imported."""

import os
import signal
from pathlib import Path

OWNER = "NST_BATCH_OWNER"
"""Set to the process that starts an embedded server, which inherits it."""

DEFAULTS = {
    # The first start on a machine migrates a database, which takes longer than Prefect waits.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    # Nothing is sent to anyone unless the user asks for it.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # Rows that fail are told in our own words; the traceback is kept in a file.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

VERBOSE = {"PREFECT_LOGGING_LEVEL": "INFO", "TF_CPP_MIN_LOG_LEVEL": "1"}


def prepare(*, verbose: bool = False) -> None:
    """Set what the user has not set; end servers that a killed run of ours left behind."""
    for name, value in (DEFAULTS | (VERBOSE if verbose else {})).items():
        os.environ.setdefault(name, value)
    end_orphaned_servers()
    os.environ[OWNER] = str(os.getpid())


def end_orphaned_servers(processes: Path = Path("/proc")) -> list[int]:
    """End embedded Prefect servers whose `nst-batch run` was killed and could not end them.

    They would do no harm but hold a quarter of a gigabyte each. Where there is no `/proc`,
    nothing is found.

    Returns:
        The process numbers of those ended.
    """
    ended = []
    for entry in processes.glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        owners = [value for value in environment if value.startswith(f"{OWNER}=".encode())]
        if not owners or b"prefect.server.api.server:create_app" not in command:
            continue
        owner = int(owners[0].partition(b"=")[2])
        if not (processes / str(owner)).exists():
            os.kill(int(entry.name), signal.SIGTERM)
            ended.append(int(entry.name))
    return ended
