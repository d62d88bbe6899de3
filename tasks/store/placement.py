"""Placement of finished rows: where their pictures and loss curves are, and where they belong.

A row may be given another output, even one that was another row's. First, all finished rows are
examined, read-only. Then whatever a row needs and another row's file is about to replace is set
aside, named by its contents. Only after that are files replaced. If a process is killed at any
moment, every picture is therefore in a place that its record names, or in the place of its row, or
set aside, and the next run finds it by its contents.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from nst_core.storage.files import StorageError, list_files, read_kept, remove, size_of
from nst_core.storage.places import Place, redacted
from tasks.job import Job
from tasks.store.curves import MOST_BYTES as MOST_CURVE_BYTES
from tasks.store.curves import is_curve_of
from tasks.store.layout import CURVES, PICTURES, curve_path, moving_path, picture_path, row_records
from tasks.store.records import (
    FileReference,
    ForeignRecordError,
    PictureRecord,
    RecordError,
    forget_record,
    read_record,
    write_record,
)

logger = logging.getLogger("nst_batch.placement")

LOOKS_AT_ONCE = 8
"""How many records are looked up at once; storage answers slowly, but many requests in parallel."""


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


@dataclass(frozen=True)
class Placed:
    """The result of putting finished rows in their places.

    Attributes:
        records: by line, each naming the row's own files.
        errors: by line, why a picture could not be put in its place.
    """

    records: dict[int, PictureRecord] = field(default_factory=dict)
    errors: dict[int, OSError | RecordError] = field(default_factory=dict)


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


def find_finished(jobs: Iterable[Job], output: Place) -> dict[str, Finished]:
    """Return the jobs that are done, by key; change nothing.

    This is the only place that decides whether a row is done.

    Raises:
        StorageError: a storage does not say whether there is a record.
    """
    grouped = by_key(jobs)
    records = row_records(output)

    there = FilesBySize(output)

    def look(key: str) -> Finished | RecordError | None:
        try:
            record = read_record(records / key, key, PictureRecord)
            return look_for(record, [job.output for job in grouped[key]], there)
        except FileNotFoundError:
            return None
        except RecordError as error:
            return error

    found: dict[str, Finished] = {}
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        for key, seen in zip(grouped, pool.map(look, grouped), strict=True):
            if isinstance(seen, RecordError):
                name = grouped[key][0].output
                logger.warning("%s: made again: what was kept cannot be used (%s)", name, seen)
            elif seen:
                found[key] = seen
    return found


def forget_foreign(jobs: Iterable[Job], output: Place) -> None:
    """Remove what is in place of these jobs' records if it is foreign (`ForeignRecordError`)."""
    records = row_records(output)

    def look(key: str) -> None:
        try:
            read_record(records / key, key, PictureRecord)
        except ForeignRecordError:
            forget_record(records / key)
        except (OSError, RecordError):
            return

    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        list(pool.map(look, by_key(jobs)))


class FilesBySize:
    """The pictures and curves in an output folder on a disk, listed once and only if necessary."""

    def __init__(self, output: Place) -> None:
        self.output = output

    def of(self, folder: str, size: int) -> list[Path]:
        """Return the files of this size in `pictures/` or `losses/`."""
        if not isinstance(self.output, Path):
            return []
        return (self._pictures if folder == PICTURES else self._curves).get(size, [])

    @cached_property
    def _pictures(self) -> dict[int, list[Path]]:
        return _by_size(self.output / PICTURES)

    @cached_property
    def _curves(self) -> dict[int, list[Path]]:
        return _by_size(self.output / CURVES)


