"""Manifests: what they may look like, and every fault of every row."""

import os
import threading
from pathlib import Path

import pytest

from nst_core.settings import PRESETS, Overrides
from tasks.manifest import Fault, ManifestError, Row, check_places, read_manifest


def read(folder: Path, text: str | bytes, defaults: object = None) -> list[Row]:
    path = folder / "manifest.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_manifest(path, defaults)  # type: ignore[arg-type]


def only_fault(row: Row) -> Fault:
    (fault,) = row.faults
    return fault


def test_paths_are_relative_to_the_manifest(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "content,style\na/cat.jpg,/styles/s.png\n")
    assert row.content == tmp_path / "a" / "cat.jpg"
    assert row.style == Path("/styles/s.png")
    assert row.output == "cat_s.png"
    assert row.faults == ()


def test_what_spreadsheets_write(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbfstyle,content,size,\r\n"s, the first.png",c.jpg, 64 ,\r\n\r\n,,,\r\n'
    (row,) = read(tmp_path, text)
    assert row.style.name == "s, the first.png"
    assert row.content.name == "c.jpg"
    assert row.settings.size == 64
    assert row.line == 2
    assert row.faults == ()


def test_other_alphabets(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "content,style\nTübingen.jpg,浮世絵.png\n")
    assert row.output == "Tübingen_浮世絵.png"
    assert row.faults == ()


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    text = 'content,style,output\na,b,\n\n"c\nc",b,\nd,b,\n'
    assert [row.line for row in read(tmp_path, text)] == [2, 4, 6]


def test_a_row_goes_before_the_batch_and_a_preset_before_both_bases(tmp_path: Path) -> None:
    text = "content,style,preset,size,steps\na,b,,,\nc,b,fine,,9\nd,b,,33,\n"
    rows = read(tmp_path, text, Overrides(preset="draft", size=100))
    assert [row.settings for row in rows] == [
        PRESETS["draft"].model_copy(update={"size": 100}),
        PRESETS["fine"].model_copy(update={"size": 100, "steps": 9}),
        PRESETS["draft"].model_copy(update={"size": 33}),
    ]


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("content_weight", "-1", "greater than or equal to 0"),
        ("size", "big", "valid integer"),
        ("steps", "1.5", "valid integer"),
        ("preset", "best", "'draft', 'standard', 'fine'"),
        ("keep_alpha", "perhaps", "valid boolean"),
        ("style_layers", "relu1_1:x", "'x' is not a number"),
        ("style_layers", "relu1_7", "did you mean 'relu1_"),
        ("content_layers", "conv9_9", "has no layer 'conv9_9'"),
        ("encoder", "vgg99", "'compact'"),
        ("output", "../secret.png", "inside the output folder"),
        ("output", "a/../../secret.png", "inside the output folder"),
        ("output", "/etc/passwd", "inside the output folder"),
        ("output", "C:\\windows\\a", "inside the output folder"),
        ("output", "a.jpg", "results are PNG"),
        ("output", "a\x07b", "printable"),
        ("output", ".", "printable"),
        ("output", "./", "printable"),
        ("output", "浮" * 80, "at most 200 bytes"),
        ("content_wieght", "1", "did you mean 'content_weight'?"),
        ("photographer", "me", "expected one of content, style, output, preset, size"),
    ],
)
def test_a_fault_names_line_column_found_and_allowed(
    tmp_path: Path, column: str, cell: str, expected: str
) -> None:
    good, bad = read(tmp_path, f"content,style,{column}\na,b,\nc,d,{cell}\n")
    assert good.faults == ()
    fault = only_fault(bad)
    assert (fault.line, fault.column) == (3, column)
    assert expected in fault.expected
    assert cell in fault.found or repr(cell) in fault.found or fault.found == "unknown column"


def test_all_faults_of_a_row_at_once(tmp_path: Path) -> None:
    text = "content,style,size,steps,output,colour\na,,-1,x,../up,red\n"
    (row,) = read(tmp_path, text)
    assert [fault.column for fault in row.faults] == ["size", "steps", "colour", "style", "output"]


