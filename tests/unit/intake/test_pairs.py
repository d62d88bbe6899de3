"""Manifests of all pairs of files with any names."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from flows.cli.commands.pairs import write_pairs
from flows.cli.terminal import Terminal
from nst_core.networks.store import WeightStore
from nst_core.storage.files import write_atomic
from nst_core.storage.schemes import SCHEMES, Scheme
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.pictures import find_contents, find_styles
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import check_places
from tasks.store import picture_folders
from tasks.store.output_folder import OutputFolder
from tasks.store.picture_folders import find_pictures
from tests.fuzzing import FILE_NAMES, fuzz
from tests.pictures import write_picture

ODD_NAMES = (
    *(" lead.png", "cr\r.png", "two\nlines.png", "nbsp\u00a0.png", 'quo"te, and comma.png'),
    *("Screenshot 2024-01-02 10:11:12.png", "me\u0301.png", "#1.png", "back\\slash.png", "=1.png"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a style in `art`."""
    write_picture(tmp_path / "art" / "s.png", 9)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs(contents: str, *, manifest: str = "m.csv", overwrite: bool = False) -> int:
    return write_pairs(Terminal(), contents, "art", Path(manifest), overwrite=overwrite)


def test_written_manifests_can_run_whatever_the_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = folder / " album"
    for seed, name in enumerate(ODD_NAMES):
        write_picture(photos / name, seed)
    write_picture(photos / os.fsdecode(b"latin\xe9.png"), 99)
    assert pairs(" album", manifest="lists/m.csv") == 0
    captured = capsys.readouterr()
    assert f"m.csv: {len(ODD_NAMES)} rows" in captured.out
    assert "left out: 1 with a name that is not UTF-8" in captured.out
    assert r"latin\udce9.png: left out: its name is not UTF-8; rename the file" in captured.err
    rows = check_places(read_manifest(folder / "lists" / "m.csv"), OutputFolder(folder / "out"))
    examined = examine_rows(rows, encoders_of(rows, WeightStore(folder)), max_pixels=10**6)
    assert examined.faults == ()
    assert {job.content.place.name for job in examined.jobs} == set(ODD_NAMES)


def test_no_spreadsheet_runs_a_name_as_a_formula(folder: Path) -> None:
    names = ["=1+1.png", "+1.png", "-1.png", "@a.png", "\t=1.png", "'a.png"]
    for seed, name in enumerate(names):
        write_picture(folder / name, seed)
    assert pairs(".") == 0
    header, *cells = csv.reader(io.StringIO((folder / "m.csv").read_text(), newline=""))
    assert header == ["content", "style"]
    assert {content for content, _ in cells} == {f"./{name}" for name in names}
    rows = check_places(read_manifest(folder / "m.csv"), OutputFolder(folder / "out"))
    assert {row.content.name for row in rows} == set(names)
    assert [row.faults for row in rows] == [()] * len(names)


def test_an_existing_file_is_only_replaced_on_request(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_picture(folder / "photos" / "a.png", 1)
    manifest = folder / "m.csv"
    manifest.write_text("edited by hand")
    assert pairs("photos") == 2
    assert manifest.read_text() == "edited by hand"
    assert "m.csv: the file already exists" in capsys.readouterr().err
    assert pairs("photos", overwrite=True) == 0
    assert manifest.read_text() == "content,style\nphotos/a.png,art/s.png\n"
    remote = UPath("memory://studio/pairs.csv")
    write_atomic(remote, b"edited by hand")
    assert write_pairs(Terminal(), "photos", "art", remote) == 2
    assert write_pairs(Terminal(), "photos", "art", remote, overwrite=True) == 0
    remote.fs.store.clear()


def test_files_that_are_left_out_are_reported_by_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = folder / "photos"
    for name in ("a.JPE", "b.j2k", "c.jpf", "d.Jfif", "e.xcf", "f.XCF", "notes", ".hidden.png"):
        write_atomic(photos / name, b"")
    (photos / "deep").mkdir()
    (photos / "gone.png").symlink_to("nowhere")
    os.mkfifo(photos / "pipe.png")
    assert pairs("photos") == 0
    output = capsys.readouterr().out
    assert "4 rows" in output
    reasons = ("2 .xcf", "1 without an extension", "1 hidden", "1 folders", "2 broken links")
    for reason in reasons:
        assert reason in output
    assert write_pairs(Terminal(as_json=True), "photos", "art", Path("n.csv")) == 0
    left_out = json.loads(capsys.readouterr().out)["left_out"]
    assert {"path": "photos/e.xcf", "why": ".xcf"} in left_out
    assert len(left_out) == 7


def test_numbers_in_names_are_sorted_as_numbers(folder: Path) -> None:
    names = ["IMG_1.png", "IMG_2.png", "IMG_10.png", "img_11.png", "IMG_0100.png"]
    for name in reversed(names):
        write_atomic(folder / "photos" / name, b"")
    assert [path.name for path in find_pictures("photos").pictures] == names


@pytest.mark.parametrize(
    "named",
    [
        *("photos [2024]", "photos [2024]/*.png", "photos [2024]/**/*.png", "photos [[]2024]/a*"),
        *("photos*/a.png", "photos [2024]/a.png", "*/a.png", "photos [2024]/[ab].png"),
    ],
)
@pytest.mark.parametrize("is_absolute", [False, True])
def test_globs_and_folders_that_look_like_globs_are_found(
    folder: Path, named: str, is_absolute: bool
) -> None:
    write_atomic(folder / "photos [2024]" / "a.png", b"")
    (found,) = find_pictures(str(folder / named) if is_absolute else named).pictures
    assert found.resolve() == folder / "photos [2024]" / "a.png"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("missing", "missing: cannot be read: No such file or directory"),
        ("empty/missing", "empty/missing: cannot be read: No such file or directory"),
        ("photos [1]/missing", "missing: cannot be read: No such file or directory"),
        ("loop", "loop: cannot be read: Too many levels of symbolic links"),
        ("empty", "empty: no pictures; expected a folder or a glob"),
        ("photos [1]/*.png", "no pictures; expected a folder or a glob"),
        ("holiday", "but 2 in folders below it; add --recursive"),
        (
            "notes.txt",
            "notes.txt is not a picture (expected a file with one of the extensions .apng",
        ),
        ("raw.cr2", "raw.cr2: .cr2 (camera raw; "),
    ],
)
def test_finding_no_pictures_is_reported_with_a_reason(
    folder: Path, capsys: pytest.CaptureFixture[str], named: str, message: str
) -> None:
    (folder / "empty").mkdir()
    (folder / "photos [1]").mkdir()
    for name in ("2023/a.png", "2024/b/c.jpg", "2024/d.txt", ".old/e.png", "f.txt"):
        write_atomic(folder / "holiday" / name, b"")
    for name in ("notes.txt", "raw.cr2"):
        write_atomic(folder / name, b"")
    (folder / "loop").symlink_to("loop")
    assert pairs(named) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "m.csv").exists()


