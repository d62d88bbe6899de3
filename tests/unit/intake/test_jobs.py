"""Rows that become jobs: examined pictures and identities."""

from pathlib import Path

from nst_core.networks.store import WeightStore
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import check_places
from tasks.job import Examined, by_priority
from tasks.store.output_folder import OutputFolder
from tests.pictures import write_csv, write_picture


def examine(folder: Path, *rows: tuple[object, ...], max_pixels: int = 10**6) -> Examined:
    manifest = write_csv(folder / "m.csv", *rows)
    rows = read_manifest(manifest)
    encoders = encoders_of(rows, WeightStore(folder / "weights"))
    return examine_rows(rows, encoders, max_pixels=max_pixels)


def test_good_rows_become_jobs(tmp_path: Path) -> None:
    content = write_picture(tmp_path / "c.png", 1, 36, 48)
    style = write_picture(tmp_path / "s.png", 2, 30, 20)
    (job,) = examine(tmp_path, ("content", "style", "size"), ("c.png", "s.png", 24)).jobs
    assert (job.content.place, [style.place for style in job.styles]) == (content, [style])
    (picture,) = job.styles[0].pictures
    assert (picture.place, picture.shape) == (style, (30, 20))
    assert (job.content.shape, job.shape) == ((36, 48), (18, 24))
    assert len(job.key) == len(job.styles[0].key) == 64


def test_the_original_size_is_that_of_each_content(tmp_path: Path) -> None:
    write_picture(tmp_path / "c.png", 1, 36, 48)
    write_picture(tmp_path / "tall.png", 3, 60, 40)
    write_picture(tmp_path / "s.png", 2, 30, 20)
    header = ("content", "style", "output", "size")
    rows = [("c.png", "s.png", "a", "original"), ("tall.png", "s.png", "b", " Original ")]
    same = ("c.png", "s.png", "c", "48")
    jobs = examine(tmp_path, header, *rows, same).jobs
    assert [job.shape for job in jobs] == [(36, 48), (60, 40), (36, 48)]
    assert [job.settings.size for job in jobs] == [48, 60, 48]
    # It is just another way to write the number.
    assert jobs[0].key == jobs[2].key != jobs[1].key


def test_an_original_size_beyond_the_limit_is_a_fault(tmp_path: Path) -> None:
    write_picture(tmp_path / "long.png", 1, 20, 8193)
    write_picture(tmp_path / "s.png", 2)
    header = ("content", "style", "size")
    found = examine(tmp_path, header, ("long.png", "s.png", "original"))
    (fault,) = found.faults
    assert (found.jobs, fault.column, fault.found) == ((), "size", "original")
    assert fault.expected == (
        "the content has 8,193 pixels on its longest side; expected at most 8,192: enter a number, "
        "and set enlarge_result"
    )


def test_a_result_is_enlarged_to_its_content_only_if_that_is_larger(tmp_path: Path) -> None:
    write_picture(tmp_path / "c.png", 1, 36, 48)
    write_picture(tmp_path / "s.png", 2, 30, 20)
    header = ("content", "style", "output", "size", "enlarge", "enlarge_result")
    rows = [
        *(("24", "", ""), ("24", "", "yes"), ("48", "", "yes"), ("64", "yes", "yes")),
        ("64", "", "yes"),
    ]
    names = [("c.png", "s.png", f"r{number}", *row) for number, row in enumerate(rows)]
    jobs = examine(tmp_path, header, *names).jobs
    assert [job.file_shape for job in jobs] == [(18, 24), (36, 48), (36, 48), (48, 64), (36, 48)]
    assert jobs[0].shape == jobs[1].shape == (18, 24)
    assert jobs[0].seed == jobs[1].seed
    assert jobs[0].key != jobs[1].key


def test_a_result_that_its_format_cannot_hold_is_a_fault(tmp_path: Path) -> None:
    write_picture(tmp_path / "long.png", 1, 200, 16_384)
    write_picture(tmp_path / "s.png", 2)
    header = ("content", "style", "output", "size", "enlarge_result")
    rows = [("long.png", "s.png", f"{name}", "8192", "yes") for name in ("a.webp", "b.png")]
    found = examine(tmp_path, header, *rows, max_pixels=10**7)
    (fault,) = found.faults
    assert [job.output for job in found.jobs] == ["b.png"]
    assert (fault.line, fault.column) == (2, "enlarge_result")
    assert "16,384 pixels on its longest side, and a WEBP file at most 16,383;" in fault.expected


