"""Finished rows: where their pictures and loss curves lie, and putting them where they belong.

A row may be given another output, also one that was another row's. All finished rows are looked at
first, without a change to anything. What a row needs and another row's file is about to replace is
then set aside, named by what it holds; only after that are files replaced. So a process that is
killed at any moment leaves every picture either in a place that its record names, or in the place
of its row, or set aside, and the next run finds it by what it holds.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from nst_core.files import StorageError, names_below, read_kept, remove, size_of
from nst_core.places import Place, told
from tasks.curves import MOST_BYTES as MOST_CURVE_BYTES
from tasks.curves import is_curve_of
from tasks.jobs import Job
from tasks.layout import CURVES, PICTURES, curve_path, moving_path, picture_path, row_records
from tasks.records import (
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
"""Records that are looked for at the same time: storage answers slowly, but many at once."""


@dataclass(frozen=True)
class Finished:
    """What an earlier run left of a row, or of several equal ones.

    Attributes:
        record: as it is kept.
        picture: where the picture lies.
        curve: where the loss curve lies; None where none can be told to be the row's own.
        in_place: the places of its rows that hold the picture or the curve already.
    """

    record: PictureRecord
    picture: FileReference
    curve: FileReference | None
    in_place: frozenset[Place]

    @property
    def found(self) -> PictureRecord:
        """The record, naming the files where they lie."""
        return self.record.model_copy(update={"file": self.picture, "curve_file": self.curve})


@dataclass(frozen=True)
class Placed:
    """How finished rows were put in their places.

    Attributes:
        records: by line, naming the row's own files.
        errors: by line, why a picture could not be put in its place.
    """

    records: dict[int, PictureRecord] = field(default_factory=dict)
    errors: dict[int, OSError | RecordError] = field(default_factory=dict)


def by_key(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """Equal jobs together, in the manifest's order."""
    grouped: dict[str, list[Job]] = {}
    for job in jobs:
        grouped.setdefault(job.key, []).append(job)
    return grouped


def first_lines(jobs: Iterable[Job]) -> list[int]:
    """Of each job, the line of the first one that is equal to it, its own where it is the first."""
    first: dict[str, int] = {}
    return [first.setdefault(job.key, job.line) for job in jobs]


def find_finished(jobs: Iterable[Job], output: Place) -> dict[str, Finished]:
    """By their keys, the jobs that are done; changes nothing.

    This is the one answer to whether a row is done.

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
    """Remove what lies where these jobs' records will be and Prefect could take for another's."""
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
    """The pictures and curves in an output folder on a disk, looked at once and only if need be."""

    def __init__(self, output: Place) -> None:
        self.output = output

    def of(self, folder: str, size: int) -> list[Path]:
        """Those of a size in `pictures/` or in `losses/`."""
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
        for name in sorted(names_below(folder)):
            path = folder / name
            assert isinstance(path, Path)
            if not path.is_symlink():
                found.setdefault(size_of(path), []).append(path)
    return found


def look_for(record: PictureRecord, names: Sequence[str], there: FilesBySize) -> Finished:
    """Where the files of a record lie.

    They are looked for in the places of its rows, then where the record says, in this output folder
    whatever folder it names, then where a run that was killed set them aside, and on a disk among
    all pictures.

    Args:
        record: as it is kept.
        names: the outputs of its rows.
        there: the output folder.

    Raises:
        RecordError: its picture is not there.
        StorageError: a storage does not say.
    """
    output = there.output
    pictures = [picture_path(output, name) for name in names]
    picture, in_place = _locate(record.file, pictures, PICTURES, there)
    if picture is None:
        raise RecordError(
            f"{told(pictures[0])} is not there as it was, and no other file is: expected "
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
    """Where a file is, if it is anywhere, and which of the wanted places hold it."""
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
    """A file, if it is in this place."""
    try:
        return contents.at(path).verify()
    except RecordError:
        return None


def places_named(named: Place, folder: str, output: Place) -> list[Place]:
    """The places in the output folder that a record's path may mean, wherever it was written.

    Only what follows `pictures/` or `losses/` in it counts, and nothing outside that folder is
    meant, whether by `..` or by symbolic links.
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
        # A name that no file can have, or links in a circle.
        return False