def _by_size(folder: Place) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    with suppress(OSError):
        for name in sorted(list_files(folder)):
            path = folder / name
            assert isinstance(path, Path)
            if not path.is_symlink():
                found.setdefault(size_of(path), []).append(path)
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
        RecordError: its picture is not there.
        StorageError: a storage refuses or does not answer.
    """
    output = there.output
    pictures = [picture_path(output, name) for name in names]
    picture, in_place = _locate(record.file, pictures, PICTURES, there)
    if picture is None:
        raise RecordError(
            f"{redacted(pictures[0])} is not there as it was, and no other file is: expected "
            f"{record.file.size} bytes with SHA-256 {record.file.sha256[:12]}..."
        )
    curves = [curve_path(output, name) for name in names]
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
    aside = moving_path(there.output, contents.sha256)
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


def places_named(named: Place, folder: str, output: Place) -> list[Place]:
    """Return places in the output folder that a record's path may mean, wherever it was written.

    Only the part after `pictures/` or `losses/` counts, and it never leads outside that folder,
    neither through `..` nor through symbolic links.
    """
    parts = PurePosixPath(str(named)).parts
    below = [parts[start + 1 :] for start, part in enumerate(parts) if part == folder]
    within = output / folder
    return [
        within.joinpath(*names)
        for names in below
        if names and not {"..", "."} & {*names} and _is_within(within, names)
    ]


def _is_within(folder: Place, names: Sequence[str]) -> bool:
    if not isinstance(folder, Path):
        return True
    try:
        return folder.joinpath(*names).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        # This is a name that no file can have, or the links form a circle.
        return False


def _curve_of_old_record(
    record: PictureRecord, curves: Sequence[Place], output: Place
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


def place_finished(finished: Mapping[str, Finished], jobs: Iterable[Job], output: Place) -> Placed:
    """Put every picture and curve of finished rows where its row wants it, and renew records.

    Args:
        finished: returned by `find_finished`.
        jobs: the jobs that it looked for, in the manifest's order.
        output: the batch's output folder.
    """
    rows = {key: of_key for key, of_key in by_key(jobs).items() if key in finished}
    _keep_curves_in_mind(finished, output)
    moved = _move(_moves(finished, rows, output), output)
    placed = Placed()
    for key, of_key in rows.items():
        for job in of_key:
            _settle(finished[key], job, moved, placed, output)
    unsettled = _renew(finished, rows, placed, output)
    unsettled |= {job.key for jobs in rows.values() for job in jobs if job.line in placed.errors}
    _tidy(finished, unsettled, output)
    _warn_of_lost_curves(finished, rows, output)
    return placed


Move = FileReference | OSError | RecordError
"""A file in its new place, or the reason why it is not there."""


def _keep_curves_in_mind(finished: Mapping[str, Finished], output: Place) -> None:
    """Complete records that lack the SHA-256 of their curves, before the curves are moved."""

    def complete(key: str) -> None:
        kept = finished[key]
        if kept.curve and not kept.record.curve_file:
            update = {"curve": kept.curve.path, "curve_file": kept.curve}
            _write(kept.record.model_copy(update=update), output)

    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        list(pool.map(complete, finished))


def _write(record: PictureRecord, output: Place) -> bool:
    """Return whether a record could be written; if not, log a warning."""
    path = row_records(output) / record.key
    try:
        write_record(path, record)
    except OSError as error:
        logger.warning("%s: the record cannot be renewed: %s", redacted(path), error.strerror)
        return False
    return True


def _moves(
    finished: Mapping[str, Finished], rows: Mapping[str, list[Job]], output: Place
) -> dict[Place, FileReference]:
    """Return which file must go to which place, for all places that do not hold it already."""
    moves: dict[Place, FileReference] = {}
    for key, jobs in rows.items():
        kept = finished[key]
        for job in jobs:
            moves[picture_path(output, job.output)] = kept.picture
            if kept.curve:
                moves[curve_path(output, job.output)] = kept.curve
    there = {place for kept in finished.values() for place in kept.in_place}
    return {place: source for place, source in moves.items() if place not in there}


def _move(moves: Mapping[Place, FileReference], output: Place) -> dict[Place, Move]:
    """Copy files, first those that another file is about to replace."""
    in_danger = {source.path: source for source in moves.values() if source.path in moves}

    def set_aside(source: FileReference) -> Move:
        return _copy(source, moving_path(output, source.sha256))

    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        aside = dict(zip(in_danger, pool.map(set_aside, in_danger.values()), strict=True))

        def put(place: Place) -> Move:
            source = moves[place]
            # A file is not replaced before it is safe, nor read once it may have been replaced.
            safe = [aside[path] for path in (place, source.path) if path in aside]
            failed = next((move for move in safe if not isinstance(move, FileReference)), None)
            return failed or _copy(aside.get(source.path, source), place)

        return dict(zip(moves, pool.map(put, moves), strict=True))


def _copy(source: Move, place: Place) -> Move:
    if not isinstance(source, FileReference):
        return source
    try:
        return FileReference.write(place, source.read())
    except (OSError, RecordError) as error:
        return error


def _settle(
    kept: Finished, job: Job, moved: Mapping[Place, Move], placed: Placed, output: Place
) -> None:
    """Note in `placed` where a row's files are now, or why they are not in place."""
    place, curve_place = picture_path(output, job.output), curve_path(output, job.output)
    file = moved.get(place, kept.picture.at(place))
    curve = moved.get(curve_place, kept.curve.at(curve_place)) if kept.curve else None
    for move in (file, curve):
        if isinstance(move, Exception):
            placed.errors[job.line] = move
            return
    update = {"file": file, "curve": curve_place.absolute(), "curve_file": curve}
    placed.records[job.line] = kept.record.model_copy(update=update)


