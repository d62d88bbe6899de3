"""Records that are damaged or hostile in any way; no file elsewhere is read because of them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_core.storage.disk import Disk
from nst_core.storage.files import StorageError
from tasks.store.file_reference import RecordError
from tasks.store.lookup import FilesBySize, look_for
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, read_record
from tests.finished_rows import finish, key_of, picture_of, place_rows, record_of
from tests.fuzzing import bounded, fuzz

KEY = key_of("A")

NESTED: Any = []
for _ in range(300):
    NESTED = [NESTED]

PATHS = st.sampled_from(
    [
        *(
            "/etc/passwd",
            "../../etc/passwd",
            "pictures/../../etc/passwd",
            "/x/pictures/link/passwd",
        ),
        *("s3://bucket/pictures/x", "https://127.0.0.1:9/pictures/x", "file:///etc/passwd", "~/x"),
        *("/x/pictures/pipe", "/x/pictures/folder", "/x/pictures/circle", "/dev/zero", ""),
        *("/x/pictures/a\0b", "/x/pictures/" + "n" * 5000, "pictures", "s3://[", "a://b", "\ud800"),
    ]
)
NUMBERS = st.sampled_from([-1, 0, 2**63, 10**400, 1e308, float("inf"), float("nan"), True])
VALUES = st.one_of(
    PATHS,
    NUMBERS,
    st.sampled_from([None, [], {}, [[1]], {"path": "/etc/passwd"}, NESTED, "x" * 70_000]),
    st.text(max_size=20),
)
FIELDS = st.sampled_from(
    [
        *((name,) for name in PictureRecord.model_fields),
        *((file, name) for file in ("file", "curve_file") for name in ("path", "size", "sha256")),
        ("settings", "size"),
        ("style_layers", "relu1_1"),
    ]
)


def text_with(changes: list[tuple[tuple[str, ...], Any]], output: Path) -> str:
    """Return a record with other values in some fields, in Prefect's envelope."""
    record = json.loads(record_of("A", "a.png", output).model_dump_json())
    for field, value in changes:
        inner = record
        for name in field[:-1]:
            if not isinstance(inner[name], dict):
                inner[name] = {}
            inner = inner[name]
        inner[field[-1]] = value
    metadata = {"serializer": {"type": "nst-batch/record"}}
    return json.dumps({"metadata": metadata, "result": json.dumps(record)})


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an output folder with finished rows, and other things that may be in it."""
    folder = tmp_path_factory.mktemp("batch") / "out"
    finish("A", "a.png", folder)
    finish("B", "b.png", folder)
    pictures = folder / "pictures"
    (pictures / "link").symlink_to("/etc")
    (pictures / "circle").symlink_to(pictures / "circle")
    (pictures / "folder").mkdir()
    os.mkfifo(pictures / "pipe")
    return folder


@fuzz(60)
@given(changes=st.lists(st.tuples(FIELDS, VALUES), min_size=1, max_size=3))
def test_any_value_in_any_field_is_harmless(
    output: Path, changes: list[tuple[tuple[str, ...], Any]]
) -> None:
    check_row(output, text_with(changes, output).encode())


@fuzz(60)
@given(data=st.data())
def test_any_damage_to_its_bytes_is_harmless(output: Path, data: st.DataObject) -> None:
    text = bytearray(text_with([], output).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        new = data.draw(st.binary(max_size=3))
        text[place : place + data.draw(st.integers(0, 40))] = new
    check_row(output, bytes(text))


def check_row(output: Path, text: bytes) -> None:
    """Look for a row as a run does: it is found with files of its own folder, or not found."""
    path = OutputFolder(output).records / KEY
    assert isinstance(path, Path)
    path.write_bytes(text)
    read: list[Path] = []
    message = ""

    def noting(original: Any) -> Any:
        def noted(self: Disk, place: Path, **options: Any) -> Any:
            read.append(place)
            return original(self, place, **options)

        return noted

    with bounded(), pytest.MonkeyPatch.context() as patched:
        for method in ("open", "stat"):
            patched.setattr(Disk, method, noting(getattr(Disk, method)))
        try:
            record = read_record(path, KEY, PictureRecord)
            found = look_for(record, ["a.png"], FilesBySize(OutputFolder(output))).found
        except RecordError as error:
            message = str(error)
        except StorageError:
            pytest.fail("a storage was asked because a record says so")
        else:
            assert found.file.path.is_relative_to(output)
            assert found.model_dump_json()
    # The message is short, whatever is in the record.
    assert len(message) < 2000
    assert all(isinstance(place, Path) for place in read)
    assert all(place.resolve().is_relative_to(output.resolve()) for place in read)
    # In the end, the other row is still found, and nothing is raised.
    assert 3 in place_rows("AB", ("a.png", "b.png"), output).placed.records
    assert (output / "pictures" / "b.png").read_bytes() == picture_of("B")