def test_cells_beyond_the_header(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style\na,b\nc,d,e,f\ng,h\n")
    assert [len(row.faults) for row in rows] == [0, 1, 0]
    fault = only_fault(rows[1])
    assert (fault.line, fault.found) == (3, "found 'e,f'")
    assert "no name for this cell" in fault.expected


def test_a_duplicate_output_is_a_fault_of_the_later_row(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style,output\na,b,x\nc,d,X.PNG\n")
    assert rows[0].faults == ()
    assert "line 2" in only_fault(rows[1]).found


def test_equal_default_names_are_told_apart_whatever_the_order(tmp_path: Path) -> None:
    first = read(tmp_path, "content,style\nx/a.jpg,s.png\ny/a.jpg,s.png\n")
    second = read(tmp_path, "content,style\ny/a.jpg,s.png\nx/a.jpg,s.png\nother.jpg,s.png\n")
    assert all(row.faults == () for row in (*first, *second))
    assert len({row.output for row in first}) == 2
    assert {row.output for row in first} == {row.output for row in second[:2]}
    assert second[2].output == "other_s.png"


def test_the_same_row_twice_is_a_duplicate(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style\na,b\na,b\n")
    assert rows[0].faults == ()
    assert only_fault(rows[1]).column == "output"


def test_outputs_in_folders(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style,output\na,b,night/one\nc,d,night\\two.png\n")
    assert [row.output for row in rows] == ["night/one.png", "night/two.png"]


@pytest.mark.parametrize("letter", ["c", "ü", "浮"])
def test_very_long_names_are_cut(tmp_path: Path, letter: str) -> None:
    (row,) = read(tmp_path, f"content,style\n{letter * 80}.jpg,{letter * 80}.jpg\n")
    assert 100 < len(row.output.encode()) < 200
    assert row.output.startswith(letter * 20)


def test_a_result_cannot_be_a_folder_of_others(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style,output\na,b,x\nc,d,x.png/y\n")
    assert "is a folder in the output of another row" in only_fault(rows[0]).found
    assert rows[1].faults == ()


def test_a_result_cannot_take_the_place_of_a_picture_that_is_read(tmp_path: Path) -> None:
    text = "content,style,output\nout/pictures/a.png,s.png,a\nb.png,out/pictures/t.png,\n"
    rows = check_places(read(tmp_path, text), tmp_path / "out")
    assert "would overwrite a picture that is read" in only_fault(rows[0]).found
    assert rows[1].faults == ()


def test_a_result_cannot_take_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out" / "pictures" / "a.png").mkdir(parents=True)
    (row,) = check_places(read(tmp_path, "content,style,output\nx,y,a\n"), tmp_path / "out")
    assert "is a folder" in only_fault(row).found


def test_a_bad_number_does_not_hide_a_bad_layer(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "content,style,size,style_layers\na,b,-1,nope\n")
    assert {fault.column for fault in row.faults} == {"size", "style_layers"}


def test_settings_for_all_rows_are_checked_once(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="settings for all rows are at fault: style_layers"):
        read(tmp_path, "content,style\na,b\n", Overrides(style_layers="nope"))


def test_a_manifest_from_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("content,style\na,b\n"))
    writer.start()
    assert len(read_manifest(pipe)) == 1
    writer.join()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not a CSV file"),
        (b"content,style\n", "nothing below the header"),
        (b"content,style\n,\n\n", "nothing below the header"),
        (b"content;style\na;b\n", "found the columns content;style"),
        (b"picture,style\na,b\n", "no column content"),
        (b"content,style,style\na,b,c\n", "column style stands there twice"),
        ("content,style\nTübingen,b\n".encode("latin-1"), "not UTF-8"),
        ("content,style\na,b\n".encode("utf-16"), "not UTF-8"),
        (b'content,style\na,b\n"c,d\ne,f\n', "line 3: unexpected end of data"),
        (b'content,style\na,b\n"ok"2,d\ne,f\n', "line 3: .* expected after"),
        (b"content,style\n" + b"x" * 200_000 + b",b\n", "line 2: field larger"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
    ],
)
def test_what_cannot_be_used_at_all(tmp_path: Path, text: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as raised:
        read(tmp_path, text)
    assert str(tmp_path / "manifest.csv") in str(raised.value)


def test_a_missing_manifest_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nothing\.csv: cannot be read: No such file"):
        read_manifest(tmp_path / "nothing.csv")
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        read_manifest(tmp_path)