def test_keys_depend_on_contents_not_names(tmp_path: Path) -> None:
    write_picture(tmp_path / "c.png", 1)
    write_picture(tmp_path / "copy.png", 1)
    write_picture(tmp_path / "other.png", 3)
    write_picture(tmp_path / "s.png", 2)
    jobs = examine(
        tmp_path,
        ("content", "style", "output", "steps"),
        ("c.png", "s.png", "", ""),
        ("copy.png", "s.png", "elsewhere", ""),
        ("other.png", "s.png", "", ""),
        ("c.png", "s.png", "fewer", "3"),
    ).jobs
    keys = [job.key for job in jobs]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert len({style.key for job in jobs for style in job.styles}) == 1
    assert jobs[0].seed == jobs[1].seed


def test_a_picture_to_start_from_is_in_the_key_by_its_contents(tmp_path: Path) -> None:
    for name, seed in (("c.png", 1), ("s.png", 2), ("a.png", 3), ("copy.png", 3), ("b.png", 4)):
        write_picture(tmp_path / name, seed)
    header = ("content", "style", "output", "init")
    names = ("", "a.png", "copy.png", "b.png")
    rows = [("c.png", "s.png", f"p{number}", name) for number, name in enumerate(names)]
    jobs = examine(tmp_path, header, *rows).jobs
    (plain,) = examine(tmp_path, header[:3], ("c.png", "s.png", "p")).jobs
    assert [job.init for job in jobs] == [None, *(tmp_path / name for name in names[1:])]
    keys = [job.key for job in jobs]
    assert keys[0] == plain.key
    assert keys[1] == keys[2]
    assert len({*keys}) == 3
    assert len({style.key for job in jobs for style in job.styles}) == 1


def test_a_picture_to_start_from_is_examined_like_any_other(tmp_path: Path) -> None:
    write_picture(tmp_path / "c.png", 1)
    write_picture(tmp_path / "s.png", 2)
    (tmp_path / "text.png").write_text("not a picture")
    header = ("content", "style", "output", "init")
    names = ("missing.png", "text.png", "s3://key:secret@bucket/a?b=c")
    rows = [("c.png", "s.png", f"p{number}", name) for number, name in enumerate(names)]
    examined = examine(tmp_path, header, *rows)
    assert not examined.jobs
    assert [(fault.line, fault.column) for fault in examined.faults] == [
        *((2, "init"), (3, "init"), (4, "init"))
    ]
    assert "secret" not in "".join(map(str, examined.faults))


def test_no_result_may_replace_a_picture_to_start_from(tmp_path: Path) -> None:
    for name, seed in (("c.png", 1), ("s.png", 2)):
        write_picture(tmp_path / name, seed)
    output = OutputFolder(tmp_path / "out")
    inside = write_picture(output.interrupted("i.png"), 3)
    old = write_picture(output.picture("old.png"), 4)
    header = ("content", "style", "output", "init")
    rows = [("c.png", "s.png", "new", str(inside)), ("c.png", "s.png", "old", str(old))]
    checked = check_places(read_manifest(write_csv(tmp_path / "m.csv", header, *rows)), output)
    found = [(fault.line, fault.column) for row in checked for fault in row.faults]
    assert found == [(2, "init"), (3, "output")]


def test_order_and_neighboring_rows_change_no_key(tmp_path: Path) -> None:
    for name, seed in (("c.png", 1), ("d.png", 2), ("s.png", 3)):
        write_picture(tmp_path / name, seed)
    header = ("content", "style")
    both = examine(tmp_path, header, ("c.png", "s.png"), ("d.png", "s.png")).jobs
    alone = examine(tmp_path, header, ("d.png", "s.png")).jobs
    assert both[1].key == alone[0].key
    assert both[1].seed == alone[0].seed


