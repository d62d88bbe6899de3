"""One manifest as many programs write it: read the same, or refused with what to do."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.cli.commands.check import check
from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal
from tasks.intake.manifest import ManifestError, understand_manifest
from tasks.intake.sheets import frames
from tasks.intake.sheets.decimal_commas import with_points
from tasks.request import CheckRequest
from tasks.row import Row
from tasks.store.csv_cells import Record
from tests.pictures import write_picture

HEADER = ("content", "style", "size", "strength", "style_blend", "keep_alpha", "priority")
ROWS = (
    ("Tübingen.png", "s.png; t.png", "64", "0.5", "1; 3", "true", ""),
    ("a, b.png", "s.png", "32", "1", "", "", "1.5"),
)
PLAIN = (
    "content,style,size,strength,style_blend,keep_alpha,priority\n"
    "Tübingen.png,s.png; t.png,64,0.5,1; 3,true,\n"
    '"a, b.png",s.png,32,1,,,1.5\n'
)
SEMICOLONS = (
    "content;style;size;strength;style_blend;keep_alpha;priority\n"
    'Tübingen.png;"s.png; t.png";64;0,5;"1; 3";TRUE;\n'
    "a, b.png;s.png;32;1;;;1,5\n"
)
TABS = (
    "content\tstyle\tsize\tstrength\tstyle_blend\tkeep_alpha\tpriority\n"
    "Tübingen.png\ts.png; t.png\t64\t0.5\t1; 3\tTRUE\t\n"
    '"a, b.png"\ts.png\t32\t1\t\t\t1.5\n'
)
BY_SEMICOLONS = "separated by semicolons"
NUMBERED = "without its first column, which numbers the rows"


def numbered(text: str, separator: str, name: str) -> str:
    lines = text.splitlines()
    firsts = [name, *map(str, range(len(lines) - 1))]
    return "".join(f"{first}{separator}{line}\n" for first, line in zip(firsts, lines, strict=True))


def titled(text: str, change: Callable[[str], str]) -> str:
    header, rest = text.split("\n", 1)
    return f"{change(header)}\n{rest}"


def parquet(**options: object) -> bytes:
    frame = pd.DataFrame(
        {
            **{name: [row[at] for row in ROWS] for at, name in enumerate(HEADER[:2])},
            "size": [64, 32],
            "strength": [0.5, 1.0],
            "style_blend": ["1; 3", None],
            "keep_alpha": [True, None],
            "priority": [None, 1.5],
        }
    )
    if options.get("index"):
        frame.index = pd.Index(["x", "y"])
    if options.get("named"):
        frame.insert(0, "id", [1, 2])
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


READ = {
    "plain": (PLAIN.encode(), ""),
    "bom": (PLAIN.encode("utf-8-sig"), ""),
    "crlf": (PLAIN.replace("\n", "\r\n").encode(), ""),
    "old mac": (PLAIN.replace("\n", "\r").encode(), ""),
    "no last line end": (PLAIN.rstrip().encode(), ""),
    "all quoted": (
        "\n".join(",".join(f'"{cell}"' for cell in row) for row in (HEADER, *ROWS)).encode(),
        "",
    ),
    "blank lines": ((f"\n,,,\n{PLAIN}\n\n,,,,,,,,,\n , ,\n").encode(), ""),
    "trailing columns": (PLAIN.replace("\n", ",,,\n").encode(), ""),
    "capitals": (titled(PLAIN, str.upper).encode(), ""),
    "blanks in the header": (titled(PLAIN, lambda h: h.replace(",", " , ")).encode(), ""),
    "invisible marks": (titled(PLAIN, lambda h: h.replace(",", ",\u200b")).encode(), ""),
    "sep=,": ((f"sep=,\n{PLAIN}").encode(), ""),
    "utf-16 with mark": (PLAIN.encode("utf-16"), "UTF-16, separated by commas"),
    "utf-16-be with mark": (
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        "UTF-16, separated by commas",
    ),
    "utf-16-le": (PLAIN.encode("utf-16-le"), "UTF-16, separated by commas"),
    "utf-16-be": (PLAIN.encode("utf-16-be"), "UTF-16, separated by commas"),
    "utf-32": (PLAIN.encode("utf-32"), "UTF-32, separated by commas"),
    "unicode text of Excel": (
        TABS.replace("\n", "\r\n").replace("0.5", "0,5").encode("utf-16"),
        "UTF-16, separated by tabs, with decimal commas",
    ),
    "tabs": (TABS.encode(), "CSV, separated by tabs"),
    "semicolons": (SEMICOLONS.encode(), f"CSV, {BY_SEMICOLONS}, with decimal commas"),
    "semicolons and points": (
        SEMICOLONS.replace("0,5", "0.5").replace("1,5", "1.5").encode(),
        f"CSV, {BY_SEMICOLONS}",
    ),
    "sep=;": (
        f"sep=;\r\n{SEMICOLONS}".encode("utf-8-sig"),
        f"CSV, {BY_SEMICOLONS}, with decimal commas",
    ),
    '"sep=;"': (f'"sep=;"\n{SEMICOLONS}'.encode(), f"CSV, {BY_SEMICOLONS}, with decimal commas"),
    "sep=|": (f"sep=|\n{TABS.replace(chr(9), '|')}".encode(), "CSV, separated by vertical bars"),
    "index of pandas": (numbered(PLAIN, ",", "").encode(), f"CSV, {NUMBERED}"),
    "index of old pandas": (numbered(PLAIN, ",", "Unnamed: 0").encode(), f"CSV, {NUMBERED}"),
    "numbers": (
        numbered(SEMICOLONS, ";", "Nr.").encode("utf-16"),
        f"UTF-16, {BY_SEMICOLONS}, {NUMBERED}, with decimal commas",
    ),
    "numbers below the rows": (
        (numbered(PLAIN, ",", "#") + "2,,,\n3,,,,,,,\n").encode(),
        f"CSV, {NUMBERED}",
    ),
    "an empty first column": (PLAIN.replace("\n", "\n,").join((",", "")).encode(), ""),
    "parquet": (parquet(), "Parquet"),
    "parquet with an index": (parquet(index=True), "Parquet"),
    "parquet with numbers": (parquet(named=True), f"Parquet, {NUMBERED}"),
}

REFUSED = {
    "latin-1": (
        PLAIN.encode("latin-1"),
        "line 2, byte 61 of the file is not UTF-8, but perhaps the older encoding",
    ),
    "half of utf-16": (PLAIN.encode("utf-16")[:-1], "is not UTF-16, although the file begins"),
    "bars": (TABS.replace("\t", "|").encode(), "'|' separates the names: separate cells by commas"),
    "blanks": (b"content style\na.png s.png\n", "a blank separates the names: separate cells by"),
    "wrong sep=": (f"sep=;\n{PLAIN}".encode(), "within it commas separate the names: remove"),
    "lines in quotes": (
        b'"content,style"\n"a.png,s.png"\n',
        "within it commas separate the names: remove the quotes around whole lines",
    ),
    "other quotes": (
        "\u201ccontent\u201d;\u201cstyle\u201d\na;b\n".encode(),
        'only " is a quote in CSV: remove the \u201c',
    ),
    "no header": (b"a.png;s.png\nb.png;s.png\n", "add a line with the names of the columns above"),
    "misspelled": (b"contents;style\na;b\n", "did you mean 'content' by 'contents'?"),
    "in German": (b"Content;Stil;style_scale\na;b;1\n", "did you mean 'style' by 'Stil'?"),
    "xls": (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "this is an Excel file in the form of 2003 (.xls)"),
    "damaged zip": (b"PK\3\4" + b"\0" * 600, "this is a damaged XLSX or zip file, expected a CSV"),
    "damaged parquet": (b"PAR1" + b"\0" * 600, "begins like a Parquet file, but cannot be read"),
}


def zipped(**files: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return file.getvalue()


REFUSED["ods"] = (zipped(content_xml="", mimetype=""), "this is an OpenDocument file (.ods)")
REFUSED["numbers"] = (zipped(Index__Document_iwa=""), "this is a Numbers file, expected a CSV")
REFUSED["zip"] = (zipped(m_csv=PLAIN), "this is a zip file, expected a CSV, XLSX or Parquet file")


def meaning(folder: Path, rows: list[Row]) -> list[object]:
    """Return everything of rows but the lines on which they are."""
    return [
        (
            row.faults,
            row.content.relative_to(folder),
            [style.place.relative_to(folder) for style in row.styles],
            row.settings,
            row.output,
            row.priority,
        )
        for row in rows
    ]


@pytest.mark.parametrize("dialect", READ)
def test_a_dialect_is_read_as_the_plain_form_is(tmp_path: Path, dialect: str) -> None:
    plain, other = tmp_path / "plain.csv", tmp_path / "m.csv"
    data, understood = READ[dialect]
    plain.write_text(PLAIN, "utf-8")
    other.write_bytes(data)
    expected, found = understand_manifest(plain), understand_manifest(other)
    assert meaning(tmp_path, found.rows) == meaning(tmp_path, expected.rows)
    first, second = found.rows
    assert (first.faults, second.faults) == ((), ())
    assert (first.settings.strength, first.settings.keep_alpha, second.priority) == (0.5, True, 1.5)
    assert first.settings.style_blend == "1; 3"
    assert found.understood == (f"{other}: read as {understood}" if understood else "")


@pytest.mark.parametrize("dialect", REFUSED)
def test_a_dialect_is_refused_with_what_to_do(tmp_path: Path, dialect: str) -> None:
    data, expected = REFUSED[dialect]
    manifest = tmp_path / "m.csv"
    manifest.write_bytes(data)
    with pytest.raises(ManifestError) as raised:
        understand_manifest(manifest)
    assert str(raised.value).startswith(f"{manifest}")
    assert expected in str(raised.value)
    assert "Traceback" not in str(raised.value)


def read(folder: Path, text: str) -> list[Row]:
    (folder / "m.csv").write_text(text, "utf-8")
    return understand_manifest(folder / "m.csv").rows


def test_styles_without_quotes_are_explained_where_semicolons_separate_cells(
    tmp_path: Path,
) -> None:
    why = 'several styles in one cell need quotes around it, such as "a.jpg; b.jpg"'
    (row,) = read(tmp_path, "content;style\na.png;s.png; t.png\n")
    (fault,) = row.faults
    assert (fault.column, fault.found) == ("(no name)", "t.png")
    assert fault.expected.endswith(f"where semicolons separate the cells, {why}")
    (row,) = read(tmp_path, "content;style;size\na.png;s.png; t.png\n")
    (fault,) = row.faults
    assert (fault.column, fault.found) == ("size", "t.png")
    assert why in fault.expected
    (row,) = read(tmp_path, "content,style\na.png,s.png, t.png\n")
    assert why not in row.faults[0].expected


def test_a_decimal_comma_is_explained_where_commas_separate_cells(tmp_path: Path) -> None:
    (row,) = read(tmp_path, 'content,style,strength,priority\na.png,s.png,"0,5","1,5"\n')
    assert [fault.found for fault in row.faults] == ["0,5", "1,5"]
    for fault, meant in zip(row.faults, ("0.5", "1.5"), strict=True):
        assert f"write '{meant}', because commas separate the cells" in fault.expected


def test_a_number_out_of_range_is_shown_as_it_was_written(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "content;style;strength\na.png;s.png;1,5\n")
    assert row.faults[0].found == "1,5"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0,5", "0.5"),
        ("-1,25e-3", "-1.25e-3"),
        (" 3,0 ", " 3.0 "),
        ("0,5; 1; 2,5", "0.5; 1; 2.5"),
        ("relu1_1:0,5 relu2_1:1,25", "relu1_1:0.5 relu2_1:1.25"),
        ("relu1_1:1,relu2_1", "relu1_1:1,relu2_1"),
        ("relu1_1, relu2_1", "relu1_1, relu2_1"),
        ("1,2,3", "1,2,3"),
        ("1.024,5", "1.024,5"),
        ("9-point", "9-point"),
    ],
)
def test_decimal_commas_become_points_only_within_numbers(written: str, meant: str) -> None:
    assert with_points(written) == meant


def test_rows_of_data_frames_have_the_texts_of_csv() -> None:
    """These are the types that pandas reads from XLSX and Parquet."""
    cells = {
        "text": ["a", " b ", ""],
        "whole": [64.0, np.nan, np.nan],
        "number": [np.float64(0.1), 1e-15, None],
        "integer": [np.int64(3), pd.NA, None],
        "switch": [True, np.bool_(False), None],
        "day": [pd.Timestamp("2026-11-27"), pd.NaT, None],
    }
    read = frames.records_of(pd.DataFrame(cells, dtype=object), first_line=2)
    assert read == [
        Record(2, ["a", "64", "0.1", "3", "true", "2026-11-27 00:00:00"]),
        Record(3, [" b ", "", "1e-15", "", "false", ""]),
    ]


WORKBOOK = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-'
    'types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
    'relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.'
    'openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/'
    'worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'spreadsheetml.worksheet+xml"/><Override PartName="/xl/worksheets/sheet2.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/'
    '2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    ' xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
    '<sheet name="Notes" sheetId="1" r:id="r1"/><sheet name="Night" sheetId="2" r:id="r2"/>'
    "</sheets></workbook>",
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/'
    '2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship '
    'Id="r2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
    'Target="worksheets/sheet2.xml"/></Relationships>',
}


def xlsx_cell(name: str, text: str) -> str:
    if not text:
        return ""
    if text in ("true", "64", "32", "0.5", "1", "1.5"):
        kind, value = ("b", "1") if text == "true" else ("n", text)
        return f'<c r="{name}" t="{kind}"><v>{value}</v></c>'
    return f'<c r="{name}" t="inlineStr"><is><t>{text}</t></is></c>'


def xlsx() -> bytes:
    """Return a workbook of two sheets; the manifest is in the second, below an empty row."""
    lines = (
        f'<row r="{at}">'
        + "".join(xlsx_cell(f"{'ABCDEFG'[column]}{at}", text) for column, text in enumerate(row))
        + "</row>"
        for at, row in enumerate((HEADER, *ROWS), 2)
    )
    head = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    )
    notes = f'{head}<row r="1">{xlsx_cell("A1", "to do")}</row></sheetData></worksheet>'
    night = f"{head}{''.join(lines)}</sheetData></worksheet>"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in WORKBOOK.items():
            archive.writestr(name, text)
        archive.writestr("xl/worksheets/sheet1.xml", notes)
        archive.writestr("xl/worksheets/sheet2.xml", night)
    return file.getvalue()


def test_a_workbook_is_read_as_the_plain_form_is(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    (tmp_path / "m.xlsx").write_bytes(xlsx())
    found = understand_manifest(tmp_path / "m.xlsx")
    assert meaning(tmp_path, found.rows) == meaning(tmp_path, read(tmp_path, PLAIN))
    assert [row.line for row in found.rows] == [3, 4]
    assert found.understood == f"{tmp_path / 'm.xlsx'}: read as XLSX, sheet 'Night'"


def test_the_first_sheet_with_a_header_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands for the library where it is not installed: pandas returns frames such as these."""
    notes = pd.DataFrame([["to do"]], dtype=object)
    night = pd.DataFrame([["", ""], ["Content", "style"], ["a.png", "s.png"]], dtype=object)
    monkeypatch.setattr(frames, "find_spec", lambda _: object())
    monkeypatch.setattr(pd, "read_excel", lambda *_, **__: {"Notes": notes, "Night": night})
    (tmp_path / "m.csv").write_bytes(xlsx())
    manifest = understand_manifest(tmp_path / "m.csv")
    (row,) = manifest.rows
    assert (row.line, row.faults, row.content) == (3, (), tmp_path / "a.png")
    assert manifest.understood.endswith(": read as XLSX, sheet 'Night'")


def test_an_xlsx_file_without_its_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "find_spec", lambda _: None)
    (tmp_path / "m.xlsx").write_bytes(xlsx())
    with pytest.raises(ManifestError, match=r"install it \(pip install '.\[xlsx\]' in the"):
        understand_manifest(tmp_path / "m.xlsx")


def test_check_says_in_one_line_what_was_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_picture(tmp_path / "a.png", 1)
    Path("m.csv").write_bytes("content;style;strength\na.png;a.png;0,5\n".encode("utf-16"))
    assert check(Terminal(), Asked(CheckRequest(manifest=Path("m.csv")))) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first == "m.csv: read as UTF-16, separated by semicolons, with decimal commas"
    Path("m.csv").write_text("content,style\na.png,a.png\n")
    assert check(Terminal(), Asked(CheckRequest(manifest=Path("m.csv")))) == 0
    assert "read as" not in capsys.readouterr().out


def test_csv_needs_no_pandas() -> None:
    code = (
        "import sys, tempfile, pathlib\n"
        "from tasks.intake.manifest import read_manifest\n"
        "path = pathlib.Path(tempfile.mkdtemp(), 'm.csv')\n"
        "path.write_text('content;style\\na;b\\n')\n"
        "assert read_manifest(path)\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
