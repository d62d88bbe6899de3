"""Where things lie: below the output folder, and in the cache that all batches share."""

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from nst_core.files import local_cache, make_private, names_below, user_cache, write_whole
from nst_core.locks import shared_lock
from nst_core.places import READ_ONLY, Place, told

PICTURES, CURVES, INTERRUPTED, PREVIEWS = "pictures", "losses", "interrupted", "gallery"
INTERMEDIATES, PLOTS, ANIMATIONS, ERRORS = "intermediates", "plots", "animations", "errors"
CONTACT_SHEET, GALLERY, SUMMARY, ALL_CURVES = (
    *("contact_sheet.png", "gallery.html", "summary", "loss_curves"),
)
KEPT = ".nst-batch"

MANAGED_FOLDERS = (
    *(CURVES, INTERRUPTED, PREVIEWS, INTERMEDIATES, PLOTS, ANIMATIONS, ERRORS, KEPT),
)
"""In these, below the output folder, runs replace and remove what earlier runs have written."""

MANAGED_FILES = (
    *(CONTACT_SHEET, GALLERY, f"{SUMMARY}.csv", f"{SUMMARY}.parquet"),
    *(f"{ALL_CURVES}.png", f"{ALL_CURVES}.svg"),
)
"""Files in the output folder itself that runs and `nst-batch plot` replace."""


def picture_path(output: Place, name: str) -> Place:
    """The picture of a row, `name` being its output with `/` between folders."""
    return output / PICTURES / name


def curve_name(name: str) -> str:
    """A row's loss curve, in the folder of them."""
    return str(PurePosixPath(name).with_suffix(".csv"))


def curve_path(output: Place, name: str) -> Place:
    """The loss curve of a row."""
    return output / CURVES / curve_name(name)


def intermediates_folder(output: Place, name: str) -> Place:
    """The pictures on a row's way, `--save-every` so many steps, named by their step."""
    return output / INTERMEDIATES / str(PurePosixPath(name).with_suffix(""))


def intermediate_path(output: Place, name: str, step: int) -> Place:
    """The picture of a row after so many steps; names sort as the steps do."""
    return intermediates_folder(output, name) / f"{step:06d}.png"


def intermediates_of(output: Place, name: str) -> list[Place]:
    """The pictures on a row's way that are there, in order.

    Raises:
        OSError: the folder cannot be read.
    """
    folder = intermediates_folder(output, name)
    # In it there may be folders of other rows, and what a killed run was writing.
    names = sorted(name for name in names_below(folder) if re.fullmatch(r"\d{6,}\.png", name))
    return [folder / name for name in names]


def interrupted_path(output: Place, name: str) -> Place:
    """The best picture that a row had when its batch was stopped; its result is still to come."""
    return output / INTERRUPTED / name


def plot_path(output: Place, name: str, ending: str) -> Place:
    """The plot of a row's loss curve, `.png` or `.svg`."""
    return output / PLOTS / str(PurePosixPath(name).with_suffix(ending))


def all_curves_path(output: Place, ending: str) -> Place:
    """The plot of the total losses of all rows, `.png` or `.svg`."""
    return output / f"{ALL_CURVES}{ending}"


def animation_path(output: Place, name: str, ending: str) -> Place:
    """A row's way as a moving picture, `.gif` or `.webp`."""
    return output / ANIMATIONS / str(PurePosixPath(name).with_suffix(ending))


def gallery_path(output: Place) -> Place:
    """The page that shows the last run."""
    return output / GALLERY


def contact_sheet_path(output: Place) -> Place:
    """All results of a batch that is a grid, in one picture."""
    return output / CONTACT_SHEET


def previews_folder(output: Place) -> Place:
    """What the page shows: small pictures, and contents at the size of results."""
    return output / PREVIEWS


def error_path(output: Place, name: str) -> Place:
    """The traceback of a row that failed."""
    return output / ERRORS / str(PurePosixPath(name).with_suffix(".txt"))


def summary_path(output: Place, ending: str = ".csv") -> Place:
    """The table of the last run."""
    return output / f"{SUMMARY}{ending}"


def row_records(output: Place) -> Place:
    """The records of finished rows; they belong to the pictures, hence to the output folder."""
    return output / KEPT / "rows"


def moving_path(output: Place, sha256: str) -> Place:
    """Where a picture or curve waits while rows change places, named by what it holds."""
    return output / KEPT / "moving" / sha256


def output_lock(output: Place) -> Path:
    """Held by the run that writes to the output folder.

    Object storage has no locks that die with their holder, so that there only runs of one machine
    are kept apart.
    """
    if isinstance(output, Path):
        return output / KEPT / "lock"
    return shared_lock(f"output-{hashlib.sha256(str(output).encode()).hexdigest()[:32]}")


def style_locks(cache: Place) -> Path:
    """The folder of locks under which one run computes a style's targets while others wait.

    For a cache in object storage it is the user's own: another user of this machine, like another
    machine, may compute the same targets at the same time.
    """
    if isinstance(cache, Path):
        return cache / "styles" / "records" / "locks"
    return local_cache(user_cache()) / "locks"


def libraries_log_path(output: Place) -> Path:
    """What TensorFlow and Prefect's server wrote during runs, always on this machine."""
    if isinstance(output, Path):
        return output / KEPT / "libraries.log"
    return local_cache(user_cache()) / "libraries.log"


def style_records(cache: Place) -> Place:
    """The records of style targets; they belong to no batch."""
    return cache / "styles" / "records"


def style_files(cache: Place) -> Place:
    """The style targets themselves."""
    return cache / "styles" / "targets"


def styles_in_use(cache: Place) -> Place:
    """The lists of the style targets that runs need now, a file for each run."""
    return cache / "styles" / "in-use"


def folders_written(output: Place, cache: Place) -> Iterator[Path]:
    """The folders of this machine's disks in which runs write files."""
    if isinstance(output, Path):
        yield output
        for name in (PICTURES, *MANAGED_FOLDERS):
            yield from (Path(folder) for folder, _, _ in os.walk(output / name))
    for folder in (style_files(cache), style_records(cache), local_cache(cache) / "weights"):
        if isinstance(folder, Path):
            yield folder


def targets_path(records: Place, key: str) -> Place:
    """The targets that a record is of, beside the folder of records."""
    return records.parent / "targets" / f"{key}.safetensors"


def make_folders(output: Place, cache: Place) -> None:
    """Make what is missing; records and targets for their owner alone.

    Whoever writes to those decides what is painted. In object storage there are no folders to be
    made; whether it can be written is found out instead.

    Raises:
        OSError: a folder cannot be made, or the storage cannot be written.
    """
    if isinstance(output, Path):
        picture_path(output, "").mkdir(parents=True, exist_ok=True)
        make_private(output / KEPT, output / KEPT / "rows")
    else:
        write_whole(writable_marker(output), b"")
    if isinstance(cache, Path):
        styles = cache / "styles"
        make_private(cache, styles, styles / "targets", styles / "records")
    else:
        write_whole(writable_marker(cache), b"")


def writable_marker(folder: Place) -> Place:
    """Where a run writes an empty object first, to find out at once whether it can write there.

    Raises:
        OSError: nothing can be written to such an address.
    """
    if not isinstance(folder, Path) and folder.protocol in READ_ONLY:
        raise OSError(errno.EROFS, f"{folder.protocol}:// can only be read", told(folder))
    return folder / KEPT / "writable"
