"""Rows as an earlier run left them, made in milliseconds: pictures, loss curves and records."""

from collections.abc import Sequence
from dataclasses import dataclass

from nst_core.storage.files import read_whole
from nst_core.storage.places import Place
from tasks.job import Job
from tasks.store.curves import Point, curve_csv
from tasks.store.layout import curve_path, picture_path, row_records
from tasks.store.placement import Placed, find_finished, place_finished
from tasks.store.records import FileReference, PictureRecord, write_record


def key_of(row: str) -> str:
    """Of a row, which is named by a letter."""
    return row.encode().hex().rjust(64, "0")


def job_of(row: str, line: int, output: str) -> Job:
    """As much of a job as tells which row it is and what it is called."""
    return Job.model_construct(line=line, key=key_of(row), output=output)


def picture_of(row: str) -> bytes:
    return f"the picture of {row}".encode()


def loss_of(row: str) -> float:
    return 1.1 ** ord(row)


def curve_of(row: str) -> bytes:
    """It ends where the row's picture does, and no other row's does."""
    loss = loss_of(row)
    return curve_csv(
        [Point(1, 8, 6, 0, 1, 9 * loss, 1, 1, 1), Point(1, 8, 6, 10, 12, loss, 1, 1, 1)]
    )


def record_of(row: str, name: str, output: Place, *, is_old: bool = False) -> PictureRecord:
    """The record of a row; one of the version before knows no SHA-256 of its curve."""
    curve = FileReference.to(curve_path(output, name), curve_of(row))
    facts = {"width": 8, "height": 6, "evaluations": 12, "steps": 10, "seed": 1, "recoveries": 0}
    losses = ("total_loss", "content_loss", "style_loss", "tv_loss", "start_loss")
    return PictureRecord.model_validate(
        {
            "key": key_of(row),
            "file": FileReference.to(picture_path(output, name), picture_of(row)),
            "curve": curve.path,
            "curve_file": None if is_old else curve,
            "settings": {},
            "encoder_fingerprint": "f",
            "style_layers": {},
            "stop_reason": "steps",
            "device": "CPU:0",
            "seconds": 1,
            "peak_memory_mb": 1,
            **facts,
            **dict.fromkeys(losses, loss_of(row) * 1.001),
        }
    )


def finish(row: str, name: str, output: Place, *, is_old: bool = False) -> None:
    """Leave a row as a run does."""
    FileReference.write(picture_path(output, name), picture_of(row))
    FileReference.write(curve_path(output, name), curve_of(row))
    write_record(row_records(output) / key_of(row), record_of(row, name, output, is_old=is_old))


@dataclass(frozen=True)
class Night:
    """A manifest of such rows, and what became of it.

    Attributes:
        jobs: its rows.
        placed: how they were put in their places.
    """

    jobs: list[Job]
    placed: Placed

    def assert_all_their_own(self, rows: str, names: Sequence[str], output: Place) -> None:
        """Nothing is to be made again, and every picture and curve is its row's own."""
        assert self.placed.errors == {}
        for job, row, name in zip(self.jobs, rows, names, strict=True):
            record = self.placed.records[job.line]
            assert record.key == key_of(row)
            assert record.file.path == picture_path(output, name)
            assert read_whole(picture_path(output, name)) == picture_of(row)
            assert record.curve_file
            assert record.curve_file.path == curve_path(output, name)
            assert read_whole(curve_path(output, name)) == curve_of(row)


def night(rows: str, names: Sequence[str], output: Place) -> Night:
    """Look for rows and put them in their places, as a run does first of all."""
    lines = range(2, 2 + len(rows))
    jobs = [job_of(*of_one) for of_one in zip(rows, lines, names, strict=True)]
    return Night(jobs, place_finished(find_finished(jobs, output), jobs, output))
