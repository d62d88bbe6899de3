"""Questions that only a disk can answer; places in other storages get a neutral answer."""

import logging
import os
import shutil
import stat
import time
from pathlib import Path
from typing import NamedTuple

from nst_core import system
from nst_core.storage.folders import make_folder
from nst_core.storage.places import Place

logger = logging.getLogger(__name__)

USUAL_LIMITS = system.PathLimits(4096, 255)
"""The limits of paths, if the system does not report them."""


def on_disk(named: Place) -> Path | None:
    """Return the path of a place on this machine's disks; None if it is in another storage."""
    return named if isinstance(named, Path) else None


def special_kind(named: Place) -> str:
    """Name what a path leads to if it is not a file; it is not opened, as reading might never end.

    Returns:
        A name such as "a pipe"; empty for files, folders and URLs, and if nothing exists.
    """
    if not isinstance(named, Path):
        return ""
    try:
        mode = named.stat().st_mode
    except (OSError, ValueError):
        return ""
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    devices = {stat.S_ISCHR: "a device or terminal", stat.S_ISBLK: "a device"}
    return next((kind for is_one, kind in (kinds | devices).items() if is_one(mode)), "")


def read_pipe(named: Place) -> bytes:
    """Return what a pipe's writer writes, until it closes the pipe.

    Raises:
        OSError: the pipe cannot be read.
    """
    return Path(str(named)).read_bytes()


def is_folder(named: Place) -> bool:
    """Return whether a place is a folder, so that no file can be written there.

    In object storage, a folder and an object may have the same name.
    """
    return isinstance(named, Path) and named.is_dir()


def is_file(named: Place) -> bool:
    """Return whether there is a file on a disk; False for all URLs."""
    return isinstance(named, Path) and named.is_file()


def why_no_file(named: Place) -> str:
    """Return why a place that was found is not a file; empty if it is one, as every object is."""
    if not isinstance(named, Path):
        return ""
    try:
        is_file, is_folder = named.is_file(), named.is_dir()
    except OSError as error:
        return f"that cannot be examined ({error.strerror})"
    if is_folder:
        return "folders"
    return "" if is_file else "broken links, pipes or devices"


def is_link(named: Place) -> bool:
    """Return whether a place is a symbolic link."""
    return isinstance(named, Path) and named.is_symlink()


def leads_into(folder: Place, named: Place) -> bool:
    """Return whether a place below a folder stays below it when links are followed."""
    if not isinstance(named, Path) or not isinstance(folder, Path):
        return True
    try:
        return named.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        # This is a name that no file can have, or the links form a circle.
        return False


class Identity(NamedTuple):
    """What distinguishes a file or folder from all others on this machine, whatever its name."""

    device: int
    inode: int


def identity_of(named: Place) -> Identity | None:
    """Return the identity of a file or folder; None if there is none, or it is a URL."""
    if not isinstance(named, Path):
        return None
    try:
        facts = named.stat()
    except OSError:
        return None
    return Identity(facts.st_dev, facts.st_ino)


def path_limits(folder: Place) -> system.PathLimits | None:
    """Return the limits of the file system where a folder is or will be; None for a URL."""
    if not isinstance(folder, Path):
        return None
    for place in (folder.absolute(), *folder.absolute().parents):
        try:
            return system.path_limits(place)
        except OSError:
            # The folder does not exist yet.
            continue
    return USUAL_LIMITS


def free_bytes(folder: Place) -> float:
    """Return the free bytes for users other than root; infinity if the storage does not report it.

    Raises:
        OSError: the folder does not exist or cannot be examined.
    """
    if not isinstance(folder, Path):
        return float("inf")
    usage = shutil.disk_usage(folder)
    return usage.free if usage.total else float("inf")


def written_at(named: Place) -> int | None:
    """Return when a file on a disk was last written, in nanoseconds since 1970; None elsewhere.

    Raises:
        OSError: the file is gone, or cannot be examined.
    """
    return named.stat().st_mtime_ns if isinstance(named, Path) else None


def seconds_since_change(named: Place) -> float:
    """Return how long ago a file was last written; 0 for other storages, and if it is gone."""
    try:
        return time.time() - named.stat().st_mtime if isinstance(named, Path) else 0.0
    except OSError:
        return 0.0


def mark_used(named: Place) -> None:
    """Set the time of a file to now, if it is on a disk and may be changed."""
    if isinstance(named, Path):
        try:
            os.utime(named)
        except OSError as error:
            # The file may just have been removed, or it may be somebody else's.
            logger.debug("%s cannot be marked as used: %s", named, error.strerror)


def make_private(*folders: Path) -> None:
    """Create folders that only their owner may use, outer ones first; leave existing ones as is.

    Parents of the first folder are created with the usual permissions.

    Raises:
        OSError: a folder cannot be created.
    """
    for folder in folders:
        make_folder(folder, 0o700)
