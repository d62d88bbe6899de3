"""The output folder of a batch: what is in it, and what may be asked of it, in any storage."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from nst_core.errors import UserError
from nst_core.storage.files import list_files, local_cache, probe, user_cache, write_atomic
from nst_core.storage.folders import make_folder
from nst_core.storage.held_files import sweep_parts
from nst_core.storage.leases import LeaseHeldError, leased, loss_of
from nst_core.storage.local import make_private, on_disk
from nst_core.storage.locks import flock, holder_of, shared_lock
from nst_core.storage.places import Place, redacted
from tasks.stopping import AbandonedError, ask_to_abandon, withdraw_request
from tasks.store.records import remove_failures

PICTURES, CURVES, INTERRUPTED, PAGE_PICTURES = "pictures", "losses", "interrupted", "gallery"
INTERMEDIATES, PLOTS, ANIMATIONS, ERRORS = "intermediates", "plots", "animations", "errors"
CONTACT_SHEET, GALLERY, SUMMARY, ALL_CURVES = (
    *("contact_sheet.png", "gallery.html", "summary", "loss_curves"),
)
INTERNAL, RUN_LOG, MANIFEST = ".nst-batch", "run.log", "manifest.csv"

MANAGED_FOLDERS = (
    *(CURVES, INTERRUPTED, PAGE_PICTURES, INTERMEDIATES, PLOTS, ANIMATIONS, ERRORS, INTERNAL),
)
"""Folders below the output folder in which runs replace and remove files of earlier runs."""

MANAGED_FILES = (
    *(CONTACT_SHEET, GALLERY, f"{SUMMARY}.csv", f"{SUMMARY}.parquet"),
    *(f"{ALL_CURVES}.png", f"{ALL_CURVES}.svg", RUN_LOG, f"{RUN_LOG}.1"),
)
"""Files in the output folder itself that runs and `nst-batch plot` replace or append to."""


THUMBNAIL_SIDE = 640
"""Longest side of the page's thumbnails, in pixels, so that large cards show them sharply."""


class InUseError(UserError):
    """Another run holds the lock of an output folder; the message says what to do."""


def curve_name(name: str) -> str:
    """Return the path of a row's loss curve within the folder of loss curves."""
    return str(PurePosixPath(name).with_suffix(".csv"))


