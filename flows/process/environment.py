"""The environment variables that are set before Prefect and TensorFlow are imported."""

import logging
import os

from flows.process.libraries_log import print_warnings
from flows.process.proxies import bypass_proxies

STARTUP_SECONDS = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
DEFAULTS = {
    # The first start on a machine migrates a database, which takes longer than Prefect's default.
    STARTUP_SECONDS: "180",
    # Each request waits for a server that is restarted: 2 + 4 + ... + 128 s, four minutes.
    "PREFECT_CLIENT_MAX_RETRIES": "7",
    # No data is sent to anybody unless the user asks for it.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # The Prefect UI shows what happened; here, failed rows are reported in our own words.
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    # Prefect's internal services would otherwise report a server that is gone.
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # `gpu:0` is then the GPU 0 of nvidia-smi, so the UUID that names its lock is certain.
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    # TensorFlow then loads the package tf_keras, if there is one, instead of Keras, which takes two
    # fifths of its startup time. We use neither.
    "TF_USE_LEGACY_KERAS": "1",
}

VERBOSE = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "NOTSET",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "ERROR",
    "TF_CPP_MIN_LOG_LEVEL": "1",
}


def prepare(*, verbose: bool = False) -> None:
    """Set the variables that the user has not set, and silence libraries unless `verbose`."""
    for name, value in (DEFAULTS | (VERBOSE if verbose else {})).items():
        os.environ.setdefault(name, value)
    bypass_proxies(os.environ.get("PREFECT_API_URL"))
    # Otherwise Prefect writes to the terminal whenever a log line cannot reach a server.
    logging.raiseExceptions = verbose
    if verbose:
        print_warnings()
