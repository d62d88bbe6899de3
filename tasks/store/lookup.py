"""Lookup of finished rows: what earlier runs left of them, and where their files are."""

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from nst_core.storage.files import StorageError, read_kept, reads_at_once, sizes_of_files
from nst_core.storage.local import is_link, leads_into, on_disk
from nst_core.storage.places import Place, redacted
from tasks.job import Job
from tasks.store.curves import MOST_BYTES as MOST_CURVE_BYTES
from tasks.store.curves import is_curve_of
from tasks.store.file_reference import (
    FileReference,
    ForeignRecordError,
    NewerRecordError,
    RecordError,
)
from tasks.store.output_folder import CURVES, PICTURES, OutputFolder
from tasks.store.records import PictureRecord, forget_record, read_record

logger = logging.getLogger("nst_batch.lookup")


@dataclass(frozen=True)
class Finished:
    """What an earlier run left of a row, or of several equal rows.

    Attributes:
        record: as it is stored.
        picture: where the picture is.
        curve: where the loss curve is; None if no curve is known to be the row's own.
        in_place: the places of its rows that already hold the picture or the curve.
    """

    record: PictureRecord
    picture: FileReference
    curve: FileReference | None
    in_place: frozenset[Place]

    @property
    def found(self) -> PictureRecord:
        """The record, with the places where the files are."""
        return self.record.model_copy(update={"file": self.picture, "curve_file": self.curve})


