"""Files that only grow: on a disk and in object storage, bounded, and never in others' files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from upath import UPath

from nst_core.storage.files import StorageError, read_whole, write_atomic
from nst_core.storage.growing_files import growing_file, older
from nst_core.storage.places import Place


@pytest.fixture(params=["disk", "storage"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "disk":
        yield tmp_path / "run.log"
        return
    folder = UPath("memory://growing")
    yield folder / "run.log"
    folder.fs.store.clear()


def write(path: Place, *texts: str, most: int = 100) -> None:
    file = growing_file(path, most)
    for text in texts:
        file.append(text)
    file.save()
    file.close()


def test_texts_are_added_to_those_of_earlier_processes(path: Place) -> None:
    write(path, "one\n", "two\n")
    write(path, "three\n")
    assert read_whole(path) == b"one\ntwo\n\nthree\n"


def test_a_file_that_is_saved_twice_has_each_text_once(path: Place) -> None:
    write(path, "one\n")
    file = growing_file(path)
    file.append("two\n")
    file.save()
    file.append("three\n")
    file.save()
    assert read_whole(path) == b"one\n\ntwo\nthree\n"


def test_two_files_of_limited_size_are_left(path: Place) -> None:
    for number in range(10):
        write(path, *(f"{number} {part} {'x' * 20}\n" for part in "abc"))
    assert read_whole(path).decode().splitlines()[-1].startswith("9 c ")
    for place in (path, older(path)):
        assert 0 < len(read_whole(place)) <= 100


def test_texts_of_one_process_are_bounded_too(path: Place) -> None:
    write(path, *(f"{number:09d}\n" for number in range(1000)))
    assert len(read_whole(path)) <= 100
    assert read_whole(path).endswith(b"000000999\n")


def test_a_text_that_utf_8_cannot_encode_is_escaped(path: Place) -> None:
    write(path, "a\udcff\n")
    assert read_whole(path) == b"a\\udcff\n"


def test_a_disk_has_each_text_at_once(tmp_path: Path) -> None:
    file = growing_file(tmp_path / "run.log")
    file.append("one\n")
    assert (tmp_path / "run.log").read_bytes() == b"one\n"
    file.close()


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(OSError, match=name):
            growing_file(tmp_path / name)
    # A pipe that somebody reads can be opened, but it is no file either.
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="expected a file"):
        growing_file(tmp_path / "pipe")
    os.close(reader)
    assert (tmp_path / "precious").read_text() == "mine"


def test_an_object_that_cannot_be_read_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    path = UPath("memory://growing/run.log")
    write_atomic(path, b"earlier\n")

    def away(*_: object) -> bytes:
        raise StorageError(5, "does not answer", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("nst_core.storage.growing_files.read_kept", away)
        file = growing_file(path)
        file.append("later\n")
        with pytest.raises(StorageError):
            file.save()
    assert read_whole(path) == b"earlier\n"
    path.fs.store.clear()
