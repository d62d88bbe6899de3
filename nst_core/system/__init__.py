"""What operating systems do in different ways: locks, users, signals, and flags of opened files.

`posix.py` serves Linux and macOS, `windows.py` serves systems without `fcntl`, and both have the
same names. No other module uses what some systems lack.
"""

from nst_core.system.limits import PathLimits

try:
    from nst_core.system.posix import (
        AT_ONCE,
        CAN_RENAME_OPEN_FILES,
        STOP_SIGNALS,
        USUAL_LOCKS,
        clock,
        flush_names,
        lock_holders,
        open_unlinked,
        own_name,
        own_user,
        path_limits,
        peak_memory,
        set_mode,
        signals_blocked,
        try_lock,
        user_name,
    )
except ImportError:
    from nst_core.system.windows import (
        AT_ONCE,
        CAN_RENAME_OPEN_FILES,
        STOP_SIGNALS,
        USUAL_LOCKS,
        clock,
        flush_names,
        lock_holders,
        open_unlinked,
        own_name,
        own_user,
        path_limits,
        peak_memory,
        set_mode,
        signals_blocked,
        try_lock,
        user_name,
    )

__all__ = [
    "AT_ONCE",
    "CAN_RENAME_OPEN_FILES",
    "STOP_SIGNALS",
    "USUAL_LOCKS",
    "PathLimits",
    "clock",
    "flush_names",
    "lock_holders",
    "open_unlinked",
    "own_name",
    "own_user",
    "path_limits",
    "peak_memory",
    "set_mode",
    "signals_blocked",
    "try_lock",
    "user_name",
]
