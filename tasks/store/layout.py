"""The locations of all files: below the output folder, and in the cache that all batches share."""

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from nst_core.storage.files import list_files, local_cache, make_private, user_cache, write_atomic
from nst_core.storage.locks import shared_lock
from nst_core.storage.places import READ_ONLY, Place, redacted

PICTURES, CURVES, INTERRUPTED, PREVIEWS = "pictures", "losses", "interrupted", "gallery"
INTERMEDIATES, PLOTS, ANIMATIONS, ERRORS = "intermediates", "plots", "animations", "errors"
CONTACT_SHEET, GALLERY, SUMMARY, ALL_CURVES = (
    *("contact_sheet.png", "gallery.html", "summary", "loss_curves"),
)
KEPT = ".nst-batch"

MANAGED_FOLDERS = (
    *(CURVES, INTERRUPTED, PREVIEWS, INTERMEDIATES, PLOTS, ANIMATIONS, ERRORS, KEPT),
)
"""Folders below the output folder in which runs replace and remove files of earlier runs."""

MANAGED_FILES = (
    *(CONTACT_SHEET, GALLERY, f"{SUMMARY}.csv", f"{SUMMARY}.parquet"),
    *(f"{ALL_CURVES}.png", f"{ALL_CURVES}.svg"),
)
"""Files in the output folder itself that runs and `nst-batch plot` replace."""


def picture_path(output: Place, name: str) -> Place:
    """Return the place of a row's picture; `name` is its output, with `/` between folders."""
    return output / PICTURES / name


def curve_name(name: str) -> str:
    """Return the path of a row's loss curve within the folder of loss curves."""
    return str(PurePosixPath(name).with_suffix(".csv"))


def curve_path(output: Place, name: str) -> Place:
    """Return the place of a row's loss curve."""
    return output / CURVES / curve_name(name)


def intermediates_folder(output: Place, name: str) -> Place:
    """Return the folder of a row's intermediates (see `--save-every`), which are named by step."""
    return output / INTERMEDIATES / str(PurePosixPath(name).with_suffix(""))


def intermediate_path(output: Place, name: str, step: int) -> Place:
    """Return the place of a row's picture after this step; names sort in the order of steps."""
    return intermediates_folder(output, name) / f"{step:06d}.png"


def intermediates_of(output: Place, name: str) -> list[Place]:
    """Return the existing intermediates of a row, in order.

    Raises:
        OSError: the folder cannot be read.
    """
    folder = intermediates_folder(output, name)
    # The folder may also contain folders of other rows, and what a killed run was writing.
    names = sorted(name for name in list_files(folder) if re.fullmatch(r"\d{6,}\.png", name))
    return [folder / name for name in names]


def interrupted_path(output: Place, name: str) -> Place:
    """Return the place of a stopped row's best picture so far; its result is still to come."""
    return output / INTERRUPTED / name


def plot_path(output: Place, name: str, suffix: str) -> Place:
    """Return the place of the plot of a row's loss curve, `.png` or `.svg`."""
    return output / PLOTS / str(PurePosixPath(name).with_suffix(suffix))


def all_curves_path(output: Place, suffix: str) -> Place:
    """Return the place of the plot of all rows' total losses, `.png` or `.svg`."""
    return output / f"{ALL_CURVES}{suffix}"


def animation_path(output: Place, name: str, suffix: str) -> Place:
    """Return the place of a row's animation, `.gif` or `.webp`."""
    return output / ANIMATIONS / str(PurePosixPath(name).with_suffix(suffix))


def gallery_path(output: Place) -> Place:
    """Return the place of the page that shows the last run."""
    return output / GALLERY


def contact_sheet_path(output: Place) -> Place:
    """Return the place of the picture of all results, for a batch that is a grid."""
    return output / CONTACT_SHEET


def previews_folder(output: Place) -> Place:
    """Return the folder of the page's small pictures, and contents at the size of results."""
    return output / PREVIEWS