def test_pictures_in_folders_below_a_folder_are_counted_up_to_a_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("2023/a.png", "2024/b.png", "2024/c.png"):
        write_atomic(folder / "holiday" / name, b"")
    with pytest.raises(LayoutError, match=r"but 3 in folders below it; name those folders, or a "):
        find_styles(["holiday"], folder)
    monkeypatch.setattr(picture_folders, "MOST_COUNTED", 2)
    with pytest.raises(LayoutError, match=r"but at least 2 in folders below it; add --recursive"):
        find_contents(["holiday"], folder)
    # All of them are left out for another reason, which no option changes.
    cells = {f"holiday/{name}" for name in ("2023/a.png", "2024/b.png", "2024/c.png")}
    with pytest.raises(LayoutError, match=r"holiday: no pictures; expected"):
        find_contents(["holiday"], folder, recursive=True, styles=cells)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
@pytest.mark.parametrize("named", ["locked", "locked/*.png"])
def test_an_unreadable_folder_is_reported(
    folder: Path, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    write_atomic(folder / "locked" / "a.png", b"")
    (folder / "locked").chmod(0)
    try:
        assert pairs(named) == 2
    finally:
        (folder / "locked").chmod(0o700)
    assert "locked: cannot be read: Permission denied" in capsys.readouterr().err


def test_storage_folders_that_look_like_globs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "memory", Scheme())
    studio = UPath("memory://studio")
    for name in ("photos [2024]/a2.png", "photos [2024]/a10.png", "photos/b.png"):
        write_atomic(studio / name, b"")
    for named, names in (
        ("photos [2024]", ["a2.png", "a10.png"]),
        ("photos*/*.png", ["a2.png", "a10.png", "b.png"]),
        ("missing", []),
    ):
        found = find_pictures(f"memory://studio/{named}").pictures
        assert [path.name for path in found] == names
    studio.fs.store.clear()


@fuzz(40)
@given(st.sets(FILE_NAMES, min_size=1, max_size=5))
def test_any_file_name_can_be_in_a_manifest(
    tmp_path_factory: pytest.TempPathFactory, names: set[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("names")
    photos, art = folder / "photos", folder / "art"
    pixels = write_picture(art / "s.png", 1).read_bytes()
    for name in names:
        # The name begins with a letter, because hidden files are left out.
        (photos / os.fsdecode(b"n" + name + b".png")).parent.mkdir(exist_ok=True)
        (photos / os.fsdecode(b"n" + name + b".png")).write_bytes(pixels)
    found = find_pictures(str(photos))
    assert len(found.pictures) + len(found.left_out) == len(names)
    if not found.pictures:
        return
    assert write_pairs(Terminal(as_json=True), str(photos), str(art), folder / "m.csv") == 0
    rows = check_places(read_manifest(folder / "m.csv"), OutputFolder(folder / "out"))
    examined = examine_rows(rows, encoders_of(rows, WeightStore(folder)), max_pixels=10**6)
    assert examined.faults == ()
    assert [job.content.place.resolve() for job in examined.jobs] == [
        path.resolve() for path in found.pictures
    ]
