"""Placement of finished rows: where their pictures and loss curves are, and where they belong.

A row may be given another output, even one that was another row's. First, all finished rows are
examined, read-only. Then each file that a row needs, but another row's file is about to replace, is
set aside under the name of its SHA-256. Only after that are files replaced. If a process is killed
at any moment, every picture is therefore in a place that its record names, or in the place of its
row, or set aside, and the next run finds it by its contents.
"""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from nst_core.storage.files import list_files, make_durable, remove, stat
from nst_core.storage.places import Place, redacted
from tasks.job import Job
from tasks.store.file_reference import FileReference, RecordError
from tasks.store.lookup import Finished, by_key, places_named
from tasks.store.output_folder import PICTURES, OutputFolder
from tasks.store.records import PictureRecord, write_record

logger = logging.getLogger("nst_batch.placement")

WRITES_AT_ONCE = 8
"""How many files are written at once: a disk takes time to flush them, and a service to answer."""


@dataclass(frozen=True)
class Placed:
    """The result of putting finished rows in their places.

    Attributes:
        records: by line, each naming the row's own files.
        errors: by line, why a picture or its curve could not be copied to its current name.
    """

    records: dict[int, PictureRecord] = field(default_factory=dict)
    errors: dict[int, OSError | RecordError] = field(default_factory=dict)


def place_finished(
    finished: Mapping[str, Finished], jobs: Iterable[Job], output: OutputFolder
) -> Placed:
    """Copy every picture and curve of finished rows to its current name, and update the records.

    Args:
        finished: returned by `find_finished`.
        jobs: the jobs that it looked for, in the manifest's order.
        output: the batch's output folder.
    """
    rows = {key: of_key for key, of_key in by_key(jobs).items() if key in finished}
    _complete_records(finished, output)
    moved = _move(_moves(finished, rows, output), output)
    placed = Placed()
    for key, of_key in rows.items():
        for job in of_key:
            _note_places(finished[key], job, moved, placed, output)
    unplaced = _renew(finished, rows, placed, output)
    unplaced |= {job.key for jobs in rows.values() for job in jobs if job.line in placed.errors}
    _tidy(finished, unplaced, output)
    _warn_of_lost_curves(finished, rows, output)
    return placed


Move = FileReference | OSError | RecordError
"""A file in its new place, or the reason why it is not there."""


def _complete_records(finished: Mapping[str, Finished], output: OutputFolder) -> None:
    """Complete records that lack the SHA-256 of their curves, before the curves are moved."""

    def complete(key: str) -> None:
        earlier = finished[key]
        if earlier.curve and not earlier.record.curve_file:
            update = {"curve": earlier.curve.path, "curve_file": earlier.curve}
            _write(earlier.record.model_copy(update=update), output)

    with ThreadPoolExecutor(WRITES_AT_ONCE) as pool:
        list(pool.map(complete, finished))


def _write(record: PictureRecord, output: OutputFolder) -> bool:
    """Return whether a record could be written; if not, log a warning."""
    path = output.records / record.key
    try:
        write_record(path, record)
    except OSError as error:
        logger.warning("%s: the record cannot be updated: %s", redacted(path), error.strerror)
        return False
    return True


def _moves(
    finished: Mapping[str, Finished], rows: Mapping[str, list[Job]], output: OutputFolder
) -> dict[Place, FileReference]:
    """Return which file must go to which place, for all places that do not hold it already."""
    moves: dict[Place, FileReference] = {}
    for key, jobs in rows.items():
        earlier = finished[key]
        for job in jobs:
            moves[output.picture(job.output)] = earlier.picture
            if earlier.curve:
                moves[output.curve(job.output)] = earlier.curve
    there = {place for earlier in finished.values() for place in earlier.in_place}
    return {place: source for place, source in moves.items() if place not in there}


