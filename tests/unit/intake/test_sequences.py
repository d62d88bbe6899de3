"""Rows that are frames of a sequence: their faults, their keys, their order."""

from pathlib import Path

import numpy as np
import pytest

from nst_core.images.write import encode_png
from nst_core.motion.flo_files import encode_flow
from nst_core.storage.files import write_atomic
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import check_places
from tasks.job import JobMask, by_priority
from tasks.report.estimated_time import estimated_time
from tasks.store.output_folder import OutputFolder
from tasks.store.row_kinds import Kind
from tasks.store.speeds import Speeds
from tests.jobs import job_of_size
from tests.pictures import write_csv, write_picture
from tests.unit.intake.test_jobs import examine

HEADER = ("content", "style", "output", "sequence", "flow", "size")


def row(number: int, sequence: str = "walk", flow: str = "", size: object = "") -> tuple:
    return (f"{number}.png", "s.png", f"p{number}", sequence, flow, size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with contents 1 to 5, a style, and a flow."""
    for number in range(1, 6):
        write_picture(tmp_path / f"{number}.png", number, 36, 48)
    write_picture(tmp_path / "s.png", 9, 30, 20)
    (tmp_path / "a.flo").write_bytes(encode_flow(np.zeros((36, 48, 2), np.float32)))
    (tmp_path / "half.flo").write_bytes(encode_flow(np.zeros((18, 24, 2), np.float32)))
    (tmp_path / "wide.flo").write_bytes(encode_flow(np.zeros((36, 60, 2), np.float32)))
    (tmp_path / "none.flo").write_bytes(b"")
    return tmp_path


def keys(folder: Path, *rows: tuple) -> list[str]:
    examined = examine(folder, HEADER, *rows)
    assert not examined.faults
    return [job.key for job in examined.jobs]


def test_each_frame_knows_the_frame_before_it_in_its_sequence(folder: Path) -> None:
    rows = (row(1), row(2, ""), row(3, "fly"), row(4), row(5, "fly", "half.flo"))
    jobs = examine(folder, HEADER, *rows).jobs
    assert [job.previous and job.previous.line for job in jobs] == [None, None, None, 2, 4]
    assert [(job.sequence, job.frame) for job in jobs] == [
        *(("walk", 1), ("", 0), ("fly", 1), ("walk", 2), ("fly", 2))
    ]
    before = jobs[3].previous
    assert before is not None
    assert (before.key, before.output) == (jobs[0].key, "p1.png")
    assert before.content == jobs[0].content
    assert [job.flow for job in jobs] == [*[None] * 4, folder / "half.flo"]


def test_a_frame_knows_the_mask_of_the_frame_before_it(folder: Path) -> None:
    mask = np.zeros((36, 48, 3), np.float32)
    mask[:, :24] = 1
    write_atomic(folder / "left.png", encode_png(mask))
    rows = ((*row(1), "left.png"), (*row(2), ""), (*row(3), ""))
    first, second, third = examine(folder, (*HEADER, "content_mask"), *rows).jobs
    assert second.previous is not None
    assert third.previous is not None
    known = second.previous.content.mask
    assert (known.regions, known.place) == (1, folder / "left.png")
    assert known == first.content.mask
    assert third.previous.content.mask == JobMask()
    assert second.key != examine(folder, HEADER, row(1), row(2)).jobs[1].key


def test_the_key_of_a_frame_covers_all_frames_before_it_and_no_later_one(folder: Path) -> None:
    plain = keys(folder, *(row(number, "") for number in (1, 2, 3, 4)))
    frames = keys(folder, *map(row, (1, 2, 3, 4)))
    assert frames[0] == plain[0], "the first frame is like any row"
    assert len({*plain, *frames}) == 7
    changed = keys(folder, row(1), row(5), row(3), row(4))
    assert [a == b for a, b in zip(frames, changed, strict=True)] == [True, False, False, False]
    renamed = keys(folder, *(row(number, "run") for number in (1, 2, 3, 4)))
    assert renamed == frames, "names are in no key"
    between = keys(folder, row(1), row(5, ""), row(2), row(3))
    assert [between[0], *between[2:]] == frames[:3], "rows between frames change nothing"


def test_the_key_of_a_frame_covers_its_flow_by_its_contents(folder: Path) -> None:
    (folder / "copy.flo").write_bytes((folder / "a.flo").read_bytes())
    found = [keys(folder, row(1), row(2, flow=flow))[1] for flow in ("", "a.flo", "half.flo")]
    assert len({*found}) == 3
    assert keys(folder, row(1), row(2, flow="copy.flo"))[1] == found[1]


@pytest.mark.parametrize(
    ("rows", "line", "column", "wrong"),
    [
        ((row(1, flow="a.flo"),), 2, "flow", "the first frame of the sequence 'walk'"),
        ((row(1, "", "a.flo"),), 2, "flow", "expected a name in the column sequence, too"),
        ((row(1), row(2, flow="gone.flo")), 3, "flow", "No such file"),
        ((row(1), row(2, flow="none.flo")), 3, "flow", "found an empty file, expected a file of"),
        ((row(1), row(2, flow="s.png")), 3, "flow", r"found b'\x89PNG', expected a file of"),
        ((row(1), row(2, flow="wide.flo")), 3, "flow", "60 x 36 pixels; expected the 48 x 36"),
        (
            (row(1), row(2, size=40)),
            *(3, "content", "at 40 x 30 pixels; expected the 48 x 36 of line 2"),
        ),
    ],
)
def test_what_is_wrong_with_a_frame_is_a_fault_of_its_cell(
    folder: Path, rows: tuple, line: int, column: str, wrong: str
) -> None:
    examined = examine(folder, HEADER, *rows)
    (fault,) = examined.faults
    assert (fault.line, fault.column) == (line, column)
    assert wrong in fault.expected
    assert len(examined.jobs) == len(rows) - 1


def test_frames_after_a_row_with_a_fault_cannot_run_and_say_which(folder: Path) -> None:
    (folder / "2.png").write_text("not a picture")
    examined = examine(folder, HEADER, *map(row, (1, 2, 3, 4)), row(5, "fly"))
    assert [job.line for job in examined.jobs] == [2, 6]
    found = [(fault.line, fault.column) for fault in examined.faults]
    assert found == [(3, "content"), (4, "sequence"), (5, "sequence")]
    assert "line 3, the frame before it, cannot run; correct that row" in str(examined.faults[1])


def test_only_the_first_frame_may_name_a_picture_to_start_from(folder: Path) -> None:
    header = ("content", "style", "output", "sequence", "init")
    rows = [(f"{number}.png", "s.png", f"p{number}", "walk", "5.png") for number in (1, 2)]
    (fault,) = examine(folder, header, *rows).faults
    assert (fault.line, fault.column, fault.found) == (3, "init", "5.png")
    assert "a frame starts from the result of line 2" in fault.expected


def test_no_result_may_replace_a_flow_and_none_may_be_where_runs_write(folder: Path) -> None:
    output = OutputFolder(folder / "out")
    inside = output.records / "a.flo"
    inside.parent.mkdir(parents=True)
    inside.write_bytes((folder / "a.flo").read_bytes())
    name = inside.relative_to(folder)
    manifest = write_csv(folder / "m.csv", HEADER, row(1), row(2, flow=str(name)))
    rows = check_places(read_manifest(manifest), output)
    assert [fault.column for row in rows for fault in row.faults] == ["flow"]


def test_frames_before_a_frame_with_priority_run_first_too(folder: Path) -> None:
    header = (*HEADER, "priority")
    rows = [
        *((*row(1, ""), ""), (*row(2), ""), (*row(3, ""), 1), (*row(4), ""), (*row(5), 2)),
    ]
    jobs = examine(folder, header, *rows).jobs
    assert [job.line for job in by_priority(jobs)] == [3, 5, 6, 4, 2]


def test_more_devices_do_not_make_a_sequence_faster(folder: Path) -> None:
    jobs = examine(folder, HEADER, *map(row, (1, 2, 3, 4)), row(5, "")).jobs
    times = [
        estimated_time(jobs, Speeds(at_once=count), OutputFolder(folder / "out")).seconds
        for count in (1, 2, 8)
    ]
    seconds = [Speeds().seconds(job) for job in jobs]
    assert times[0] > sum(seconds)
    assert times[2] >= times[1] > sum(seconds[:4]), (
        "each device compiles, and the frames still wait"
    )
    plain = [job.model_copy(update={"previous": None}) for job in jobs]
    free = estimated_time(plain, Speeds(at_once=8), OutputFolder(folder / "out")).seconds
    assert free < 0.5 * times[2]


def test_frames_that_follow_another_are_timed_on_their_own() -> None:
    first = job_of_size()
    later = first.model_copy(update={"previous": first})
    assert Kind.of(later, "CPU", "host").program != Kind.of(first, "CPU", "host").program
