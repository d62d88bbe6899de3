"""Programs that this process starts, and that inherit one end of a connection from it."""

import os
import subprocess
import sys
from typing import Any


def options_of_popen(handle: int) -> dict[str, Any]:
    """Return options of `subprocess.Popen` for a program that inherits a handle, and no Ctrl-C.

    Terminals, `timeout` and service managers send their signals to whole groups of processes.

    Args:
        handle: a descriptor or, on Windows, the handle of a pipe or socket; the program is given
            the same number.
    """
    if sys.platform == "win32":
        os.set_handle_inheritable(handle, True)
        return {
            "startupinfo": subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]}),
            "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP,
        }
    return {"pass_fds": [handle], "start_new_session": True}
