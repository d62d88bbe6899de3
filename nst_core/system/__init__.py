"""What operating systems do in different ways: locks, users, signals, and flags of opened files.

`posix.py` serves Linux and macOS, `windows.py` serves systems without `fcntl`, and both have the
same names. No other module uses what some systems lack.
"""

from nst_core.system.limits import PathLimits as PathLimits

try:
    from nst_core.system.posix import *  # noqa: F403
except ImportError:
    from nst_core.system.windows import *  # noqa: F403
