"""Every written format keeps what it says, and one more entry makes a format of results."""

from pathlib import Path

import pytest

from nst_core.images import write
from nst_core.images.picture_files import FORMATS, PictureError
from nst_core.images.read import load, read_header
from nst_core.images.saving import SaveError, WithPicture
from nst_core.images.write import (
    WRITTEN_FORMATS,
    Format,
    encode_jpeg,
    encode_png,
    read_text,
    result_formats,
)
from tasks.intake.manifest import read_manifest
from tasks.report.finding import NoResultsError, find_row
from tasks.report.table_row import Table, TableRow
from tasks.row import Row
from tasks.store.managed import INTERRUPTED_MARK, is_marked, keep_others
from tasks.store.output_folder import OutputFolder
from tasks.store.output_names import (
    OutputError,
    Unnamed,
    as_one_result,
    checked_output,
    choose_outputs,
    folders_of,
    nearest_output,
)
from tests.encoders import random_pixels
from tests.pictures import write_csv
from tests.result_formats import OPAQUE_TIFF, TIFF, add_format

PIXELS, ALPHA = random_pixels(6, 8, 1), random_pixels(6, 8, 2)[..., 0]
TEXT = {"nst-batch": '{"content": "\N{SNOWMAN}.png"}', "Software": "nst-batch interrupted"}
ALL = pytest.mark.parametrize("written", [*WRITTEN_FORMATS, TIFF], ids=lambda each: each.name)
HEADER = ("content", "style", "output", "keep_alpha")


@pytest.fixture
def tiff(monkeypatch: pytest.MonkeyPatch) -> None:
    add_format(monkeypatch, TIFF)


@ALL
def test_a_format_keeps_what_it_says(
    written: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "WRITTEN_FORMATS", (written,))
    assert written.name in FORMATS
    path = tmp_path / "a file of any name"
    path.write_bytes(written.encode(PIXELS, ALPHA, TEXT))
    assert read_header(path) == (8, 6, written.name)
    assert (load(path).alpha is not None) == written.has_alpha
    if written.read_text:
        assert read_text(path) == TEXT
        path.write_bytes(written.encode(PIXELS, None, None))
        assert read_text(path) == {}
    else:
        with pytest.raises(PictureError, match=f"found a {written.name} file"):
            read_text(path)


def test_no_two_formats_have_the_same_suffix() -> None:
    suffixes = [suffix for each in WRITTEN_FORMATS for suffix in each.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


@pytest.mark.usefixtures("tiff")
def test_the_text_of_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    path.write_bytes(TIFF.encode(PIXELS, None, {"a": "b"}).replace(b'{"a"', b'{:a"'))
    with pytest.raises(PictureError, match="cannot be decoded"):
        read_text(path)
    path.write_bytes(encode_jpeg(PIXELS))
    with pytest.raises(PictureError, match="found a JPEG file, expected a PNG or TIFF"):
        read_text(path)


@pytest.mark.usefixtures("tiff")
@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("a.tiff", "a.tiff"),
        ("night\\A.TIFF", "night/A.tiff"),
        ("a.tif", "a.tif"),
        ("a", "a.png"),
        ("a.png", "a.png"),
        ("a.tiff.png", "a.tiff.png"),
    ],
)
def test_an_output_may_end_in_the_suffix_of_an_added_format(text: str, output: str) -> None:
    assert checked_output(text) == output
    assert checked_output(output) == nearest_output(output) == output


@pytest.mark.usefixtures("tiff")
def test_other_formats_are_still_refused_with_the_names_of_those_that_are_not() -> None:
    wrong = r"ends in \.png or \.tiff or \.tif, or one without an ending: results are PNG or TIFF$"
    with pytest.raises(OutputError, match=wrong):
        checked_output("a.jpg")
    assert nearest_output("a.jpg") == "a.png"


def rows_of(folder: Path, *rows: tuple[str, ...]) -> list[Row]:
    return read_manifest(write_csv(folder / "m.csv", HEADER, *rows))


