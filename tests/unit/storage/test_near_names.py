"""Hints about files and folders that are not there."""

import unicodedata
from pathlib import Path

import pytest

from nst_core.images.read import examine
from nst_core.networks.store import WeightStore
from nst_core.storage import near_names
from nst_core.storage.near_names import Hints, unreadable
from nst_core.storage.places import place
from tasks.intake.encoders import encoders_of
from tasks.intake.examine import examine_rows
from tasks.intake.manifest import ManifestError, read_manifest
from tests.pictures import write_picture


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("Anna.JPG", "ben.png", "2024/summer.jpg", "IMG 0042.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("photos/anna.jpg", "photos/Anna.JPG"),
        ("Photos/Anna.JPG", "photos/Anna.JPG"),
        ("photos/ben.jpeg", "photos/ben.png"),
        ("photos/ben", "photos/ben.png"),
        ("photos/IMG_0042.jpg", "photos/IMG 0042.jpg"),
        ("PHOTOS/2042/summer.jpg", "photos/2024/summer.jpg"),
        ("photo/2024/sumer.jpg", "photos/2024/summer.jpg"),
        ("fotos/ben.png", "photos/ben.png"),
        ("photos/IMG", "photos/IMG 0042.jpg"),
        (r"photos\ben.png", "photos/ben.png"),
        (r"photos\2024\summer.jpg", "photos/2024/summer.jpg"),
        (r"C:\Users\me\photos\ben.png", "photos/ben.png"),
        ("C:/Users/me/photos/ben.png", "photos/ben.png"),
        (r"\\nas\share\photos\ben.png", "photos/ben.png"),
    ],
)
def test_what_was_meant_is_suggested_as_it_can_be_typed(
    folder: Path, typed: str, meant: str
) -> None:
    assert Hints().hint(folder / typed, typed) == f"Did you mean {meant!r}?"
    assert Hints().hint(folder / typed) == f"Did you mean {str(folder / meant)!r}?"


@pytest.mark.parametrize("typed", ["photos/zoe.jpg", "nowhere/at/all.jpg", "x/ben.png"])
def test_nothing_is_suggested_without_a_reason(folder: Path, typed: str) -> None:
    assert Hints().hint(folder / typed, typed) == ""


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_in_another_form_of_unicode_are_explained(tmp_path: Path, form: str) -> None:
    other = "NFC" if form == "NFD" else "NFD"
    (tmp_path / unicodedata.normalize(form, "Zoë.jpg")).touch()
    typed = unicodedata.normalize(other, "Zoë.jpg")
    hint = Hints().hint(tmp_path / typed, typed)
    assert f"form of Unicode ({form}" in hint
    assert "Copy the name from the file, or rename the file." in hint


def test_other_paths_of_windows_machines_are_explained(folder: Path) -> None:
    typed = r"D:\pictures\zoe.jpg"
    assert "path of a Windows machine" in Hints().hint(folder / typed, typed)


def test_paths_that_start_from_the_current_folder_are_explained(folder: Path) -> None:
    lists = folder / "lists"
    lists.mkdir()
    hint = Hints().hint(lists / "photos/ben.png", "photos/ben.png")
    assert hint == (
        f"Paths start from the folder of the file that names them, which is {lists}. "
        "Did you mean '../photos/ben.png'?"
    )


def test_urls_and_impossible_names_have_no_hints(folder: Path) -> None:
    assert Hints().hint(place("https://photos.example/a.png")) == ""
    assert Hints().hint(folder / ("n" * 300)) == ""
    assert Hints().hint(Path("/")) == ""


def test_a_folder_is_listed_once_and_compared_a_limited_number_of_times(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[Path] = []
    list_ = near_names._listed
    monkeypatch.setattr(near_names, "_listed", lambda of: listed.append(of) or list_(of))
    compared = []
    near = near_names.get_close_matches
    monkeypatch.setattr(
        near_names, "get_close_matches", lambda *of, **how: compared.append(of) or near(*of, **how)
    )
    hints = Hints()
    for number in range(500):
        hints.hint(folder / "photos" / f"{number:05}")
    assert listed == [folder / "photos"]
    assert len(compared) == near_names.MOST_COMPARISONS
    assert (
        hints.hint(folder / "photos/BEN.png") == f"Did you mean {str(folder / 'photos/ben.png')!r}?"
    )


def test_similar_names_are_not_sought_in_large_folders(tmp_path: Path) -> None:
    for number in range(near_names.LARGEST_FOLDER + 1):
        (tmp_path / f"{number:05}.jpg").touch()
    assert Hints().hint(tmp_path / "0042.jpg") == ""
    assert Hints().hint(tmp_path / "00042.png") == f"Did you mean {str(tmp_path / '00042.jpg')!r}?"


def test_a_row_has_hints_for_its_missing_pictures(folder: Path) -> None:
    write_picture(folder / "a.png", 1)
    (folder / "m.csv").write_text(
        "content,style,init\nA.png,a.png; a.jpg,\na.png,a.png,photos\\ben.png\na.png,zz.png,\n"
    )
    rows = read_manifest(folder / "m.csv")
    examined = examine_rows(rows, encoders_of(rows, WeightStore(folder)), max_pixels=10**6)
    content, style, init, neither = (fault.expected for fault in examined.faults)
    assert content.endswith("Did you mean 'a.png'?")
    assert style.endswith(f"Did you mean {str(folder / 'a.png')!r}?")
    assert init.endswith("Did you mean 'photos/ben.png'?")
    assert neither.endswith("Check the path and its permissions.")
    assert "No such file or directory" in neither


def test_a_file_that_is_there_and_damaged_gets_no_hint(folder: Path) -> None:
    from nst_core.images.picture_files import PictureError

    with pytest.raises(PictureError) as raised:
        examine(folder / "photos/ben.png", max_pixels=10**6)
    assert "Did you mean" not in str(raised.value)


def test_a_missing_manifest_has_a_hint(folder: Path) -> None:
    (folder / "night.csv").touch()
    with pytest.raises(ManifestError, match=r"No such file .*check the path\. Did you mean 'night"):
        read_manifest(Path("nigt.csv"))
    assert unreadable(PermissionError(13, "Permission denied", "x")) == (
        "x: cannot be read: Permission denied; check the path and its permissions"
    )