def error_path(output: Place, name: str) -> Place:
    """Return the place of a failed row's traceback."""
    return output / ERRORS / str(PurePosixPath(name).with_suffix(".txt"))


def summary_path(output: Place, suffix: str = ".csv") -> Place:
    """Return the place of the last run's table."""
    return output / f"{SUMMARY}{suffix}"


def row_records(output: Place) -> Place:
    """Return the folder of finished rows' records; like the pictures, they belong to the output."""
    return output / KEPT / "rows"


def moving_path(output: Place, sha256: str) -> Place:
    """Return where a picture or curve waits while rows change places, named by its SHA-256."""
    return output / KEPT / "moving" / sha256


def output_lock(output: Place) -> Path:
    """Return the lock file that is held by the run that writes to the output folder.

    Object storage has no locks that are released when their holder dies, so there the lock only
    excludes other runs on the same machine.
    """
    if isinstance(output, Path):
        return output / KEPT / "lock"
    return shared_lock(f"output-{hashlib.sha256(str(output).encode()).hexdigest()[:32]}")


def style_locks(cache: Place) -> Path:
    """Return the folder of locks under which one run computes a style's targets while others wait.

    For a cache in object storage, this folder is the user's own: another user of this machine, like
    another machine, may compute the same targets at the same time.
    """
    if isinstance(cache, Path):
        return cache / "styles" / "records" / "locks"
    return local_cache(user_cache()) / "locks"


def libraries_log_path(output: Place) -> Path:
    """Return the file for what TensorFlow and Prefect's server write, always on this machine."""
    if isinstance(output, Path):
        return output / KEPT / "libraries.log"
    return local_cache(user_cache()) / "libraries.log"


def style_records(cache: Place) -> Place:
    """Return the folder of the records of style targets, which belong to no batch."""
    return cache / "styles" / "records"


def style_files(cache: Place) -> Place:
    """Return the folder of the style targets themselves."""
    return cache / "styles" / "targets"


def styles_in_use(cache: Place) -> Place:
    """Return the folder of lists of the style targets that runs need now, one file for each run."""
    return cache / "styles" / "in-use"


def folders_written(output: Place, cache: Place) -> Iterator[Path]:
    """Yield the folders on this machine's disks in which runs write files."""
    if isinstance(output, Path):
        yield output
        for name in (PICTURES, *MANAGED_FOLDERS):
            yield from (Path(folder) for folder, _, _ in os.walk(output / name))
    for folder in (style_files(cache), style_records(cache), local_cache(cache) / "weights"):
        if isinstance(folder, Path):
            yield folder


def targets_path(records: Place, key: str) -> Place:
    """Return the place of a record's targets, beside the folder of records."""
    return records.parent / "targets" / f"{key}.safetensors"


def make_folders(output: Place, cache: Place) -> None:
    """Create missing folders; those of records and targets are for their owner only.

    Anybody who can write to those decides what is painted. Object storage has no folders to create;
    instead, this checks that the storage can be written to.

    Raises:
        OSError: a folder cannot be created, or the storage cannot be written to.
    """
    if isinstance(output, Path):
        picture_path(output, "").mkdir(parents=True, exist_ok=True)
        make_private(output / KEPT, output / KEPT / "rows")
    else:
        write_atomic(writable_marker(output), b"")
    if isinstance(cache, Path):
        styles = cache / "styles"
        make_private(cache, styles, styles / "targets", styles / "records")
    else:
        write_atomic(writable_marker(cache), b"")


def writable_marker(folder: Place) -> Place:
    """Return where a run writes an empty object first, to learn at once whether it can write there.

    Raises:
        OSError: nothing can be written to such an address.
    """
    if not isinstance(folder, Path) and folder.protocol in READ_ONLY:
        raise OSError(errno.EROFS, f"{folder.protocol}:// can only be read", redacted(folder))
    return folder / KEPT / "writable"