@pytest.mark.usefixtures("tiff")
def test_two_rows_cannot_differ_only_in_the_suffix(tmp_path: Path) -> None:
    outputs = ("x/One.png", "x/one.tiff", "x/two", "one.tiff", "x/ONE.tif", "x/one.TIFF")
    rows = rows_of(tmp_path, *(("a", str(number), name, "") for number, name in enumerate(outputs)))
    faults = [fault for row in rows for fault in row.faults]
    wrong = "line 2 has the output 'x/One.png', whose loss curve would have the same name; "
    assert [(fault.line, fault.expected.startswith(wrong)) for fault in faults] == [
        *((3, True), (6, True), (7, True)),
    ]
    assert faults[0].column == "output"


@pytest.mark.usefixtures("tiff")
def test_a_default_name_leaves_the_names_of_other_formats_alone(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, ("a", "s", "", ""), ("b", "s", "a_s.tiff", ""))
    assert [row.faults for row in rows] == [(), ()]
    assert rows[0].output.startswith("a_s_")
    assert choose_outputs(
        [Unnamed("a", ("s",), "0" * 64)], {as_one_result("x/a_s.tiff"), *folders_of("x/a_s.tiff")}
    ) == ["a_s.png"]


def test_transparency_in_a_format_without_it_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_format(monkeypatch, OPAQUE_TIFF)
    rows = rows_of(
        tmp_path,
        *(("a", "s", "a.tiff", "yes"), ("a", "s", "b.tiff", "no"), ("a", "s", "c.png", "yes")),
    )
    assert [row.faults for row in rows[1:]] == [(), ()]
    (fault,) = rows[0].faults
    assert (fault.column, fault.found) == ("output", "a.tiff")
    assert fault.expected == (
        "a TIFF file cannot be transparent; choose an output that ends in .png, "
        "or switch keep_alpha off"
    )


@pytest.mark.usefixtures("tiff")
def test_a_row_is_found_with_and_without_its_suffix() -> None:
    table = Table(
        (
            TableRow(line=2, status="done", output="deep/a.tiff"),
            TableRow(line=3, status="done", output="b.png"),
        )
    )
    output = OutputFolder(Path("out"))
    for named, line in (("deep/a", 2), ("deep/a.tiff", 2), ("b", 3), ("b.png", 3)):
        assert find_row(table, output, named).line == line
    with pytest.raises(NoResultsError, match=r"did you mean 'deep/a\.tiff'"):
        find_row(table, output, "deep/aa.tiff")


@pytest.mark.usefixtures("tiff")
def test_interrupted_pictures_of_an_added_format_are_recognized(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.tiff", tmp_path / "other.tiff"
    ours.write_bytes(TIFF.encode(PIXELS, None, INTERRUPTED_MARK))
    other.write_bytes(TIFF.encode(PIXELS, None, None))
    assert [is_marked(path, INTERRUPTED_MARK) for path in (ours, other)] == [True, False]
    keep_others(other, INTERRUPTED_MARK)
    assert (tmp_path / "other.kept-1.tiff").exists()


@pytest.mark.usefixtures("tiff")
def test_save_writes_an_added_format(tmp_path: Path) -> None:
    picture = WithPicture()
    picture.pixels = PIXELS
    picture.save(tmp_path / "a.TIF", alpha=ALPHA)
    assert (tmp_path / "a.TIF").read_bytes() == TIFF.encode(PIXELS, ALPHA, None)
    with pytest.raises(SaveError, match=r"ends in \.png, \.jpg, \.jpeg, \.tiff or \.tif$"):
        picture.save(tmp_path / "a.bmp")


def test_png_files_have_the_bytes_of_encode_png() -> None:
    encode = result_formats()[".png"].encode
    assert encode(PIXELS, ALPHA, TEXT) == encode_png(PIXELS, ALPHA, text=TEXT)