@dataclass(frozen=True)
class OutputFolder:
    """The folder of a batch's results.

    In its methods, `name` is a row's output, with `/` between folders and the suffix of
    its format, such as `.png`, at its end.

    Attributes:
        root: where it is, on a disk or in object storage.
    """

    root: Place

    def __str__(self) -> str:
        return redacted(self.root)

    def absolute(self) -> Self:
        """Return the same folder with an absolute path."""
        return type(self)(self.root.absolute())

    def picture(self, name: str) -> Place:
        """Return the place of a row's picture."""
        return self.root / PICTURES / name

    def curve(self, name: str) -> Place:
        """Return the place of a row's loss curve."""
        return self.root / CURVES / curve_name(name)

    def intermediates_folder(self, name: str) -> Place:
        """Return the folder of a row's intermediates (see `--save-every`), named by step."""
        return self.root / INTERMEDIATES / str(PurePosixPath(name).with_suffix(""))

    def intermediate(self, name: str, step: int) -> Place:
        """Return the place of a row's picture after this step; names sort in order of steps."""
        return self.intermediates_folder(name) / f"{step:06d}.png"

    def intermediates(self, name: str) -> list[Place]:
        """Return the existing intermediates of a row, in order.

        Raises:
            OSError: the folder cannot be read.
        """
        folder = self.intermediates_folder(name)
        # The folder may also contain folders of other rows, and what a killed run was writing.
        names = sorted(name for name in list_files(folder) if re.fullmatch(r"\d{6,}\.png", name))
        return [folder / name for name in names]

    def interrupted(self, name: str) -> Place:
        """Return the place of a stopped row's best picture so far; its result is still to come."""
        return self.root / INTERRUPTED / name

    def plot(self, name: str, suffix: str) -> Place:
        """Return the place of the plot of a row's loss curve, `.png` or `.svg`."""
        return self.root / PLOTS / str(PurePosixPath(name).with_suffix(suffix))

    def animation(self, name: str, suffix: str) -> Place:
        """Return the place of an animation, such as `.gif` or `.webp`."""
        return self.root / ANIMATIONS / str(PurePosixPath(name).with_suffix(suffix))

    def error(self, name: str) -> Place:
        """Return the place of a failed row's traceback."""
        return self.root / ERRORS / str(PurePosixPath(name).with_suffix(".txt"))

    def all_curves(self, suffix: str) -> Place:
        """Return the place of the plot of all rows' total losses, `.png` or `.svg`."""
        return self.root / f"{ALL_CURVES}{suffix}"

    def summary(self, suffix: str = ".csv") -> Place:
        """Return the place of the last run's table, `.csv` or `.parquet`."""
        return self.root / f"{SUMMARY}{suffix}"

    @property
    def run_log(self) -> Place:
        """The place of the log of this folder's runs; older runs are in `run.log.1`."""
        return self.root / RUN_LOG

    @property
    def gallery(self) -> Place:
        """The place of the page that shows the last run."""
        return self.root / GALLERY

    @property
    def contact_sheet(self) -> Place:
        """The place of the picture of all results, for a batch that is a grid."""
        return self.root / CONTACT_SHEET

    @property
    def page_pictures(self) -> Place:
        """The folder of the page's thumbnails, and of contents at the size of results."""
        return self.root / PAGE_PICTURES

    @property
    def manifest(self) -> Place:
        """The place of the manifest that a run from photographs lays out and keeps."""
        return self.root / MANIFEST

    @property
    def manifest_digests(self) -> Place:
        """The place of the digests of the manifests that runs wrote there."""
        return self.root / INTERNAL / "manifests"

    @property
    def given_names(self) -> Place:
        """The place of all names that runs from photographs gave to results."""
        return self.root / INTERNAL / "names.json"

    @property
    def records(self) -> Place:
        """The folder of finished rows' records, which are named by the rows' keys."""
        return self.root / INTERNAL / "rows"

    @property
    def checkpoints(self) -> Place:
        """The folder of unfinished rows' checkpoints, which are named by the rows' keys."""
        return self.root / INTERNAL / "checkpoints"

    def checkpoint(self, key: str) -> Place:
        """Return the place of a row's checkpoint."""
        return self.checkpoints / key

    def moving(self, sha256: str) -> Place:
        """Return where a picture or curve waits while rows change places, named by its SHA-256."""
        return self.root / INTERNAL / "moving" / sha256

    @property
    def libraries_log(self) -> Path:
        """The file for what TensorFlow and Prefect's server write, always on this machine."""
        folder = on_disk(self.root)
        return folder / INTERNAL / "libraries.log" if folder else own_cache() / "libraries.log"

    @property
    def lock_file(self) -> Path:
        """The lock file that is held by the run that writes to this folder.

        Object storage has no such locks. There, the lock excludes other runs on the same machine,
        and a lease excludes those on other machines.
        """
        if folder := on_disk(self.root):
            return folder / INTERNAL / "lock"
        return shared_lock(f"output-{hashlib.sha256(str(self.root).encode()).hexdigest()[:32]}")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against other runs; the lock ends if the process does.

        The kernel releases it immediately. In object storage, runs on other machines are refused
        until the lease ends (docs/storage.md).

        Raises:
            InUseError: another run has the lock; this is raised within seconds.
            LockError: the lock cannot be used.
            LeaseLostError: the lease was not renewed in time, and the flow was abandoned.
            OSError: the storage does not answer.
        """
        descriptor = flock(self.lock_file, timeout=0)
        if descriptor is None:
            raise self._in_use(holder_of(self.lock_file))
        try:
            with nullcontext() if on_disk(self.root) else self._lease():
                yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _lease(self) -> Iterator[None]:
        try:
            with leased(self.root / INTERNAL / "leases", str(self), on_loss=ask_to_abandon):
                yield
        except LeaseHeldError as held:
            ends = f"if it was killed, its lease ends within {held.seconds:.0f} s"
            raise self._in_use(held.holder, f"; {ends}") from held
        except AbandonedError:
            raise loss_of(str(self)) from None
        finally:
            withdraw_request()

    def _in_use(self, holder: str, advice: str = "") -> InUseError:
        return InUseError(
            f"{self}: another run is writing there{f' ({holder})' if holder else ''}; "
            f"wait for it, or choose another output folder{advice}"
        )

    def make(self) -> None:
        """Create missing folders; only its owner may use that of the records.

        Anybody who can write records decides what counts as done. Object storage has no folders to
        create; instead, this checks that the storage can be written to.

        Raises:
            OSError: a folder cannot be created, or the storage cannot be written to.
        """
        if folder := on_disk(self.root):
            make_folder(folder / PICTURES)
            make_private(folder / INTERNAL, folder / INTERNAL / "rows")
        else:
            write_atomic(self.root / INTERNAL / "writable", b"")

    def probe(self) -> list[OSError]:
        """Return the reasons why results could not be written; leave nothing behind."""
        below = (self.root / PICTURES, self.records) if on_disk(self.root) else ()
        errors: dict[str, OSError] = {}
        for folder in (self.root, *below):
            try:
                probe(folder)
            except OSError as error:
                errors[str(error)] = error
                if folder == self.root:
                    # Nothing below it can be written either.
                    break
        return [*errors.values()]

    def sweep(self) -> None:
        """Remove what killed runs and failed tasks left."""
        remove_failures(self.records)
        if folder := on_disk(self.root):
            walked = (
                Path(path)
                for name in (PICTURES, *MANAGED_FOLDERS)
                for path, _, _ in os.walk(folder / name)
            )
            sweep_parts([folder, *walked])


def own_cache() -> Path:
    """Return the part of the user's cache that is always on this machine, for locks and logs.

    Raises:
        PlaceError: the user has no cache folder.
    """
    return local_cache(user_cache())
