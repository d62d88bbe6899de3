"""The entry point of `nst-batch`: signals and standard streams come before anything slow."""

import os
import sys
from typing import Any, NoReturn

from flows.cli.exit_codes import ENGINE_FAILED, INTERRUPTED, SUCCESS, UNUSABLE
from flows.process.imports import many_imports
from flows.process.libraries_log import capture_warnings
from flows.process.signals import answer_signals
from flows.process.streams import failure_of, open_standard_streams

INTERRUPTED_MESSAGE = "nst-batch: interrupted"


def end_on_signal(*_: object) -> NoReturn:
    """End the process at once, as nothing can be lost; an import could swallow an exception."""
    os.write(2, f"{INTERRUPTED_MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


def interrupt_on_signal(*_: object) -> NoReturn:
    """Raise an exception once, because files may be in the middle of being written or removed."""
    answer_signals(end_on_signal)
    raise KeyboardInterrupt


def main() -> None:
    """Run the command `nst-batch`."""
    answer_signals(end_on_signal)
    open_standard_streams()
    code = _run_command()
    wrong = failure_of(sys.stdout)
    if wrong:
        _print_error(f"cannot write to standard output: {wrong.strerror}")
        # The rows of a batch are done, whether or not this could be printed.
        if code == SUCCESS and sys.argv[1:2] not in (["run"], ["watch"], ["preview"]):
            code = ENGINE_FAILED
    sys.exit(code)


def _run_command() -> int:
    """Do what the command line says, and return the exit code."""
    with many_imports():
        from cyclopts.exceptions import CycloptsError

        from flows.cli.app import app_for

        app = app_for(sys.argv[1:])
    answer_signals(interrupt_on_signal)
    capture_warnings()
    try:
        code: Any = app(exit_on_error=True, result_action="return_value")
    except SystemExit as end:
        # The user asked for help, or the command line cannot be used.
        code = end.code
    except CycloptsError:
        code = UNUSABLE
    except KeyboardInterrupt:
        print(INTERRUPTED_MESSAGE, file=sys.stderr)  # noqa: T201
        code = INTERRUPTED
    except Exception as error:
        # Help does not need this module, which takes a while.
        from nst_core.storage.places import PlaceError

        code = UNUSABLE if isinstance(error, PlaceError) else ENGINE_FAILED
        if code == UNUSABLE:
            _print_error(str(error))
        elif os.environ.get("NST_BATCH_DEBUG"):
            raise
        else:
            hint = "set NST_BATCH_DEBUG=1 to see the traceback"
            _print_error(f"{type(error).__name__}: {error} ({hint})")
    # Only the end of the process is left.
    answer_signals(end_on_signal)
    return int(code or SUCCESS)


def _print_error(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
