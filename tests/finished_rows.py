"""Finished rows as a run leaves them, made in milliseconds: pictures, loss curves, records."""

from collections.abc import Sequence
from dataclasses import dataclass

from nst_core.storage.files import read_whole
from nst_core.storage.places import Place
from nst_core.transfer.losses.terms import loss_name, terms_of
from tasks.job import Job
from tasks.store.curves import Point, curve_csv
from tasks.store.file_reference import FileReference
from tasks.store.lookup import find_finished
from tasks.store.output_folder import OutputFolder
from tasks.store.placement import Placed, place_finished
from tasks.store.records import PictureRecord, write_record


def key_of(row: str) -> str:
    """Return the key of a row, which is named by a letter."""
    return row.encode().hex().rjust(64, "0")


def job_of(row: str, line: int, output: str) -> Job:
    """Return a job that has only a line, a key and an output name."""
    return Job.model_construct(line=line, key=key_of(row), output=output)


def picture_of(row: str) -> bytes:
    return f"the picture of {row}".encode()


def loss_of(row: str) -> float:
    return 1.1 ** ord(row)


def curve_of(row: str) -> bytes:
    """Return a curve that ends with the loss of the row, which differs from row to row."""
    loss, terms = loss_of(row), dict.fromkeys(terms_of(is_frame=False), 1)
    return curve_csv([Point(1, 8, 6, 0, 1, 9 * loss, terms), Point(1, 8, 6, 10, 12, loss, terms)])


def record_of(row: str, name: str, output: Place, *, is_old: bool = False) -> PictureRecord:
    """Return the record of a row; an old record has no SHA-256 of the curve."""
    curve = FileReference.to(OutputFolder(output).curve(name), curve_of(row))
    facts = {"width": 8, "height": 6, "evaluations": 12, "steps": 10, "seed": 1, "recoveries": 0}
    losses = ("total_loss", *map(loss_name, terms_of(is_frame=False)), "start_loss")
    return PictureRecord.model_validate(
        {
            "key": key_of(row),
            "file": FileReference.to(OutputFolder(output).picture(name), picture_of(row)),
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
    """Write the picture, the curve and the record of a row, as a run does."""
    FileReference.write(OutputFolder(output).picture(name), picture_of(row))
    FileReference.write(OutputFolder(output).curve(name), curve_of(row))
    write_record(
        OutputFolder(output).records / key_of(row), record_of(row, name, output, is_old=is_old)
    )


@dataclass(frozen=True)
class PlacedRows:
    """The rows of a manifest, after their files were put in place.

    Attributes:
        jobs: the rows.
        placed: where their pictures and curves are now.
    """

    jobs: list[Job]
    placed: Placed

    def assert_all_have_own_files(self, rows: str, names: Sequence[str], output: Place) -> None:
        """Assert that every row is finished, and has its own picture and curve."""
        assert self.placed.errors == {}
        for job, row, name in zip(self.jobs, rows, names, strict=True):
            record = self.placed.records[job.line]
            assert record.key == key_of(row)
            assert record.file.path == OutputFolder(output).picture(name)
            assert read_whole(OutputFolder(output).picture(name)) == picture_of(row)
            assert record.curve_file
            assert record.curve_file.path == OutputFolder(output).curve(name)
            assert read_whole(OutputFolder(output).curve(name)) == curve_of(row)


def place_rows(rows: str, names: Sequence[str], output: Place) -> PlacedRows:
    """Find finished rows and put their files in place, as a run does first."""
    lines, folder = range(2, 2 + len(rows)), OutputFolder(output)
    jobs = [job_of(*values) for values in zip(rows, lines, names, strict=True)]
    return PlacedRows(jobs, place_finished(find_finished(jobs, folder), jobs, folder))