def _curve_of_old_record(
    record: PictureRecord, curves: Sequence[Place], output: Place
) -> FileReference | None:
    """The loss curve of a record that does not know its SHA-256, if one can be told to be its own.

    Its last point has to be that of the picture. Where that is so of two curves, neither is taken.
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
        finished: by `find_finished`.
        jobs: those that it looked for, in the manifest's order.
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
"""A file in its new place, or why it is not there."""


def _keep_curves_in_mind(finished: Mapping[str, Finished], output: Place) -> None:
    """Complete records that do not know the SHA-256 of their curves, before these are moved."""

    def complete(key: str) -> None:
        kept = finished[key]
        if kept.curve and not kept.record.curve_file:
            update = {"curve": kept.curve.path, "curve_file": kept.curve}
            _write(kept.record.model_copy(update=update), output)

    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        list(pool.map(complete, finished))


def _write(record: PictureRecord, output: Place) -> bool:
    """Whether a record could be written; one that cannot costs a warning."""
    path = row_records(output) / record.key
    try:
        write_record(path, record)
    except OSError as error:
        logger.warning("%s: the record cannot be renewed: %s", told(path), error.strerror)
        return False
    return True


def _moves(
    finished: Mapping[str, Finished], rows: Mapping[str, list[Job]], output: Place
) -> dict[Place, FileReference]:
    """What has to come to which place, for all places that do not hold it already."""
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
    """Copy files, those first that another one is about to replace."""
    in_danger = {source.path: source for source in moves.values() if source.path in moves}

    def set_aside(source: FileReference) -> Move:
        return _copy(source, moving_path(output, source.sha256))

    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        aside = dict(zip(in_danger, pool.map(set_aside, in_danger.values()), strict=True))

        def put(place: Place) -> Move:
            source = moves[place]
            # Neither is what lies there replaced before it is safe, nor read once it may be gone.
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
    """Note how a row's files are in their places now."""
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
    """Write the records whose pictures moved; the keys of those that still name another place.

    Of equal rows a record names one, and the same as before if that is still there.
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
            # Its curve may still come back to where it was.
            new = new.model_copy(update={"curve": record.curve, "curve_file": record.curve_file})
        return _write(new, output)

    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        is_renewed = dict(zip(rows, pool.map(renew, rows), strict=True))
    return {key for key, renewed in is_renewed.items() if not renewed}


def _tidy(finished: Mapping[str, Finished], unsettled: set[str], output: Place) -> None:
    """Remove what was set aside, now or by a run that was killed, and is in its place by now."""
    of_key = {
        key: {kept.picture.sha256, *([kept.curve.sha256] if kept.curve else [])}
        for key, kept in finished.items()
    }
    needed = {sha256 for key in unsettled for sha256 in of_key[key]}
    in_place = {sha256 for key in of_key for sha256 in of_key[key]} - needed
    folder = moving_path(output, "")
    try:
        for name in names_below(folder) & in_place:
            remove(folder / name)
    except OSError as error:
        logger.warning("%s: what was set aside there stays: %s", told(folder), error.strerror)


def _warn_of_lost_curves(
    finished: Mapping[str, Finished], rows: Mapping[str, list[Job]], output: Place
) -> None:
    """Say so where something lies in a curve's place that cannot be told to be the row's own."""
    lost = [job.output for key, jobs in rows.items() if not finished[key].curve for job in jobs]
    others = [name for name in lost if _is_there(curve_path(output, name))]
    if others:
        logger.warning(
            "%d rows are shown without a loss curve, as the file in its place is not known to be "
            "theirs: %s%s",
            *(len(others), told(curve_path(output, others[0]))),
            " and others" if len(others) > 1 else "",
        )


def _is_there(path: Place) -> bool:
    try:
        return size_of(path) >= 0
    except OSError:
        return False
