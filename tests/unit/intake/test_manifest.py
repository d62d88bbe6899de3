"""Manifests: the forms that are read, and every fault of every row."""

import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from nst_core.transfer.presets import PRESETS, Overrides
from tasks.intake.manifest import ManifestError, check_manifest_kind, read_manifest
from tasks.intake.outputs import check_places
from tasks.row import Fault, Row
from tasks.store.csv_cells import to_csv
from tasks.store.output_folder import OutputFolder


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
    assert row.styles[0].place == Path("/styles/s.png")
    assert row.output == "cat_s.png"
    assert row.faults == ()


def test_files_of_spreadsheets_are_read(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbfstyle,content,size,\r\n"s, the first.png",c.jpg, 64 ,\r\n\r\n,,,\r\n'
    (row,) = read(tmp_path, text)
    assert row.styles[0].place.name == "s, the first.png"
    assert row.content.name == "c.jpg"
    assert row.settings.size == 64
    assert row.line == 2
    assert row.faults == ()


def test_names_may_be_in_any_script(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "content,style\nTübingen.jpg,浮世絵.png\n")
    assert row.output == "Tübingen_浮世絵.png"
    assert row.faults == ()


def test_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    text = 'content,style,output\na,b,\n\n"c\nc",b,\nd,b,\n'
    assert [row.line for row in read(tmp_path, text)] == [2, 4, 6]


def test_a_row_overrides_the_batch_and_its_preset_replaces_that_of_the_batch(
    tmp_path: Path,
) -> None:
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
        ("content_weight", "-1", "expected 0, or a number from 1e-15 to 1e15"),
        ("size", "big", "expected a whole number from 16 to 8192"),
        ("steps", "1.5", "expected a whole number from 1 to 10000"),
        ("preset", "best", "'draft', 'standard', 'fine'"),
        ("keep_alpha", "perhaps", "true or false (or yes or no, on or off, 1 or 0)"),
        ("enlarge", "WAHR", "true or false"),
        ("style_layers", "relu1_1:x", "'x' is not a number"),
        ("style_layers", "relu1_7", "did you mean 'relu1_"),
        ("content_layers", "conv9_9", "has no layer 'conv9_9'"),
        ("encoder", "vgg99", "'compact'"),
        ("output", "../secret.png", "inside the output folder"),
        ("output", "a/../../secret.png", "inside the output folder"),
        ("output", "/etc/passwd", "inside the output folder"),
        ("output", "C:\\windows\\a", "inside the output folder"),
        ("output", "s3://bucket/a.png", "not a URL; only --output may be one"),
        ("output", "a.gif", "or one without an extension"),
        ("output", "a\x07b", "printable"),
        ("output", "a\u202egnp.exe", "without the character '\\u202e'"),
        ("output", ".", "expected a file name"),
        ("output", "./", "expected a file name"),
        ("output", "浮" * 80, "at most 200 bytes"),
        ("output", "/".join(["b" * 100] * 50), "at most 1000 bytes in all"),
        ("content", "a\0b", "found a NUL character"),
        ("content", "x" * 200_000, "200,000 characters; expected at most 8,192"),
        ("style", "https://[bad/x.png", "this is not a valid URL (Invalid IPv6 URL)"),
        ("style", "https:///x.png", "found no host"),
        ("style", "file://[", "this is not a valid URL (Invalid IPv6 URL)"),
        ("style", "file://x.png", "found the host 'x.png'; expected file:///path"),
        ("style", "file:///a%00b", "found a NUL character"),
        ("content_wieght", "1", "did you mean 'content_weight'?"),
        *(("priority", cell, "expected a number; rows with higher") for cell in ("high", "1,5")),
        *(("priority", cell, "expected a number; rows with higher") for cell in ("nan", "-inf")),
        ("photographer", "me", "expected one of content, style, output, preset, size"),
    ],
)
def test_a_fault_names_line_column_value_and_what_is_allowed(
    tmp_path: Path, column: str, cell: str, expected: str
) -> None:
    cells = {"content": "c", "style": "d", column: cell}
    text = to_csv([tuple(cells), ("a", "b", "")[: len(cells)], tuple(cells.values())])
    good, bad = read(tmp_path, text)
    assert good.faults == ()
    fault = only_fault(bad)
    assert (fault.line, fault.column) == (3, column)
    assert expected in fault.expected
    assert fault.found == (cell if len(cell) < 8192 else "")