def by_key(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """Group equal jobs by key, in the manifest's order."""
    grouped: dict[str, list[Job]] = {}
    for job in jobs:
        grouped.setdefault(job.key, []).append(job)
    return grouped


def first_lines(jobs: Iterable[Job]) -> list[int]:
    """Return, for each job, the line of the first job that is equal to it, or its own line."""
    first: dict[str, int] = {}
    return [first.setdefault(job.key, job.line) for job in jobs]


def find_finished(
    jobs: Iterable[Job], output: OutputFolder, newer: dict[str, str] | None = None
) -> dict[str, Finished]:
    """Return the jobs that are done, by key; change nothing.

    This is the only place that decides whether a row is done.

    Args:
        jobs: the jobs.
        output: the batch's output folder.
        newer: receives, by key, why a job that a newer version finished must not run.

    Raises:
        StorageError: a storage does not say whether there is a record.
    """
    grouped, there, records = by_key(jobs), FilesBySize(output), output.records

    def look(key: str) -> Finished | RecordError | None:
        try:
            record = read_record(records / key, key, PictureRecord)
            return look_for(record, [job.output for job in grouped[key]], there)
        except FileNotFoundError:
            return None
        except RecordError as error:
            return error

    found: dict[str, Finished] = {}
    with ThreadPoolExecutor(reads_at_once(output.root)) as pool:
        for key, seen in zip(grouped, pool.map(look, grouped), strict=True):
            if isinstance(seen, NewerRecordError) and newer is not None:
                newer[key] = f"{seen}; use that version, or repeat all rows with --refresh"
            elif isinstance(seen, RecordError):
                name = grouped[key][0].output
                logger.warning(
                    "%s is stylized again, because its record cannot be used (%s)", name, seen
                )
            elif seen:
                found[key] = seen
    return found


def forget_foreign(jobs: Iterable[Job], output: OutputFolder) -> None:
    """Remove what is in place of these jobs' records if it is foreign (`ForeignRecordError`)."""
    records = output.records

    def look(key: str) -> None:
        try:
            read_record(output.records / key, key, PictureRecord)
        except ForeignRecordError:
            forget_record(records / key)
        except (OSError, RecordError):
            return

    with ThreadPoolExecutor(reads_at_once(output.root)) as pool:
        list(pool.map(look, by_key(jobs)))


class FilesBySize:
    """The pictures and curves in an output folder on a disk, listed once and only if necessary."""

    def __init__(self, output: OutputFolder) -> None:
        self.output = output

    def of(self, folder: str, size: int) -> list[Place]:
        """Return the files of this size in `pictures/` or `losses/`."""
        if on_disk(self.output.root) is None:
            return []
        return (self._pictures if folder == PICTURES else self._curves).get(size, [])

    @cached_property
    def _pictures(self) -> dict[int, list[Place]]:
        return _by_size(self.output.root / PICTURES)

    @cached_property
    def _curves(self) -> dict[int, list[Place]]:
        return _by_size(self.output.root / CURVES)


def _by_size(folder: Place) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    with suppress(OSError):
        for name, size in sorted(sizes_of_files(folder).items()):
            if not is_link(folder / name):
                found.setdefault(size, []).append(folder / name)
    return found


def look_for(record: PictureRecord, names: Sequence[str], there: FilesBySize) -> Finished:
    """Find the files of a record.

    They are looked for in the places of its rows, then where the record says (but always in this
    output folder, whatever folder it names), then where a killed run set them aside, and on a disk
    among all pictures.

    Args:
        record: as it is stored.
        names: the outputs of its rows.
        there: the output folder.

    Raises:
        RecordError: its picture does not exist.
        StorageError: a storage refuses a request or does not answer.
    """
    output = there.output
    pictures = [output.picture(name) for name in names]
    picture, in_place = _locate(record.file, pictures, PICTURES, there)
    if picture is None:
        raise RecordError(
            f"{redacted(pictures[0])} is missing or changed, and no other file matches: expected "
            f"{record.file.size} bytes with SHA-256 {record.file.sha256[:12]}..."
        )
    curves = [output.curve(name) for name in names]
    known = record.curve_file or _curve_of_old_record(record, curves, output)
    curve: FileReference | None = None
    if known:
        curve, also_in_place = _locate(known, curves, CURVES, there)
        in_place |= also_in_place
    return Finished(record, picture, curve, frozenset(in_place))


def _locate(
    contents: FileReference, wanted: Sequence[Place], folder: str, there: FilesBySize
) -> tuple[FileReference | None, set[Place]]:
    """Return where a file is, if it is anywhere, and which of the wanted places hold it."""
    held = {path: found for path in wanted if (found := _at(contents, path))}
    if held:
        return next(iter(held.values())), set(held)
    named = places_named(contents.path, folder, there.output)
    aside = there.output.moving(contents.sha256)
    for path in (*named, aside, *there.of(folder, contents.size)):
        if found := _at(contents, path):
            return found, set()
    return None, set()


def _at(contents: FileReference, path: Place) -> FileReference | None:
    """Return a reference to a file in this place, if it is there."""
    try:
        return contents.at(path).verify()
    except RecordError:
        return None


def places_named(named: Place, folder: str, output: OutputFolder) -> list[Place]:
    """Return places in the output folder that a record's path may mean, wherever it was written.

    Only the part after `pictures/` or `losses/` counts, and it never leads outside that folder,
    neither through `..` nor through symbolic links.
    """
    parts = PurePosixPath(str(named)).parts
    below = [parts[start + 1 :] for start, part in enumerate(parts) if part == folder]
    within = output.root / folder
    return [
        within.joinpath(*names)
        for names in below
        if names and not {"..", "."} & {*names} and leads_into(within, within.joinpath(*names))
    ]


def _curve_of_old_record(
    record: PictureRecord, curves: Sequence[Place], output: OutputFolder
) -> FileReference | None:
    """Return the curve of a record that lacks its SHA-256, if one is known to be the record's own.

    The curve's last point must be that of the picture. If this is true of two curves, neither is
    used.
    """
    found: dict[bytes, Place] = {}
    for path in dict.fromkeys([*curves, *places_named(record.curve, CURVES, output)]):
        try:
            data = read_kept(path, MOST_CURVE_BYTES)
        except StorageError:
            raise
        except (OSError, ValueError):
            continue
        if is_curve_of(data, record):
            found.setdefault(data, path)
    if len(found) != 1:
        return None
    ((data, path),) = found.items()
    return FileReference.to(path, data)
