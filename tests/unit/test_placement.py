"""Finished rows under other names: each keeps its own picture and curve, whatever happens."""

import hashlib
from collections.abc import Iterator
from itertools import count, permutations
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

from nst_core.storage.files import list_files, read_whole, remove, write_atomic, write_tagged
from nst_core.storage.places import Place
from tasks.store import placement, records
from tasks.store.layout import curve_path, moving_path, picture_path, row_records
from tasks.store.placement import find_finished, places_named
from tasks.store.records import PictureRecord, read_record
from tests.finished_rows import (
    curve_of,
    finish,
    job_of,
    key_of,
    night,
    picture_of,
)

ROWS = "ABCD"
NAMES = ("a.png", "b.png", "deep/c.png", "d.png")


@pytest.fixture(params=["disk", "storage"])
def output(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """An output folder, on a disk and in a storage that has a tag for each object's bytes."""
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
    return read_record(row_records(output) / key_of(row), key_of(row), PictureRecord)


@pytest.mark.parametrize("is_old", [False, True], ids=["with SHA-256 of curves", "without"])
def test_all_permutations_of_four_rows_twice(output: Place, is_old: bool) -> None:
    for row, name in zip(ROWS, NAMES, strict=True):
        finish(row, name, output, is_old=is_old)
    for order in permutations(NAMES):
        for names in (order, order, [order[NAMES.index(name)] for name in order]):
            night(ROWS, names, output).assert_all_their_own(ROWS, names, output)
    assert list_files(moving_path(output, "")) == set()


def test_a_name_that_another_row_needs_is_not_lost(output: Place) -> None:
    """The first row gets a new name, the others move up; a new row takes the last one's."""
    for row, name in zip(ROWS, NAMES, strict=True):
        finish(row, name, output)
    names = ("new.png", "a.png", "b.png", "deep/c.png")
    night(ROWS, names, output).assert_all_their_own(ROWS, names, output)
    write_atomic(picture_path(output, "d.png"), b"the picture of another row")
    night(ROWS, names, output).assert_all_their_own(ROWS, names, output)


def test_a_row_is_found_after_many_new_names(output: Place) -> None:
    """Also when each former place was given to a new row meanwhile."""
    finish("A", "0.png", output)
    for number in range(1, 5):
        names = [f"{number}.png"]
        night("A", names, output).assert_all_their_own("A", names, output)
        finish("N", f"{number - 1}.png", output)


def test_equal_rows_never_write_to_each_other(
    output: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish("A", "a.png", output)
    finish("B", "b.png", output)
    rows, names = "AAB", ("one.png", "a.png", "b.png")
    night(rows, names, output).assert_all_their_own(rows, names, output)
    assert record_in(output, "A").file.path.name == "a.png"
    written: list[str] = []
    for name in ("write_atomic", "write_tagged"):
        monkeypatch.setattr(records, name, lambda path, _: written.append(str(path)))
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        again = night("".join(rows[row] for row in order), [names[row] for row in order], output)
        assert len(again.placed.records) == 3
    assert written == []


def test_equal_rows_may_swap_names_with_another(output: Place) -> None:
    finish("A", "a.png", output)
    finish("B", "b.png", output)
    rows, names = "ABA", ("b.png", "a.png", "c.png")
    for _ in range(2):
        night(rows, names, output).assert_all_their_own(rows, names, output)


class Killed(BaseException):
    """As `kill -9`: nothing that follows is done."""


def kill_after(most: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let so many files be written or removed, and nothing after them."""
    operations = count()

    def dying(operation: Any) -> Any:
        def run(*arguments: Any) -> Any:
            if next(operations) >= most:
                raise Killed
            return operation(*arguments)

        return run

    with monkeypatch.context() as patched:
        patched.setattr(placement, "LOOKS_AT_ONCE", 1)
        patched.setattr(records, "write_tagged", dying(write_tagged))
        patched.setattr(records, "write_atomic", dying(write_atomic))
        patched.setattr(placement, "remove", dying(remove))
        yield


@pytest.mark.parametrize(
    ("later", "is_old"),
    [("cab", False), ("abc", False), ("xyz", False), ("xyz", True)],
    ids=["the same names", "their first names", "other names", "old records, other names"],
)
def test_a_kill_after_any_file_costs_nothing(
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
                night(rows, names, output)
            except Killed:
                was_killed = True
        night(rows, later_names, output).assert_all_their_own(rows, later_names, output)
        assert list_files(moving_path(output, "")) == set()
        if not was_killed:
            break
    # Pictures and curves are set aside, put in place and tidied up, records renewed.
    assert most == 6 + 6 + 3 + 6 + (3 if is_old else 0)


def test_a_disk_that_is_full_fails_rows_and_loses_nothing(
    output: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that cannot be set aside is not replaced either."""
    for row in "ABC":
        finish(row, f"{row.lower()}.png", output)

    def full(path: Place, data: bytes) -> str:
        if data == picture_of("A"):
            raise OSError(28, "No space left on device", str(path))
        return write_tagged(path, data)

    names = ("b.png", "a.png", "c.png")
    with monkeypatch.context() as patched:
        patched.setattr(records, "write_tagged", full)
        placed = night("ABC", names, output).placed
    assert {line: str(error) for line, error in placed.errors.items()}.keys() == {2, 3}
    assert "No space left on device" in str(placed.errors[2])
    assert read_whole(picture_path(output, "a.png")) == picture_of("A")
    night("ABC", names, output).assert_all_their_own("ABC", names, output)


def test_a_curve_that_is_not_known_to_be_the_rows_own_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of records of the version before, whose run copied pictures over each other."""
    output = tmp_path / "out"
    for row, name in (("A", "a.png"), ("B", "b.png"), ("C", "c.png")):
        finish(row, name, output, is_old=True)
    write_atomic(curve_path(output, "a.png"), curve_of("X"))
    curve_path(output, "b.png").unlink()  # type: ignore[union-attr]
    placed = night("ABC", ("a.png", "b.png", "c.png"), output).placed
    assert [placed.records[line].curve_file is None for line in (2, 3, 4)] == [True, True, False]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "1 rows are shown without a loss curve, as the file in its place is not known to be theirs"
    ]
    assert read_whole(curve_path(output, "a.png")) == curve_of("X")


def test_two_curves_that_could_be_the_rows_own_are_none(tmp_path: Path) -> None:
    output = tmp_path / "out"
    finish("A", "a.png", output, is_old=True)
    write_atomic(curve_path(output, "new.png"), curve_of("A").replace(b"1,8,6,0", b"1,8,6,1"))
    placed = night("A", ["new.png"], output).placed
    assert placed.records[2].curve_file is None


def test_a_damaged_curve_is_left_out_and_the_row_is_still_done(tmp_path: Path) -> None:
    output = tmp_path / "out"
    finish("A", "a.png", output)
    write_atomic(curve_path(output, "a.png"), b"damaged")
    for name in ("a.png", "new.png"):
        assert night("A", [name], output).placed.records[2].curve_file is None
    write_atomic(curve_path(output, "a.png"), curve_of("A"))
    night("A", ["new.png"], output).assert_all_their_own("A", ["new.png"], output)


def test_an_output_folder_may_be_moved_and_never_looks_into_where_it_was(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "pictures", tmp_path / "new"
    finish("A", "a.png", old)
    finish("B", "b.png", old)
    old.rename(new)
    finish("B", "b.png", old)
    picture_path(new, "b.png").unlink()  # type: ignore[union-attr]
    placed = night("AB", ("renamed.png", "b.png"), new).placed
    assert placed.records.keys() == {2}
    assert read_whole(picture_path(new, "renamed.png")) == picture_of("A")


def test_a_picture_that_was_moved_by_hand_is_found_by_what_it_holds(tmp_path: Path) -> None:
    output = tmp_path / "out"
    finish("A", "a.png", output)
    (output / "pictures" / "a.png").rename(output / "pictures" / "somewhere.png")
    night("A", ["other.png"], output).assert_all_their_own("A", ["other.png"], output)


def test_looking_changes_nothing(tmp_path: Path) -> None:
    output = tmp_path / "out"
    for row in "AB":
        finish(row, f"{row.lower()}.png", output, is_old=True)
    (row_records(output) / key_of("C")).write_text("damaged")  # type: ignore[union-attr]
    before = {name: read_whole(output / name) for name in list_files(output)}
    jobs = [job_of("A", 2, "b.png"), job_of("B", 3, "a.png"), job_of("C", 4, "c.png")]
    assert find_finished(jobs, output).keys() == {key_of("A"), key_of("B")}
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
    assert places_named(Path(named), "pictures", tmp_path) == [pictures / name for name in below]


def test_a_picture_behind_a_link_of_a_record_is_not_copied(tmp_path: Path) -> None:
    """The record says what is in it, so that it would be taken for the row's."""
    output, secret = tmp_path / "out", tmp_path / "secret.png"
    secret.write_bytes(picture_of("A"))
    finish("A", "a.png", output)
    (output / "pictures" / "a.png").unlink()
    (output / "pictures" / "a.png").symlink_to(secret)
    assert night("A", ["new.png"], output).placed.records == {}
    # Its owner may keep pictures elsewhere, though, in the place of the row.
    assert night("A", ["a.png"], output).placed.records.keys() == {2}
