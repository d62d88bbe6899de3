"""Rows with several styles, and with folders as styles: cells, faults, keys and weights."""

from pathlib import Path

import pytest
from upath import UPath

from nst_core.networks.store import WeightStore
from nst_core.storage.files import write_atomic
from nst_core.storage.schemes import SCHEMES, Scheme
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import check_places
from tasks.job import Examined, Job
from tasks.store.output_folder import OutputFolder
from tests.pictures import write_csv, write_picture

HEADER = ("content", "style", "output", "style_blend", "style_mix", "octaves")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a content `c.png`, the styles a, b and d, and `copy.png` equal to a."""
    for name, seed in (("a", 2), ("b", 3), ("d", 4), ("copy", 2)):
        write_picture(tmp_path / f"{name}.png", seed, 40, 48)
    write_picture(tmp_path / "c.png", 1, 140, 160)
    return tmp_path


def examine(folder: Path, *rows: tuple[str, ...]) -> Examined:
    filled = [(*row, *[""] * (len(HEADER) - 2 - len(row))) for row in rows]
    named = [("c.png", style, f"p{number}", *more) for number, (style, *more) in enumerate(filled)]
    rows = read_manifest(write_csv(folder / "m.csv", HEADER, *named))
    return examine_rows(rows, encoders_of(rows, WeightStore(folder / "weights")), max_pixels=10**6)


def jobs_of(folder: Path, *rows: tuple[str, ...]) -> tuple[Job, ...]:
    examined = examine(folder, *rows)
    assert examined.faults == ()
    return examined.jobs


def names(job: Job) -> list[str]:
    return [style.name for style in job.styles_as_named]


def test_a_cell_names_several_styles(folder: Path) -> None:
    (job,) = jobs_of(folder, ("a.png ;b.png",))
    assert names(job) == ["a.png", "b.png"]
    assert job.style_name == "a.png; b.png"
    # Each has the key that it has alone, so that its targets are shared.
    alone = jobs_of(folder, ("a.png",), ("b.png",))
    assert [style.key for style in job.styles_as_named] == [one.styles[0].key for one in alone]
    assert len({job.key, *(one.key for one in alone)}) == 3


def test_a_semicolon_in_the_name_of_a_file_separates_nothing(folder: Path) -> None:
    write_picture(folder / "x; y.png", 7)
    write_picture(folder / "x;z.png", 8)
    found = jobs_of(folder, ("x; y.png",), ("a.png; x; y.png;b.png",), ("x;z.png;x; y.png",))
    assert [names(job) for job in found] == [
        ["x; y.png"],
        ["a.png", "x; y.png", "b.png"],
        ["x;z.png", "x; y.png"],
    ]


def test_equal_blends_are_the_same_row(folder: Path) -> None:
    blends = jobs_of(
        folder,
        ("a.png; b.png", "1; 3"),
        ("b.png;a.png", "3;1"),
        ("a.png; b.png", "0.25;0.75"),
        ("copy.png; b.png", "2;6"),
        ("a.png; b.png; copy.png; d.png", "0.5; 3; 0.5; 0"),
    )
    assert len({job.key for job in blends}) == 1
    assert len({job.seed for job in blends}) == 1
    assert {job.settings.style_blend for job in blends} <= {"0.25; 0.75", "0.75; 0.25"}
    assert len({(job.settings, *(style.sha256 for style in job.styles)) for job in blends}) == 1
    others = jobs_of(folder, ("a.png; b.png", "3; 1"), ("a.png; b.png",), ("a.png; d.png", "1; 3"))
    assert len({job.key for job in (blends[0], *others)}) == 4


def test_equal_shares_need_no_weights(folder: Path) -> None:
    found = jobs_of(folder, ("a.png; b.png; d.png",), ("d.png; a.png; b.png", "2;2;2"))
    assert found[0].key == found[1].key
    assert [job.settings.style_blend for job in found] == ["", ""]


@pytest.mark.parametrize(
    ("style", "blend", "mix"),
    [
        ("a.png", "5", ""),
        ("a.png; b.png", "1; 0", ""),
        ("b.png; a.png", "-0; 2", "layers"),
        ("a.png; copy.png", "", ""),
        ("a.png; copy.png", "1; 9", "octaves"),
        ("a.png; b.png", "1e15; 1", ""),
    ],
)
def test_a_blend_of_one_style_is_the_row_with_that_style_alone(
    folder: Path, style: str, blend: str, mix: str
) -> None:
    alone, found = jobs_of(folder, ("a.png",), (style, blend, mix))
    assert found.key == alone.key
    assert (found.styles[0].key, found.settings) == (alone.styles[0].key, alone.settings)


def test_the_order_of_styles_at_different_scales_is_in_the_key(folder: Path) -> None:
    rows = [
        (style, "", mix)
        for mix in ("octaves", "layers")
        for style in ("a.png;b.png", "b.png;a.png")
    ]
    found = jobs_of(folder, *rows, ("a.png;b.png",), ("a.png; copy.png; b.png", "1;1;2", "octaves"))
    assert len({job.key for job in found[:5]}) == 5
    assert found[5].key == found[0].key


def test_styles_of_a_blend_share_directions_only_where_they_need_them(folder: Path) -> None:
    header = ("content", "style", "style_measure")
    rows = [
        (style, loss) for loss in ("gram moments", "sliced") for style in ("a.png", "a.png; b.png")
    ]
    manifest = write_csv(folder / "m.csv", header, *(("c.png", *row) for row in rows))
    read = read_manifest(manifest)
    encoders = encoders_of(read, WeightStore(folder / "weights"))
    jobs = examine_rows(read, encoders, max_pixels=10**6).jobs
    keys = [{style.name: style.key for style in job.styles}["a.png"] for job in jobs]
    assert keys[0] == keys[1]
    assert keys[2] != keys[3]


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (
            ("a.png; b.png", "1"),
            "style_blend",
            "found 1 weight for 2 styles; expected one for each",
        ),
        (("a.png", "1; 2"), "style_blend", "found 2 weights for 1 style"),
        (("a.png; b.png", "1; -1"), "style_blend", "weights of styles must be 0, or a number from"),
        (("a.png; b.png", "1; nan"), "style_blend", "weights of styles must be"),
        (("a.png; b.png", "inf; 1"), "style_blend", "weights of styles must be"),
        (("a.png; b.png", "0; 0"), "style_blend", "at least one must be above 0"),
        (("a.png; b.png", "1; much"), "style_blend", "'much' is not a number"),
        (("a.png; b.png", "1;"), "style_blend", "'' is not a number"),
        (("a.png;",), "style", "there is no name before or after a semicolon"),
        (("; a.png",), "style", "there is no name before or after a semicolon"),
        (("; ".join(["a.png"] * 65),), "style", "it names 65 styles; expected at most 64"),
        (("a.png; missing.png",), "style", "missing.png"),
        (("a.png; b.png", "", "mixed"), "style_mix", "'blend', 'octaves' or 'layers'"),
        (("a.png; b.png", "", "octaves", "1"), "style_mix", "it has 2 styles for 1 octave"),
        (
            ("a.png; b.png", "", "octaves", "6"),
            "style_mix",
            "the style a.png has only octaves that are left",
        ),
    ],
)
def test_what_is_wrong_with_several_styles_is_a_fault_of_the_row(
    folder: Path, row: tuple[str, ...], column: str, expected: str
) -> None:
    examined = examine(folder, row, ("a.png; b.png",))
    assert [job.line for job in examined.jobs] == [3]
    (fault,) = examined.faults
    assert (fault.line, fault.column) == (2, column)
    assert expected in fault.expected


def test_a_secret_in_one_of_several_urls_is_not_shown(folder: Path) -> None:
    examined = examine(folder, ("a.png; s3://key:secret@bucket/x.png; b.png",))
    assert [fault.column for fault in examined.faults] == ["style"]
    assert "secret" not in "".join(map(str, examined.faults))


def test_odd_styles_are_named_in_warnings(folder: Path) -> None:
    from PIL import Image

    Image.new("RGB", (40, 40), "red").save(folder / "red.png")
    (job,) = jobs_of(folder, ("a.png; red.png",))
    (warning,) = job.warnings
    assert warning.startswith("style red.png: it has just one color")


def test_default_names_show_the_styles(folder: Path) -> None:
    cells = ("a.png", "a.png; b.png", "a.png; b.png; d.png; copy.png")
    manifest = write_csv(folder / "m.csv", HEADER[:2], *(("c.png", cell) for cell in cells))
    found = [row.output for row in read_manifest(manifest)]
    assert found == ["c_a.png", "c_a+b.png", "c_a+b+d+1 more.png"]


def test_a_folder_is_one_style_of_all_its_pictures(folder: Path) -> None:
    painter = folder / "painter"
    for name, seed in (("z.png", 2), ("y.png", 3), ("._y.png", 9), (".hidden.png", 9)):
        write_picture(painter / name, seed, 40, 48)
    for name in ("Thumbs.db", "notes.txt"):
        (painter / name).write_text("no picture")
    write_picture(painter / "more" / "x.png", 9)
    (job,) = jobs_of(folder, ("painter",))
    (style,) = job.styles
    assert {picture.place.name for picture in style.pictures} == {"y.png", "z.png"}
    assert (style.name, job.style_name) == ("painter", "painter")
    # Its identity is that of the pictures, whatever they are called and wherever they are.
    renamed = folder / "renamed"
    write_picture(renamed / "1.png", 3, 40, 48)
    write_picture(renamed / "2.png", 2, 40, 48)
    again, blend, other = jobs_of(folder, ("renamed/",), ("a.png; b.png",), ("painter; d.png",))
    assert (again.key, again.styles[0].key) == (job.key, style.key)
    assert len({job.key, blend.key, other.key}) == 3
    assert names(other) == ["painter", "d.png"]
    write_picture(renamed / "3.png", 5, 40, 48)
    assert jobs_of(folder, ("renamed",))[0].key != job.key


def test_a_folder_of_one_picture_is_that_picture(folder: Path) -> None:
    write_picture(folder / "one" / "x.png", 2, 40, 48)
    alone, found = jobs_of(folder, ("a.png",), ("one",))
    assert (found.key, found.styles[0].key) == (alone.key, alone.styles[0].key)


def test_what_is_wrong_with_a_folder_is_a_fault_of_the_row(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "x.png").write_text("no picture")
    write_picture(folder / "broken" / "y.png", 5)
    examined = examine(folder, ("empty",), ("broken",), ("a.png; empty",), ("a.png",))
    assert [job.line for job in examined.jobs] == [5]
    assert [(fault.line, fault.column) for fault in examined.faults] == [
        *((2, "style"), (3, "style"), (4, "style"))
    ]
    assert "has no pictures" in examined.faults[0].expected
    assert "x.png" in examined.faults[1].expected
    assert "empty" in examined.faults[2].expected


def test_no_run_may_replace_a_picture_of_a_folder(folder: Path) -> None:
    output = OutputFolder(folder / "out")
    inside = write_picture(output.interrupted("i.png"), 3)
    rows = [("c.png", f"a.png; {inside.parent}")]
    checked = check_places(read_manifest(write_csv(folder / "m.csv", HEADER[:2], *rows)), output)
    assert [(fault.line, fault.column) for row in checked for fault in row.faults] == [(2, "style")]


def test_folders_in_object_storage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "memory", Scheme())
    for name in ("a.png", "b.png"):
        for place in (f"painter/{name}", name):
            write_atomic(UPath(f"memory://styles/{place}"), (folder / name).read_bytes())
    write_atomic(UPath("memory://styles/painter/._a.png"), b"no picture")
    both = "memory://styles/painter"
    one, two, slash, local = jobs_of(
        folder,
        ("memory://styles/a.png",),
        (both,),
        (f"{both}/; d.png",),
        ("a.png; b.png",),
    )
    assert len(two.styles) == 1
    assert len(two.styles[0].pictures) == 2
    assert [style.sha256 for style in slash.styles if style.position == 0] == [two.styles[0].sha256]
    assert one.styles[0].sha256 in {style.sha256 for style in local.styles}