def test_all_faults_of_a_row_are_found_at_once(tmp_path: Path) -> None:
    text = "content,style,size,steps,output,colour\na,,-1,x,../up,red\n"
    (row,) = read(tmp_path, text)
    assert [fault.column for fault in row.faults] == ["size", "steps", "colour", "style", "output"]


def test_cells_beyond_the_header_are_a_fault(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style\na,b\nc,d,e,f\ng,h\n")
    assert [len(row.faults) for row in rows] == [0, 1, 0]
    fault = only_fault(rows[1])
    assert (fault.line, fault.found) == (3, "e,f")
    assert "the header has no name for it" in fault.expected


def test_a_duplicate_output_is_a_fault_of_the_later_row(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style,output\na,b,x\nc,d,X.PNG\n")
    assert rows[0].faults == ()
    assert only_fault(rows[1]).found == "X.PNG"
    assert "line 2 has the output 'X.png' too" in only_fault(rows[1]).expected


def test_equal_default_names_are_made_distinct_in_any_order(tmp_path: Path) -> None:
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
    assert "line 2 is the same" in only_fault(rows[1]).expected
    assert [row.output for row in rows] == ["a_b.png", "a_b.png"]


def test_a_priority_is_any_number_and_changes_no_name(tmp_path: Path) -> None:
    header, rows = "content,style,priority\n", "x/a,s,{}\ny/a,s,{}\nb,s,{}\n"
    plain = read(tmp_path, header + rows.format("", "", ""))
    ranked = read(tmp_path, header + rows.format("-1.5", "2e3", " 7 "))
    assert [row.faults for row in (*plain, *ranked)] == [()] * 6
    assert [row.priority for row in plain] == [0, 0, 0]
    assert [row.priority for row in ranked] == [-1.5, 2000, 7]
    assert [row.output for row in plain] == [row.output for row in ranked]
    twice = read(tmp_path, header + "a,b,1\na,b,2\n")
    assert "line 2 is the same" in only_fault(twice[1]).expected


def test_outputs_may_be_in_folders(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style,output\na,b,night/one\nc,d,night\\two.png\n")
    assert [row.output for row in rows] == ["night/one.png", "night/two.png"]


@pytest.mark.parametrize("letter", ["c", "ü", "浮"])
def test_very_long_names_are_shortened(tmp_path: Path, letter: str) -> None:
    (row,) = read(tmp_path, f"content,style\n{letter * 80}.jpg,{letter * 80}.jpg\n")
    assert 100 < len(row.output.encode()) < 200
    assert row.output.startswith(letter * 20)


def test_a_result_cannot_be_a_folder_of_another_result(tmp_path: Path) -> None:
    rows = read(tmp_path, "content,style,output\na,b,x\nc,d,x.png/y\n")
    assert "is a folder in the output of another row" in only_fault(rows[0]).expected
    assert rows[1].faults == ()


def test_a_result_cannot_overwrite_an_input(tmp_path: Path) -> None:
    text = "content,style,output\nout/pictures/a.png,s.png,a\nb.png,out/pictures/t.png,\n"
    rows = check_places(read(tmp_path, text), OutputFolder(tmp_path / "out"))
    assert "would overwrite a picture that a row reads" in only_fault(rows[0]).expected
    assert rows[1].faults == ()


def test_a_result_cannot_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out" / "pictures" / "a.png").mkdir(parents=True)
    (row,) = check_places(
        read(tmp_path, "content,style,output\nx,y,a\n"), OutputFolder(tmp_path / "out")
    )
    assert "would replace a folder" in only_fault(row).expected


def test_a_bad_number_does_not_hide_a_bad_layer(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "content,style,size,style_layers\na,b,-1,nope\n")
    assert {fault.column for fault in row.faults} == {"size", "style_layers"}


def test_settings_for_all_rows_are_checked_once(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="settings for the batch are wrong: style_layers"):
        read(tmp_path, "content,style\na,b\n", Overrides(style_layers="nope"))


@pytest.mark.parametrize(
    "text",
    [
        "content;style;size\na;b;64\n",
        "content\tstyle\tsize\na\tb\t64\n",
        "sep=;\r\ncontent;style;size\r\na;b;64\r\n",
        "SEP=,\ncontent,style,size\na,b,64\n",
        "\n\n ,,\ncontent,style,size\n\na,b,64\n",
        "content,style,size\na,b,64,,,\n",
        "content,style,size,,\na,b,64,,\n",
        ",content,style,size\n0,a,b,64\n",
        "Unnamed: 0,content,style,size\n17,a,b,64\n",
        "Content,STYLE, Size \na,b,64\n",
        "content,\u200bstyle,size\ufeff\na,b,64\n",
        "\ufeff\ufeffcontent,style,size\na,b,64\n",
        "content\u00a0,style,size\na,b,64\u00a0\n",
        '"content","style","size"\n"a","b","64"\n',
    ],
)
def test_usual_forms_of_tables_are_read(tmp_path: Path, text: str) -> None:
    (row,) = read(tmp_path, text)
    assert row.faults == ()
    assert (row.content, row.styles[0].place) == (tmp_path / "a", tmp_path / "b")
    assert row.settings.size == 64
    assert row.output == "a_b.png"


def test_line_numbers_count_blank_lines_and_the_separator_line(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "sep=;\n\ncontent;style\n\na;b\n")
    assert row.line == 5


def test_an_unnamed_first_column_of_other_values_is_no_index(tmp_path: Path) -> None:
    rows = read(tmp_path, ",content,style\n0,a,b\nred,c,d\n")
    assert [fault.found for row in rows for fault in row.faults] == ["0", "red"]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *((cell, True) for cell in ("TRUE", "true", "True", "yes", "Y", "1", "on", "t")),
        *((cell, False) for cell in ("FALSE", "False", "no", "N", "0", "off", "F")),
    ],
)
def test_booleans_are_read_in_all_usual_spellings(tmp_path: Path, cell: str, value: bool) -> None:
    (row,) = read(tmp_path, f"content,style,keep_alpha\na,b,{cell}\n")
    assert (row.faults, row.settings.keep_alpha) == ((), value)


@pytest.mark.parametrize(
    "name", [" lead.png", "end ", "\u3000.png", "a\nb.png", "a\rb.png", 'q"".p']
)
def test_blanks_are_kept_if_a_file_has_that_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (row,) = read(tmp_path, to_csv([("content", "style"), (name, " b ")]))
    assert row.content == tmp_path / name
    assert row.styles[0].place == tmp_path / "b"
    assert row.cells["content"] == name


def test_many_equal_names_are_no_fault_and_keep_six_digits(tmp_path: Path) -> None:
    covers = [(f"album{number:05d}/cover.png", "s.png") for number in range(6000)]
    rows = read(tmp_path, to_csv([("content", "style"), *covers]))
    assert [row.faults for row in rows] == [()] * 6000
    assert len({row.output for row in rows}) == 6000
    digits = Counter(len(row.output) - len("cover_s_.png") for row in rows)
    assert digits == {6: 5998, 12: 2}
    # The first version generated the same name.
    assert rows[0].output == "cover_s_fecf21.png"


@pytest.mark.parametrize(
    "bad", ["a.png,s.png,x.bmp,", "a.png,s.png,,-1", "a.png,s.png,../a,", "a.png,s.png,a_s.png,0"]
)
@pytest.mark.parametrize("order", [1, -1])
def test_an_invalid_row_changes_no_other_name(tmp_path: Path, bad: str, order: int) -> None:
    lines = ["a.png,s.png,,", bad][::order]
    rows = read(tmp_path, "\n".join(["content,style,output,size", *lines]))[::order]
    assert (rows[0].output, rows[0].faults) == ("a_s.png", ())
    assert len(rows[1].faults) == 1


def test_generated_names_give_way_to_those_of_users(tmp_path: Path) -> None:
    text = "content,style,output\na,s,\nb,s,B_S\nc,s,c_s.png/x\nb,s,\nc,s,\nx/a,s,A_S_000000\n"
    rows = read(tmp_path, text)
    assert [row.faults for row in rows] == [()] * 6
    assert [rows[at].output for at in (0, 1, 2, 5)] == [
        *("a_s.png", "B_S.png", "c_s.png/x.png", "A_S_000000.png"),
    ]
    assert all(len(rows[at].output) == len("b_s_123456.png") for at in (3, 4))


def test_a_manifest_can_be_read_from_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("content,style\na,b\n"))
    writer.start()
    monkeypatch.chdir(tmp_path.parent)
    (row,) = read_manifest(pipe)
    writer.join()
    assert row.content == tmp_path.parent / "a"
    with pytest.raises(ManifestError, match=r"this is a pipe, which can be read only once"):
        check_manifest_kind(pipe)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "link"])
