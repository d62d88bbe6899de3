"""Any problem with a row, which becomes that row's fault, while the other rows continue."""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nst_core.images.read import PictureFacts
from nst_core.networks.store import WeightStore
from nst_core.storage.files import StorageError
from tasks.intake import examine as jobs
from tasks.intake import outputs
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.faults import as_fault
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import check_places
from tasks.job import Examined
from tasks.row import Fault
from tasks.store.csv_cells import to_csv
from tasks.store.managed import ManagedPlaces
from tasks.store.output_folder import OutputFolder
from tests.pictures import huge_png, write_picture

HEADER = ("content", "style", "output")
GOOD = ("c.png", "s.png", "good")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a content and a style."""
    write_picture(tmp_path / "c.png", 1)
    write_picture(tmp_path / "s.png", 2)
    return tmp_path


def examined(folder: Path, *bad: Sequence[str]) -> Examined:
    """Examine a manifest of bad rows between two good ones, as `check --output` does."""
    text = to_csv([HEADER, GOOD, *bad, ("s.png", "c.png", "")])
    (folder / "m.csv").write_text(text)
    rows = check_places(read_manifest(folder / "m.csv"), OutputFolder(folder / "out"))
    return examine_rows(rows, encoders_of(rows, WeightStore(folder)), max_pixels=10**9)


def only_fault(found: Examined) -> Fault:
    """Return the fault of a bad row between good ones, which must be the only fault."""
    assert [job.output for job in found.jobs] == ["good.png", "s_c.png"]
    (fault,) = found.faults
    assert fault.line == 3
    return fault


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("loop.png", "Too many levels of symbolic links"),
        ("loop/a.png", "Too many levels of symbolic links"),
        ("a\0b.png", "found a NUL character"),
        ("https://[bad/x.png", "this is not a valid URL (Invalid IPv6 URL)"),
        ("file://[", "this is not a valid URL (Invalid IPv6 URL)"),
        ("/".join(["d" * 100] * 50), "File name too long"),
        ("n" * 300, "File name too long"),
        ("/dev/zero", "found a device or terminal, expected a file"),
        ("zero.png", "found a device or terminal, expected a file"),
        ("pipe.png", "found a pipe, expected a file"),
        ("socket.png", "found a socket, expected a file"),
        ("huge.png", "pixels"),
    ],
)
@pytest.mark.parametrize("column", ["content", "style"])
def test_any_unusable_path_is_a_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cell: str, reason: str, column: str
) -> None:
    for name in ("loop", "loop.png"):
        (folder / name).symlink_to(name)
    (folder / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.png")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        # The path is short, because addresses of sockets have a limited length.
        listener.bind("socket.png")
        (folder / "huge.png").write_bytes(huge_png())
        bad = {"content": "c.png", "style": "s.png", column: cell, "output": "bad"}
        fault = only_fault(examined(folder, tuple(bad.values())))
    assert (fault.column, fault.found) == (column, cell)
    assert reason in fault.expected


def test_outputs_too_long_for_a_path_are_faults(folder: Path) -> None:
    fault = only_fault(examined(folder, ("c.png", "s.png", "/".join(["d" * 100] * 50))))
    assert (fault.column, "1000 bytes in all" in fault.expected) == ("output", True)
    deep = folder / Path(*["deep" * 50] * 18)
    (folder / "m.csv").write_text(to_csv([HEADER, ("c.png", "s.png", "/".join(["d" * 100] * 5))]))
    (row,) = check_places(read_manifest(folder / "m.csv"), OutputFolder(deep))
    (fault,) = row.faults
    assert "bytes, and at most 40" in fault.expected
    assert "choose a shorter output, or another output folder" in fault.expected
    (row,) = check_places(read_manifest(folder / "m.csv"), OutputFolder(deep.parent.parent))
    assert row.faults == ()


def test_names_too_long_for_the_file_system_are_faults(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"PC_PATH_MAX": 4096, "PC_NAME_MAX": 143}
    monkeypatch.setattr(os, "pathconf", lambda _, name: limits[name])
    fault = only_fault(examined(folder, ("c.png", "s.png", "e" * 150)))
    assert "a name of 154 bytes, and at most 143 are possible here" in fault.expected


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RecursionError("too deep"),
        OverflowError("too large"),
        struct.error("unpack requires 4 bytes"),
        UnicodeError("odd"),
        OSError(5, "Input/output error"),
        AssertionError(),
    ],
)
def test_any_error_of_a_decoder_is_a_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write_picture(folder / "bad.png", 3)
    examine = jobs.examine

    def raise_for_one(path: Path, **options: Any) -> PictureFacts:
        if path.name == "bad.png":
            raise error
        return examine(path, **options)

    monkeypatch.setattr(jobs, "examine", raise_for_one)
    fault = only_fault(examined(folder, ("bad.png", "s.png", "bad")))
    assert (fault.column, fault.found) == ("content", "bad.png")
    assert fault.expected.startswith(f"{folder}/bad.png: it cannot be used")


@pytest.mark.parametrize(
    ("of", "step"),
    [(outputs, "_length_faults"), (outputs, "_place_faults"), (ManagedPlaces, "name_at")],
)
def test_any_error_of_a_check_of_places_is_a_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch, of: object, step: str
) -> None:
    original = getattr(of, step)

    def raise_for_one(*subjects: object) -> object:
        if any(str(getattr(one, "output", one)).endswith("bad.png") for one in subjects):
            raise ValueError("never heard of")
        return original(*subjects)

    monkeypatch.setattr(of, step, raise_for_one)
    write_picture(folder / "bad.png", 3)
    fault = only_fault(examined(folder, ("bad.png", "s.png", "bad")))
    assert fault.expected == "it cannot be used (ValueError: never heard of)"


def test_a_storage_that_does_not_answer_and_a_stop_are_no_faults() -> None:
    faults: list[Fault] = []
    for error in (StorageError(5, "no answer", "s3://b"), KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(error)), as_fault(faults, 2, "content", "a"):
            raise error
    assert faults == []


def test_a_name_that_the_locale_cannot_encode_is_a_fault(folder: Path) -> None:
    """If the locale is not UTF-8, only the rows with such names are invalid."""
    text = to_csv([HEADER, GOOD, ("\u6d6e.png", "s.png", "bad"), ("c.png", "s.png", "\u6d6e")])
    (folder / "m.csv").write_text(text, encoding="utf-8")
    program = (
        "import sys; from pathlib import Path\n"
        "from tasks.intake.manifest import read_manifest\n"
        "from tasks.intake.outputs import check_places\n"
        "from tasks.store.output_folder import OutputFolder\n"
        "rows = check_places(read_manifest(Path('m.csv')), OutputFolder(Path('out')))\n"
        "for row in rows: print(row.line, ascii([str(fault) for fault in row.faults]))"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | locale | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "2 []"
    assert "column content" in lines[1]
    assert "run with a UTF-8 locale" in lines[1]
    assert "column output" in lines[2]