def _renew(
    finished: Mapping[str, Finished], rows: Mapping[str, list[Job]], placed: Placed, output: Place
) -> set[str]:
    """Write the records whose pictures moved; return the keys of those that name another place.

    The record of equal rows names one of their pictures: the same as before, if it still exists.
    """

    def renew(key: str) -> bool:
        own = [placed.records[job.line] for job in rows[key] if job.line in placed.records]
        record = finished[key].record
        named = places_named(record.file.path, PICTURES, output)
        if not own:
            return False
        if any(new.file.path in named for new in own):
            return True
        new = own[0]
        if not new.curve_file:
            # Its curve may still return to its former place.
            new = new.model_copy(update={"curve": record.curve, "curve_file": record.curve_file})
        return _write(new, output)

    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        is_renewed = dict(zip(rows, pool.map(renew, rows), strict=True))
    return {key for key, renewed in is_renewed.items() if not renewed}


def _tidy(finished: Mapping[str, Finished], unsettled: set[str], output: Place) -> None:
    """Remove what was set aside, by this run or a killed one, and is in its place by now."""
    of_key = {
        key: {kept.picture.sha256, *([kept.curve.sha256] if kept.curve else [])}
        for key, kept in finished.items()
    }
    needed = {sha256 for key in unsettled for sha256 in of_key[key]}
    in_place = {sha256 for key in of_key for sha256 in of_key[key]} - needed
    folder = moving_path(output, "")
    try:
        for name in list_files(folder) & in_place:
            remove(folder / name)
    except OSError as error:
        logger.warning("%s: what was set aside there stays: %s", redacted(folder), error.strerror)


def _warn_of_lost_curves(
    finished: Mapping[str, Finished], rows: Mapping[str, list[Job]], output: Place
) -> None:
    """Warn if a file in a curve's place is not known to be the row's own."""
    lost = [job.output for key, jobs in rows.items() if not finished[key].curve for job in jobs]
    others = [name for name in lost if _is_there(curve_path(output, name))]
    if others:
        logger.warning(
            "%d rows are shown without a loss curve, as the file in its place is not known to be "
            "theirs: %s%s",
            *(len(others), redacted(curve_path(output, others[0]))),
            " and others" if len(others) > 1 else "",
        )


def _is_there(path: Place) -> bool:
    try:
        return size_of(path) >= 0
    except OSError:
        return False