def test_a_device_is_refused_as_a_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("/dev/zero")
    with pytest.raises(ManifestError, match="found a device or terminal, expected a file"):
        read_manifest(Path(device))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "there is nothing in the file"),
        (b"content,style\n", "nothing below the header"),
        (b"content,style\n,\n\n", "nothing below the header"),
        (b"\n\n,,\n", "there is nothing in the file"),
        (b"content|style\na|b\n", r"found the columns content\|style"),
        (b"\n\nContent,Style,CONTENT\na,b,c\n", "line 3: column content appears twice"),
        (b"picture,style\na,b\n", "no column content"),
        (b"content,style,style\na,b,c\n", "column style appears twice"),
        ("content,style\nTübingen,b\n".encode("latin-1"), "not UTF-8"),
        (b'content,style\na,b\n"c,d\ne,f\n', "line 3: unexpected end of data"),
        (b'content,style\na,b\n"ok"2,d\ne,f\n', "line 3: .* expected after"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
    ],
)
def test_unusable_manifests_are_refused(tmp_path: Path, text: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as raised:
        read(tmp_path, text)
    assert str(tmp_path / "manifest.csv") in str(raised.value)


def test_a_missing_manifest_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nothing\.csv: cannot be read: No such file"):
        read_manifest(tmp_path / "nothing.csv")
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        read_manifest(tmp_path)


def test_secrets_in_a_header_are_not_shown(tmp_path: Path) -> None:
    """Without a header, the first row is taken for the header, and may contain secrets."""
    for text in (
        b"https://host/a.png?page=1,2&key=hush,s.png\n",
        b"content,style,s3://me:hush@a,s3://me:hush@a\na,b,c,d\n",
        b"://me:hush@content,style\na,b\n",
        b"//me:hush@content,style\na,b\n",
    ):
        with pytest.raises(ManifestError) as raised:
            read(tmp_path, text)
        assert "//" in str(raised.value)
        assert "hush" not in str(raised.value)
    (row,) = read(tmp_path, b"content,style,s3://me:hush@output\na.png,b.png,c\n")
    (fault,) = row.faults
    assert fault.column == "s3://output"
    for scheme in (b"s3:", b""):
        cells = b"a.png,b.png," + scheme + b"//me:hush@a,a:hush\n"
        (row,) = read(tmp_path, b"content,style,content_layers,size\n" + cells)
        assert [fault.found for fault in row.faults] == ["a:hush", f"{scheme.decode()}//a"]
        assert "hush" not in row.faults[1].expected
