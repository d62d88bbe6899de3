"""Lets our modules see a system such as Windows: without POSIX's modules, functions and /proc.

Python imports this at its start, in every process whose `PYTHONPATH` begins with its folder. Only
modules of ours are concerned; libraries know by themselves which system they run on. Windows itself
differs in more, which nothing here can show.
"""

import builtins
import errno
import fcntl
import os
import pathlib
import struct
import sys
from types import ModuleType
from typing import Any

from posix_only import MODULES, NAMES

OURS = ("nst_core", "tasks", "flows", "__main__")

_import = builtins.__import__


def is_ours(importer: str) -> bool:
    return importer.partition(".")[0] in OURS


def import_for_windows(name: str, *arguments: Any, **named: Any) -> ModuleType:
    """Do what `__import__` does, for its arguments `globals`, `locals`, `fromlist` and `level`."""
    scope = arguments[0] if arguments else named.get("globals")
    if is_ours((scope or {}).get("__name__", "")):
        if name.partition(".")[0] in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}, as on Windows", name=name)
        if name in STAND_INS:
            return STAND_INS[name]
    return _import(name, *arguments, **named)


def stand_in(module: ModuleType, lacking: str) -> ModuleType:
    """Return a module like another one, without some names."""
    copy = ModuleType(module.__name__, module.__doc__)
    copy.__dict__.update(module.__dict__)
    for name in lacking.split():
        copy.__dict__.pop(name, None)
    return copy


def locking(descriptor: int, mode: int, count: int) -> None:
    """Lock bytes from the current position on, for one open file, as `msvcrt.locking` does."""
    kind = fcntl.F_UNLCK if mode == FAKE_MSVCRT.LK_UNLCK else fcntl.F_WRLCK
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    request = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, count, 0)
    try:
        fcntl.fcntl(descriptor, F_OFD_SETLK, request)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise PermissionError(errno.EACCES, "Permission denied") from error
        raise


def refusing_open_files(move: Any) -> Any:
    """Return a method of `Path` that does not rename or remove a file which we have open."""

    def moved(self: pathlib.Path, *arguments: Any, **named: Any) -> Any:
        # The method may be called by the one of another name.
        if is_ours(sys._getframe(1).f_globals.get("__name__", "")) and is_open(self):
            raise PermissionError(errno.EACCES, "used by another process, as on Windows", str(self))
        return move(self, *arguments, **named)

    return moved


def is_open(path: pathlib.Path) -> bool:
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - it uses no method of `Path`
        try:
            if os.path.samestat(os.fstat(int(name)), facts):
                return True
        except OSError:
            # The descriptor of the listing itself is closed by now.
            continue
    return False


def without_proc(read: Any) -> Any:
    """Return a method of `Path` that finds nothing in /proc."""

    def method(self: pathlib.Path, *arguments: Any, **named: Any) -> Any:
        importer = sys._getframe(1).f_globals.get("__name__", "")
        if is_ours(importer) and self.is_relative_to("/proc"):
            raise FileNotFoundError(errno.ENOENT, "No such file, as on Windows", str(self))
        return read(self, *arguments, **named)

    return method


F_OFD_SETLK = 37
"""A lock that belongs to an open file, as on Windows, and not to a process."""

FAKE_MSVCRT: Any = ModuleType("msvcrt")
FAKE_MSVCRT.LK_UNLCK, FAKE_MSVCRT.LK_NBLCK, FAKE_MSVCRT.locking = 0, 2, locking

STAND_INS = {name: stand_in(_import(name), lacking) for name, lacking in NAMES.items()}

# Libraries take this module as a sign that they are on Windows, so only ours may import it.
STAND_INS["msvcrt"] = FAKE_MSVCRT

for name in ("read_text", "read_bytes", "write_text"):
    setattr(pathlib.Path, name, without_proc(getattr(pathlib.Path, name)))
for name in ("rename", "replace", "unlink"):
    setattr(pathlib.Path, name, refusing_open_files(getattr(pathlib.Path, name)))
builtins.__import__ = import_for_windows