def _move(moves: Mapping[Place, FileReference], output: OutputFolder) -> dict[Place, Move]:
    """Copy files, first those that another file is about to replace."""
    in_danger = {source.path: source for source in moves.values() if source.path in moves}

    def set_aside(source: FileReference) -> Move:
        return _copy(source, output.moving(source.sha256))

    with ThreadPoolExecutor(WRITES_AT_ONCE) as pool:
        aside = _durable(zip(in_danger, pool.map(set_aside, in_danger.values()), strict=True))

        def put(place: Place) -> Move:
            source = moves[place]
            # A file is not replaced before it is safe, nor read once it may have been replaced.
            safe = [aside[path] for path in (place, source.path) if path in aside]
            failed = next((move for move in safe if not isinstance(move, FileReference)), None)
            return failed or _copy(aside.get(source.path, source), place)

        return _durable(zip(moves, pool.map(put, moves), strict=True))


def _durable(moves: Iterable[tuple[Place, Move]]) -> dict[Place, Move]:
    """Return the moves once they survive a power failure, or why they do not."""
    moved = dict(moves)
    try:
        make_durable(*(move.path for move in moved.values() if isinstance(move, FileReference)))
    except OSError as error:
        return dict.fromkeys(moved, error)
    return moved


def _copy(source: Move, place: Place) -> Move:
    if not isinstance(source, FileReference):
        return source
    try:
        return FileReference.write(place, source.read())
    except (OSError, RecordError) as error:
        return error


def _note_places(
    earlier: Finished, job: Job, moved: Mapping[Place, Move], placed: Placed, output: OutputFolder
) -> None:
    """Note in `placed` where a row's files are now, or why they are not in place."""
    place, curve_place = output.picture(job.output), output.curve(job.output)
    file = moved.get(place, earlier.picture.at(place))
    curve = moved.get(curve_place, earlier.curve.at(curve_place)) if earlier.curve else None
    for move in (file, curve):
        if isinstance(move, Exception):
            placed.errors[job.line] = move
            return
    update = {"file": file, "curve": curve_place.absolute(), "curve_file": curve}
    placed.records[job.line] = earlier.record.model_copy(update=update)


def _renew(
    finished: Mapping[str, Finished],
    rows: Mapping[str, list[Job]],
    placed: Placed,
    output: OutputFolder,
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

    with ThreadPoolExecutor(WRITES_AT_ONCE) as pool:
        is_renewed = dict(zip(rows, pool.map(renew, rows), strict=True))
    return {key for key, renewed in is_renewed.items() if not renewed}


def _tidy(finished: Mapping[str, Finished], unplaced: set[str], output: OutputFolder) -> None:
    """Remove what was set aside, by this run or a killed one, and is in its place by now."""
    of_key = {
        key: {earlier.picture.sha256, *([earlier.curve.sha256] if earlier.curve else [])}
        for key, earlier in finished.items()
    }
    needed = {sha256 for key in unplaced for sha256 in of_key[key]}
    in_place = {sha256 for key in of_key for sha256 in of_key[key]} - needed
    folder = output.moving("")
    try:
        for name in list_files(folder) & in_place:
            remove(folder / name)
    except OSError as error:
        logger.warning(
            "%s: files set aside there cannot be removed: %s", redacted(folder), error.strerror
        )


def _warn_of_lost_curves(
    finished: Mapping[str, Finished], rows: Mapping[str, list[Job]], output: OutputFolder
) -> None:
    """Warn if a file in a curve's place is not known to be the row's own."""
    lost = [job.output for key, jobs in rows.items() if not finished[key].curve for job in jobs]
    others = [name for name in lost if _is_there(output.curve(name))]
    if others:
        logger.warning(
            "no loss curve is shown for %d finished rows, because the files with the names of "
            "their curves may belong to other rows: %s%s",
            *(len(others), redacted(output.curve(others[0]))),
            " and others" if len(others) > 1 else "",
        )


def _is_there(path: Place) -> bool:
    try:
        return stat(path).size >= 0
    except OSError:
        return False
