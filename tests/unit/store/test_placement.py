"""Finished rows under other names: each keeps its own picture and curve, whatever happens."""

import hashlib
from collections.abc import Iterator
from itertools import count, permutations
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

from nst_core.storage.disk import Disk
from nst_core.storage.files import list_files, read_whole, write_atomic
from nst_core.storage.objects import ObjectStorage
from nst_core.storage.places import Place
from nst_core.storage.storage import storage_of
from tasks.store import placement
from tasks.store.lookup import find_finished, places_named
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, read_record
from tests.finished_rows import (
    curve_of,
    finish,
    job_of,
    key_of,
    picture_of,
    place_rows,
)

ROWS = "ABCD"
NAMES = ("a.png", "b.png", "deep/c.png", "d.png")


@pytest.fixture(params=["disk", "storage"])
def output(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Yield an output folder, on a disk or in a storage that has a tag for each object's bytes."""
    if request.param == "disk":
        yield tmp_path / "out"
        return
    info = MemoryFileSystem.info

    def tagged(self: Any, path: str, **options: Any) -> dict[str, Any]:
        facts = info(self, path, **options)
        if facts["type"] == "file":
            facts["ETag"] = f'"{hashlib.md5(self.store[facts["name"]].getvalue()).hexdigest()}"'
        return facts

    monkeypatch.setattr(MemoryFileSystem, "info", tagged)
    yield UPath(f"memory://{tmp_path.name}/out")
    MemoryFileSystem.store.clear()


def record_in(output: Place, row: str) -> PictureRecord:
    return read_record(OutputFolder(output).records / key_of(row), key_of(row), PictureRecord)


@pytest.mark.parametrize(
    "is_old",
    [
        pytest.param(False, id="with SHA-256 of curves"),
        pytest.param(True, id="without", marks=pytest.mark.nights),
    ],
)
def test_four_rows_exchange_names_in_all_permutations_twice(output: Place, is_old: bool) -> None:
    for row, name in zip(ROWS, NAMES, strict=True):
        finish(row, name, output, is_old=is_old)
    for order in permutations(NAMES):
        for names in (order, order, [order[NAMES.index(name)] for name in order]):
            place_rows(ROWS, names, output).assert_all_have_own_files(ROWS, names, output)
    assert list_files(OutputFolder(output).moving("")) == set()


def test_a_name_that_another_row_needs_is_not_lost(output: Place) -> None:
    """The first row gets a new name, the others move up, and a new row gets the last name."""
    for row, name in zip(ROWS, NAMES, strict=True):
        finish(row, name, output)
    names = ("new.png", "a.png", "b.png", "deep/c.png")
    place_rows(ROWS, names, output).assert_all_have_own_files(ROWS, names, output)
    write_atomic(OutputFolder(output).picture("d.png"), b"the picture of another row")
    place_rows(ROWS, names, output).assert_all_have_own_files(ROWS, names, output)


def test_a_row_is_found_after_many_new_names(output: Place) -> None:
    """Each former place is given to a new row meanwhile."""
    finish("A", "0.png", output)
    for number in range(1, 5):
        names = [f"{number}.png"]
        place_rows("A", names, output).assert_all_have_own_files("A", names, output)
        finish("N", f"{number - 1}.png", output)


def test_equal_rows_never_write_to_each_other(
    output: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish("A", "a.png", output)
    finish("B", "b.png", output)
    rows, names = "AAB", ("one.png", "a.png", "b.png")
    place_rows(rows, names, output).assert_all_have_own_files(rows, names, output)
    assert record_in(output, "A").file.path.name == "a.png"
    written: list[str] = []
    for storage in (Disk, ObjectStorage):
        monkeypatch.setattr(storage, "write", lambda _, path, __: written.append(str(path)))
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        again = place_rows(
            "".join(rows[row] for row in order), [names[row] for row in order], output
        )
        assert len(again.placed.records) == 3
    assert written == []


def test_equal_rows_may_swap_names_with_another(output: Place) -> None:
    finish("A", "a.png", output)
    finish("B", "b.png", output)
    rows, names = "ABA", ("b.png", "a.png", "c.png")
    for _ in range(2):
        place_rows(rows, names, output).assert_all_have_own_files(rows, names, output)


class Killed(BaseException):
    """A stand-in for `kill -9`, after which nothing is executed."""


def kill_after(most: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this many files be written or removed, and none after them."""
    operations = count()

    def dying(operation: Any) -> Any:
        def run(*arguments: Any) -> Any:
            if next(operations) >= most:
                raise Killed
            return operation(*arguments)

        return run

    with monkeypatch.context() as patched:
        patched.setattr(placement, "WRITES_AT_ONCE", 1)
        for method in ("write", "remove"):
            patched.setattr(Disk, method, dying(getattr(Disk, method)))
        yield


@pytest.mark.parametrize(
    ("later", "is_old"),
    [("cab", False), ("abc", False), ("xyz", False), ("xyz", True)],
    ids=["the same names", "their first names", "other names", "old records, other names"],
)
def test_a_kill_after_any_file_loses_nothing(
    tmp_path: Path, later: str, is_old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, names, later_names = "ABC", *([f"{name}.png" for name in to] for to in ("cab", later))
    for most in count():
        output = tmp_path / str(most)
        for row in rows:
            finish(row, f"{row.lower()}.png", output, is_old=is_old)
        was_killed = False
        for _ in kill_after(most, monkeypatch):
            try:
                place_rows(rows, names, output)
            except Killed:
                was_killed = True
        place_rows(rows, later_names, output).assert_all_have_own_files(rows, later_names, output)
        assert list_files(OutputFolder(output).moving("")) == set()
        if not was_killed:
            break
    # Pictures and curves are set aside, put in place and cleaned up, and records are renewed.
    assert most == 6 + 6 + 3 + 6 + (3 if is_old else 0)


def test_a_full_disk_fails_rows_and_loses_nothing(
    output: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that cannot be set aside is not replaced either."""
    for row in "ABC":
        finish(row, f"{row.lower()}.png", output)

    storage = type(storage_of(output))
    write = storage.write

    def full(self: Any, path: Place, data: bytes) -> str:
        if data == picture_of("A"):
            raise OSError(28, "No space left on device", str(path))
        return write(self, path, data)

    names = ("b.png", "a.png", "c.png")
    with monkeypatch.context() as patched:
        patched.setattr(storage, "write", full)
        placed = place_rows("ABC", names, output).placed
    assert {line: str(error) for line, error in placed.errors.items()}.keys() == {2, 3}
    assert "No space left on device" in str(placed.errors[2])
    assert read_whole(OutputFolder(output).picture("a.png")) == picture_of("A")
    place_rows("ABC", names, output).assert_all_have_own_files("ABC", names, output)


def test_a_curve_that_is_not_known_to_be_the_rows_own_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The records are of an earlier version, whose run copied pictures over each other."""
    output = tmp_path / "out"
    for row, name in (("A", "a.png"), ("B", "b.png"), ("C", "c.png")):
        finish(row, name, output, is_old=True)
    write_atomic(OutputFolder(output).curve("a.png"), curve_of("X"))
    OutputFolder(output).curve("b.png").unlink()  # type: ignore[union-attr]
    placed = place_rows("ABC", ("a.png", "b.png", "c.png"), output).placed
    assert [placed.records[line].curve_file is None for line in (2, 3, 4)] == [True, True, False]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        (
            "no loss curve is shown for 1 finished rows, because the files with the names of their "
            "curves may belong to other rows"
        )
    ]
    assert read_whole(OutputFolder(output).curve("a.png")) == curve_of("X")


def test_two_curves_that_could_be_the_rows_own_are_left_out(tmp_path: Path) -> None:
    output = tmp_path / "out"
    finish("A", "a.png", output, is_old=True)
    write_atomic(
        OutputFolder(output).curve("new.png"), curve_of("A").replace(b"1,8,6,0", b"1,8,6,1")
    )
    placed = place_rows("A", ["new.png"], output).placed
    assert placed.records[2].curve_file is None


def test_a_damaged_curve_is_left_out_and_the_row_is_still_done(tmp_path: Path) -> None:
    output = tmp_path / "out"
    finish("A", "a.png", output)
    write_atomic(OutputFolder(output).curve("a.png"), b"damaged")
    for name in ("a.png", "new.png"):
        assert place_rows("A", [name], output).placed.records[2].curve_file is None
    write_atomic(OutputFolder(output).curve("a.png"), curve_of("A"))
    place_rows("A", ["new.png"], output).assert_all_have_own_files("A", ["new.png"], output)


def test_a_moved_output_folder_is_used_and_its_old_place_is_not(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "pictures", tmp_path / "new"
    finish("A", "a.png", old)
    finish("B", "b.png", old)
    old.rename(new)
    finish("B", "b.png", old)
    OutputFolder(new).picture("b.png").unlink()  # type: ignore[union-attr]
    placed = place_rows("AB", ("renamed.png", "b.png"), new).placed
    assert placed.records.keys() == {2}
    assert read_whole(OutputFolder(new).picture("renamed.png")) == picture_of("A")


def test_a_picture_that_was_moved_by_hand_is_found_by_its_content(tmp_path: Path) -> None:
    output = tmp_path / "out"
    finish("A", "a.png", output)
    (output / "pictures" / "a.png").rename(output / "pictures" / "somewhere.png")
    place_rows("A", ["other.png"], output).assert_all_have_own_files("A", ["other.png"], output)


def test_finding_rows_changes_nothing(tmp_path: Path) -> None:
    output = tmp_path / "out"
    for row in "AB":
        finish(row, f"{row.lower()}.png", output, is_old=True)
    (OutputFolder(output).records / key_of("C")).write_text("damaged")  # type: ignore[union-attr]
    before = {name: read_whole(output / name) for name in list_files(output)}
    jobs = [job_of("A", 2, "b.png"), job_of("B", 3, "a.png"), job_of("C", 4, "c.png")]
    assert find_finished(jobs, OutputFolder(output)).keys() == {key_of("A"), key_of("B")}
    assert {name: read_whole(output / name) for name in list_files(output)} == before


@pytest.mark.parametrize(
    ("named", "below"),
    [
        ("/anywhere/pictures/a.png", ["a.png"]),
        ("/anywhere/pictures/deep/a.png", ["deep/a.png"]),
        ("s3://bucket/out/pictures/a.png", ["a.png"]),
        ("/pictures/out/pictures/a.png", ["out/pictures/a.png", "a.png"]),
        ("/anywhere/a.png", []),
        ("/etc/passwd", []),
        ("/anywhere/pictures", []),
        ("/anywhere/pictures/../../etc/passwd", []),
        ("/anywhere/pictures/link/passwd", []),
        ("/anywhere/pictures/circle/a.png", []),
        ("/anywhere/pictures/a\0b", []),
    ],
)
def test_a_record_names_places_in_its_own_folder_only(
    tmp_path: Path, named: str, below: list[str]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "link").symlink_to("/etc")
    (pictures / "circle").symlink_to(pictures / "circle")
    assert places_named(Path(named), "pictures", OutputFolder(tmp_path)) == [
        pictures / name for name in below
    ]


def test_a_picture_behind_a_link_of_a_record_is_not_copied(tmp_path: Path) -> None:
    """Its content is what the record says, so it could be taken for the row's picture."""
    output, secret = tmp_path / "out", tmp_path / "secret.png"
    secret.write_bytes(picture_of("A"))
    finish("A", "a.png", output)
    (output / "pictures" / "a.png").unlink()
    (output / "pictures" / "a.png").symlink_to(secret)
    assert place_rows("A", ["new.png"], output).placed.records == {}
    # However, a user may replace the picture in the row's own place by a link.
    assert place_rows("A", ["a.png"], output).placed.records.keys() == {2}