def test_a_priority_changes_the_order_and_no_key(tmp_path: Path) -> None:
    for name, seed in (("c.png", 1), ("d.png", 2), ("s.png", 3)):
        write_picture(tmp_path / name, seed)
    names = ("c.png", "d.png", "c.png", "d.png", "c.png")
    steps = (1, 2, 1, 3, 4)
    rows = [
        (name, "s.png", f"p{number}", step)
        for number, (name, step) in enumerate(zip(names, steps, strict=True))
    ]
    header = ("content", "style", "output", "steps")
    plain = examine(tmp_path, header, *rows).jobs
    ranks = ("", 0, 5, -1, 5)
    with_ranks = [(*row, rank) for row, rank in zip(rows, ranks, strict=True)]
    ranked = examine(tmp_path, (*header, "priority"), *with_ranks).jobs
    assert [job.key for job in ranked] == [job.key for job in plain]
    assert [job.line for job in by_priority(plain)] == [2, 3, 4, 5, 6]
    # The rows in lines 2 and 4 are equal, and the first of them stays the first.
    assert [job.line for job in by_priority(ranked)] == [2, 4, 6, 3, 5]


def test_every_unreadable_picture_is_a_fault_of_its_cell(tmp_path: Path) -> None:
    intact = write_picture(tmp_path / "c.png", 1)
    write_picture(tmp_path / "s.png", 2)
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes(intact.read_bytes()[:-200])
    (tmp_path / "folder").mkdir()
    examined = examine(
        tmp_path,
        ("content", "style"),
        ("c.png", "s.png"),
        ("missing.png", "text.jpg"),
        ("folder", "cut.png"),
    )
    assert [job.line for job in examined.jobs] == [2]
    assert [(fault.line, fault.column) for fault in examined.faults] == [
        *((3, "content"), (3, "style"), (4, "content"), (4, "style")),
    ]
    for fault, name in zip(examined.faults, ("missing", "text", "folder", "cut"), strict=True):
        assert name in fault.found
        assert any(word in fault.expected for word in ("expected", "Convert", "copy"))
        assert fault.expected.startswith(f"{tmp_path}/{fault.found}: "), "where it was looked for"
    absolute_path = str(tmp_path / "gone.png")
    (fault_of_missing,) = examine(tmp_path, ("content", "style"), (absolute_path, "s.png")).faults
    assert absolute_path not in fault_of_missing.expected, "the cell has said where"
    for cell in ("3s://me:hush@a.png", "//me:hush@a.png", "a//me:hush@a.png"):
        (secret,) = examine(tmp_path, ("content", "style"), (cell, "s.png")).faults
        assert "hush" not in str(secret)


def test_too_many_pixels_are_a_fault(tmp_path: Path) -> None:
    write_picture(tmp_path / "c.png", 1, 36, 48)
    write_picture(tmp_path / "s.png", 2, 10, 10)
    examined = examine(tmp_path, ("content", "style"), ("c.png", "s.png"), max_pixels=1000)
    assert [fault.column for fault in examined.faults] == ["content"]


def test_too_few_pixels_for_the_layers_are_a_fault(tmp_path: Path) -> None:
    write_picture(tmp_path / "c.png", 1, 9, 40)
    write_picture(tmp_path / "s.png", 2)
    header = ("content", "style", "style_layers", "content_layers")
    examined = examine(
        tmp_path, header, ("c.png", "s.png", "", ""), ("c.png", "s.png", "relu1_1", "relu2_1")
    )
    (fault,) = examined.faults
    assert (fault.line, fault.column) == (2, "content")
    assert fault.found == "c.png"
    assert "40 x 9" in fault.expected
    assert [job.line for job in examined.jobs] == [3]


def test_each_picture_is_examined_once(tmp_path: Path) -> None:
    for name, seed in (("c.png", 1), ("d.png", 2), ("s.png", 3)):
        write_picture(tmp_path / name, seed)
    rows = read_manifest(
        write_csv(tmp_path / "m.csv", ("content", "style"), ("c.png", "s.png"), ("d.png", "s.png"))
    )
    reports: list[tuple[int, int]] = []
    encoders = encoders_of(rows, WeightStore(tmp_path))
    examine_rows(rows, encoders, max_pixels=10**6, on_picture=lambda *seen: reports.append(seen))
    assert reports == [(1, 3), (2, 3), (3, 3)]
