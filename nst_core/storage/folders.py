"""Folders on a disk: their creation, and the flushing that makes changes in them last.

A file's new name is part of its folder. It survives a power failure only once the folder has been
flushed, too (see `fsync(2)`).
"""

from pathlib import Path

from nst_core import system


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create a folder, and its missing parents, so that they survive a power failure.

    Args:
        folder: it may exist already, and then stays as it is.
        mode: the permissions of a new folder; new parents have the usual ones.

    Raises:
        OSError: it cannot be created, or a file has its name.
    """
    try:
        folder.mkdir(mode)
    except FileNotFoundError:
        make_folder(folder.parent)
        make_folder(folder, mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Wait until the disk holds all names in a folder, such as that of a file just renamed.

    Some network file systems and Windows cannot do that; there, this does nothing.

    Raises:
        OSError: the disk reports an error.
    """
    system.flush_names(folder)
