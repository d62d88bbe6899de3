"""What must be in the environment before Prefect and TensorFlow are imported."""

import logging
import os

from flows.libraries_log import print_warnings
from flows.proxies import speak_directly

DEFAULTS = {
    # The first start on a machine migrates a database, which takes longer than Prefect waits.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    # A server that is started anew is waited for: 2 + 4 + ... + 128 s, four minutes a request.
    "PREFECT_CLIENT_MAX_RETRIES": "7",
    # Nothing is sent to anyone unless the user asks for it.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Prefect's page has what happened; here rows that fail are told in our own words.
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    # Its own services say so by themselves when a server is gone.
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # TensorFlow then loads the package tf_keras, where there is one, in place of Keras, which takes
    # two fifths of its start. We use neither.
    "TF_USE_LEGACY_KERAS": "1",
}

VERBOSE = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "NOTSET",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "ERROR",
    "TF_CPP_MIN_LOG_LEVEL": "1",
}


def prepare(*, verbose: bool = False) -> None:
    """Set what the user has not set, and keep libraries quiet unless they are to be heard."""
    for name, value in (DEFAULTS | (VERBOSE if verbose else {})).items():
        os.environ.setdefault(name, value)
    speak_directly(os.environ.get("PREFECT_API_URL"))
    # Else Prefect writes to the terminal whenever a server that is away cannot be given a log line.
    logging.raiseExceptions = verbose
    if verbose:
        print_warnings()
