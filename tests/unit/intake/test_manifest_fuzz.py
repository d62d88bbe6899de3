"""Manifests with any damage: only documented errors occur, in little time and memory."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.cli.commands.check import check
from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal
from nst_core.networks.store import WeightStore
from nst_core.storage import objects
from nst_core.storage.places import Place, redacted
from nst_core.transfer.settings import Settings
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import ManifestError, read_manifest
from tasks.intake.outputs import check_places
from tasks.intake.rows import COLUMNS
from tasks.request import CheckRequest
from tasks.row import Row
from tasks.store.output_folder import OutputFolder
from tests.fuzzing import ODD_TEXTS, bounded, fuzz
from tests.pictures import write_picture

VALID = (
    "content,style,output,size,keep_alpha,style_layers\n"
    'c.png,s.png,,64,TRUE,"relu1_1:1, relu2_1:0.5"\n'
    "folder/c.png,s.png,night/one,,no,\n"
    '"c.png",s.png,two.png,32,,\n'
    "loop.png,s.png,,,,\n"
)
HOSTILE = (
    *("loop.png", "loop/a", "pipe.png", "/dev/zero", "/dev/stdin", "a\0b", "https://[bad/x.png"),
    *("file://[", "file:///a%00", "d/" * 2000 + "d", "n" * 300, "s3://", "s3:/b", "https://", "~"),
    *("C:\\a", "..", ".", "/", "//", "a//b", "a.jpg", "\\\\host\\a", "-1", "1e999", "nan"),
    *("relu1_1:" + "1" * 400, "relu1_1:nan relu2_1", ":", "gatys", "vgg19", "\u202e", "9" * 400),
    *("http://" * 1000, "a://b:" * 1000, "[" * 1000, "{" * 1000, "s3://b/" + "\u0301" * 99),
    *("s3://k:hush@b", "//k:hush@b"),
)
CELLS = st.one_of(
    st.sampled_from(["c.png", "s.png", "", "32", "true", "two", " c.png ", *HOSTILE]), ODD_TEXTS
)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=8), max_size=6)
HEADERS = st.lists(st.one_of(st.sampled_from(COLUMNS), ODD_TEXTS), max_size=6).map(
    lambda names: ["content", "style", *names]
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Draw a table of cells of any kind, in any dialect."""
    separator = draw(st.sampled_from([",", ";", "\t"]))
    lines = [draw(HEADERS), *draw(ROWS)]
    quote = draw(st.booleans())
    marks = str.maketrans({'"': '""'})
    return "\n".join(
        separator.join(f'"{cell.translate(marks)}"' if quote else cell for cell in line)
        for line in lines
    ).encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a valid manifest with pieces cut, doubled, or replaced by others."""
    data = VALID.encode()
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 20)))
        piece = st.binary(max_size=6) | CELLS.map(lambda text: text.encode("utf-8", "replace"))
        new = draw(piece | st.sampled_from([data[begin:end] * 2, b'"', b",", b"\n", b"\r", b"\0"]))
        data = data[:begin] + new + data[end:]
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder with the files that rows name, while no storage answers."""
    folder = tmp_path_factory.mktemp("fuzz")
    write_picture(folder / "c.png", 1)
    write_picture(folder / "s.png", 2)
    for name in ("loop", "loop.png"):
        (folder / name).symlink_to(name)
    os.mkfifo(folder / "pipe.png")

    def do_not_answer(remote: Place, _: object) -> None:
        raise objects.StorageError(5, "no answer", redacted(remote))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "ask_storage", do_not_answer)
        yield folder


def hides_passwords(message: str, text: bytes) -> bool:
    """Return whether a message about a manifest contains no password of a URL.

    A damaged URL may no longer be a URL, and then it has no secret.
    """
    are_urls = text.count(b"hush@") == text.count(b"//k:hush@")
    return "hush@" not in message or not are_urls


def is_consistent(row: Row) -> bool:
    """Return whether the faults of a row name its line, and the row has an output."""
    named = all(fault.line == row.line and fault.column and fault.expected for fault in row.faults)
    return named and bool(row.output)


def read(manifest: Path) -> list[Row]:
    """Return the rows of a manifest, or none if it is refused with a documented error."""
    try:
        return read_manifest(manifest)
    except ManifestError as error:
        assert str(manifest) in str(error)  # noqa: PT017 - both are allowed
        assert hides_passwords(str(error), manifest.read_bytes())  # noqa: PT017
        return []


@fuzz(150)
@given(tables() | damaged())
def test_only_documented_errors_occur(folder: Path, text: bytes) -> None:
    (folder / "m.csv").write_bytes(text)
    with bounded():
        rows = read(folder / "m.csv")
        checked = check_places(rows, OutputFolder(folder / "out"))
        encoders = encoders_of(checked, WeightStore(folder))
        examined = examine_rows(checked, encoders, max_pixels=10**6)
    assert [row.line for row in examined.rows] == sorted({row.line for row in rows})
    assert all(map(is_consistent, examined.rows))
    assert hides_passwords("\n".join(map(str, examined.faults)), text)
    assert len(examined.jobs) == sum(not row.faults for row in examined.rows)
    outputs = [job.output for job in examined.jobs]
    assert len(set(outputs)) == len(outputs)


@fuzz(60)
@given(tables() | damaged())
def test_check_reports_all_faults(
    folder: Path, capsys: pytest.CaptureFixture[str], text: bytes
) -> None:
    (folder / "m.csv").write_bytes(text)
    request = CheckRequest(
        manifest=folder / "m.csv", output=folder / "out", cache=folder, max_pixels=10**6
    )
    for terminal in (Terminal(as_json=True), Terminal()):
        with bounded():
            code = check(terminal, Asked(request))
        captured = capsys.readouterr()
        assert code in (0, 1, 2)
        assert "Traceback" not in captured.err
        if terminal.as_json:
            report = json.loads(captured.out)
            assert ("error" in report) == (code == 2)
            assert bool(report.get("faults")) == (code == 1)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    "cell",
    ["http://" * 20_000, "a://b:" * 20_000, "x" * 10**6, '"' * 10**5, ("relu1_1 " * 10**5)],
    ids=["http", "secrets", "long", "quotes", "layers"],
)
@pytest.mark.parametrize("column", ["content", "output", "style_layers", "unknown"])
def test_very_long_cells_are_reported_at_once(folder: Path, column: str, cell: str) -> None:
    columns = list(dict.fromkeys(("content", "style", column)))
    with (folder / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerow({"content": "c.png", "style": "s.png", column: cell})
        writer.writerow({"content": "c.png", "style": "s.png"})
    with bounded():
        bad, good = check_places(read_manifest(folder / "m.csv"), OutputFolder(folder / "out"))
    assert good.faults == ()
    assert [fault.column for fault in bad.faults] == [column]
    assert len(str(bad.faults[0])) < 1000


def test_every_setting_is_a_column() -> None:
    assert set(Settings.model_fields) < set(COLUMNS)
