"""Inputs are refused where runs replace and remove files, and others' files are never removed."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from nst_core.images.write import encode_png
from nst_core.networks.store import WeightStore
from nst_core.networks.weight_files import WeightsError
from nst_core.storage.files import list_files, read_whole, write_atomic
from nst_core.storage.local import Identity
from nst_core.storage.places import Place
from tasks.intake.encoders import check_weights_place
from tasks.intake.manifest import ManifestError, check_manifest_place, read_manifest
from tasks.intake.outputs import check_places
from tasks.store import managed
from tasks.store.managed import (
    INTERMEDIATE_MARK,
    INTERRUPTED_MARK,
    ManagedPlaces,
    keep_others,
    remove_ours,
)
from tasks.store.output_folder import OutputFolder
from tests.pictures import write_csv, write_picture

PIXELS = np.full((8, 8, 3), 0.5, np.float32)
FOLDERS = (
    *("losses", "interrupted", "gallery", "intermediates", "plots", "animations", "errors"),
    ".nst-batch",
)
FILES = (
    *("contact_sheet.png", "gallery.html", "summary.csv", "summary.parquet"),
    *("loss_curves.png", "loss_curves.svg", "run.log", "run.log.1"),
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for name in FOLDERS:
        write_picture(tmp_path / "out" / name / "deep" / "family.png", 1)
    for name in FILES:
        (tmp_path / "out" / name).write_bytes(b"ours")
    write_picture(tmp_path / "out" / "pictures" / "x.png", 1)
    return tmp_path / "out"


@pytest.fixture(params=["disk", "storage"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "disk":
        yield tmp_path
        return
    folder = UPath("memory://managed")
    yield folder
    folder.fs.store.clear()


@pytest.mark.parametrize("name", [*(f"{folder}/deep/family.png" for folder in FOLDERS), *FILES])
@pytest.mark.parametrize("column", ["content", "style"])
def test_inputs_where_runs_write_are_refused_by_name(out: Path, name: str, column: str) -> None:
    cells = {"content": "a.png", "style": "s.png", column: f"out/{name}"}
    manifest = write_csv(out.parent / "m.csv", tuple(cells), tuple(cells.values()))
    (row,) = check_places(read_manifest(manifest), OutputFolder(out))
    (fault,) = row.faults
    assert (fault.line, fault.column, fault.found) == (2, column, f"out/{name}")
    assert str(out / name.split("/")[0]) in fault.expected
    with pytest.raises(ManifestError, match="would overwrite the manifest"):
        check_manifest_place(out / name, OutputFolder(out))
    with pytest.raises(WeightsError, match="runs replace and remove files"):
        check_weights_place(WeightStore(out, out / name), OutputFolder(out))


def test_every_place_of_the_layout_except_pictures_is_managed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    output = OutputFolder(out)
    named = [
        *(output.curve("a.png"), output.intermediate("a.png", 1), output.interrupted("a.png")),
        *(output.plot("a.png", ".svg"), output.all_curves(".png")),
        *(output.animation("a.png", ".gif"), output.gallery, output.contact_sheet),
        *(output.run_log, output.summary(), output.page_pictures / "a", output.error("a.png")),
        *(output.records / "a", output.moving("a"), output.lock_file, output.libraries_log),
    ]
    assert all(map(ManagedPlaces(output).name_at, named))
    assert ManagedPlaces(output).name_at(output.picture("a.png")) == ""


def test_links_and_other_spellings_hide_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = out.parent
    (base / "to_folder").symlink_to(out / "interrupted")
    (base / "to_output").symlink_to(out)
    (base / "to_file.png").symlink_to(out / "losses" / "deep" / "family.png")
    write_picture(base / "own" / "a.png", 1)
    (out / "plots" / "from_here.png").symlink_to(base / "own" / "a.png")
    (out / "plots" / "folder").symlink_to(base / "own")
    hidden = {
        base / "to_folder" / "deep" / "family.png": "interrupted",
        base / "to_output" / "gallery" / "deep" / "family.png": "gallery",
        base / "to_file.png": "losses",
        out / "plots" / "from_here.png": "plots",
        out / "plots" / "folder" / "a.png": "plots",
        out / "pictures" / ".." / "errors" / "deep" / "family.png": "errors",
    }
    for output in (out, base / "to_output"):
        places = ManagedPlaces(OutputFolder(output))
        assert {path: places.name_at(path) for path in hidden} == hidden
    # On a file system that ignores case, only the folders themselves can be compared.
    (out / "INTERRUPTED").symlink_to(out / "interrupted")
    monkeypatch.setattr(managed, "without_links", lambda path: path)
    monkeypatch.setattr(Path, "resolve", lambda path: path)
    assert (
        ManagedPlaces(OutputFolder(out)).name_at(out / "INTERRUPTED" / "deep" / "family.png")
        == "interrupted"
    )


def test_another_spelling_of_a_managed_file_is_managed(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identity_without_case(path: Place) -> Identity:
        return Identity(0, hash(str(path).casefold()))

    monkeypatch.setattr(managed, "identity_of", identity_without_case)
    places = ManagedPlaces(OutputFolder(out))
    assert places.name_at(out / "Contact_Sheet.PNG") == "contact_sheet.png"
    monkeypatch.undo()
    write_picture(out / "Contact_Sheet.PNG", 1)
    assert ManagedPlaces(OutputFolder(out)).name_at(out / "Contact_Sheet.PNG") == ""


def test_other_places_are_not_managed(out: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked.csv"
    os.link(out / "summary.csv", linked)
    free = [
        *(out / "pictures" / "x.png", out / "x.png", out / "deep" / "losses" / "x.png"),
        *(out / "losses", tmp_path / "other" / "losses" / "x.png", tmp_path / "losses" / "x.png"),
        *(linked, out.with_name("out2") / "losses" / "x.png", UPath("memory://b/out/losses/x.png")),
    ]
    places = ManagedPlaces(OutputFolder(out))
    assert [place for place in free if places.name_at(place)] == []
    other = ManagedPlaces(OutputFolder(tmp_path / "other"))
    assert other.name_at(out / "interrupted" / "deep" / "family.png") == ""


def test_object_storage_has_managed_places_too() -> None:
    out = UPath("memory://bucket/out")
    places = ManagedPlaces(OutputFolder(out))
    assert places.name_at(out / "losses" / "x.csv") == "losses"
    assert places.name_at(out / "summary.csv") == "summary.csv"
    for free in (
        out / "pictures" / "x.png",
        UPath("memory://bucket/losses/x.csv"),
        Path("losses/x"),
    ):
        assert places.name_at(free) == ""


def test_our_own_files_are_removed_and_others_are_moved_aside(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    ours = encode_png(PIXELS, text=INTERMEDIATE_MARK)
    other_mark = encode_png(PIXELS, text=INTERRUPTED_MARK)
    contents = {"ours": ours, "plain": encode_png(PIXELS), "marked": other_mark}
    contents["no picture"] = b"notes"
    for name, data in contents.items():
        write_atomic(place / f"{name}.png", data)
        remove_ours(place / f"{name}.png", INTERMEDIATE_MARK)
    moved_names = {name: f"{name}.kept-1.png" for name in ("plain", "marked", "no picture")}
    assert list_files(place) == set(moved_names.values())
    for name, moved in moved_names.items():
        assert read_whole(place / moved) == contents[name]
        assert f"it was moved to {place / name}.kept-1.png" in caplog.text
    assert "/ours." not in caplog.text
    write_atomic(place / "plain.png", b"again")
    keep_others(place / "plain.png", INTERMEDIATE_MARK)
    assert read_whole(place / "plain.kept-1.png") == contents["plain"]
    assert read_whole(place / "plain.kept-2.png") == b"again"
    write_atomic(place / "ours.png", ours)
    for name in ("ours.png", "missing.png"):
        keep_others(place / name, INTERMEDIATE_MARK)
    assert read_whole(place / "ours.png") == ours
