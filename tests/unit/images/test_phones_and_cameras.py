"""Pictures of phones and cameras: HEIC, camera raw files, and what lies beside them in folders."""

import importlib.machinery
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageFile

from nst_core.images import camera_raw, heic
from nst_core.images.picture_files import PictureError
from nst_core.images.read import examine, load
from tasks.store import picture_folders
from tasks.store.picture_folders import by_reason, find_pictures, left_out_of
from tests.picture_files import tiff_bytes
from tests.pictures import write_picture

FTYP = b"\0\0\0\x18ftyp"


def heic_bytes(pixels: np.ndarray) -> bytes:
    """Return what the stand-in for pillow-heif reads: a HEIC header, the size and the pixels."""
    height, width, _ = pixels.shape
    size = width.to_bytes(2, "big") + height.to_bytes(2, "big")
    return FTYP + b"heic\0\0\0\0mif1heic" + size + pixels.tobytes()


class StandIn(ImageFile.ImageFile):
    """Has the interface of `pillow_heif.HeifImageFile`."""

    format = "HEIF"

    def _open(self) -> None:
        assert self.fp is not None
        start = self.fp.read(28)
        self._size = int.from_bytes(start[24:26], "big"), int.from_bytes(start[26:28], "big")
        self._mode = "RGB"
        self.tile = [ImageFile._Tile("raw", (0, 0, *self._size), 28, ("RGB", 0, 1))]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a stand-in for pillow-heif in its place."""
    module = ModuleType(heic.LIBRARY)
    module.__spec__ = importlib.machinery.ModuleSpec(heic.LIBRARY, None)
    module.HeifImageFile = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, heic.LIBRARY, module)
    before = dict(Image.OPEN)
    yield
    assert before == Image.OPEN, "Pillow is not changed for the whole process"


@pytest.mark.usefixtures("library")
def test_a_heic_picture_is_read_by_the_library(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    (tmp_path / "a.heic").write_bytes(heic_bytes(pixels))
    facts = examine(tmp_path / "a.heic", max_pixels=10**6)
    assert (facts.width, facts.height, facts.format) == (30, 20, "HEIF")
    read = load(tmp_path / "a.heic", size=30, enlarge=False, max_pixels=10**6)
    np.testing.assert_array_equal(np.rint(read.rgb * 255), pixels)
    # The same pixels have the same digest, whatever the format is.
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert examine(tmp_path / "a.png", max_pixels=10**6).sha256 == facts.sha256


@pytest.mark.usefixtures("library")
def test_a_heic_picture_is_not_larger_than_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(heic_bytes(np.zeros((20, 30, 3), np.uint8)))
    with pytest.raises(PictureError, match="has 30 x 20 = 600 pixels, more than the 599 allowed"):
        examine(tmp_path / "a.heic", max_pixels=599)


def test_the_real_library_reads_what_it_writes(tmp_path: Path) -> None:
    library = pytest.importorskip(heic.LIBRARY)
    image = Image.new("RGB", (64, 48), (200, 100, 50))
    library.from_pillow(image).save(tmp_path / "a.heic", quality=90)
    facts = examine(tmp_path / "a.heic", max_pixels=10**6)
    assert (facts.width, facts.height, facts.format) == (64, 48, "HEIF")
    read = load(tmp_path / "a.heic", size=64, enlarge=False, max_pixels=10**6)
    assert np.abs(read.rgb.mean((0, 1)) * 255 - (200, 100, 50)).max() < 4


def test_without_the_library_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(heic, "find_spec", lambda _: None)
    (tmp_path / "a.heic").write_bytes(heic_bytes(np.zeros((2, 2, 3), np.uint8)))
    with pytest.raises(
        PictureError, match=r"pip install '.\[heic\]' in the folder of nst-batch, or"
    ):
        examine(tmp_path / "a.heic", max_pixels=10**6)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (FTYP + b"heic\0\0\0\0mif1heic", True),
        (FTYP + b"heix\0\0\0\0mif1heix", True),
        (FTYP + b"mif1\0\0\0\0mif1heic", True),
        (FTYP + b"mif1\0\0\0\0avifmif1", False),
        (FTYP + b"avif\0\0\0\0mif1avif", False),
        (FTYP + b"crx \0\0\0\0crx isom", False),
        # The brand is outside of the box that lists brands.
        (b"\0\0\0\x10ftypmif1\0\0\0\0mif1heic", False),
        (b"", False),
    ],
)
def test_heic_and_avif_are_told_apart(start: bytes, expected: bool) -> None:
    assert heic.is_heic(start) is expected


def test_an_avif_picture_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (32, 24), (10, 200, 30)).save(tmp_path / "a.avif", quality=95)
    facts = examine(tmp_path / "a.avif", max_pixels=10**6)
    assert (facts.width, facts.height, facts.format) == (32, 24, "AVIF")


TIFF = tiff_bytes(np.zeros((4, 4, 3), np.uint8), photometric=2)
RAW = {
    "a.cr2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(60),
    "renamed.tif": b"II*\0\x10\0\0\0CR\x02\0" + bytes(60),
    "a.CR3": FTYP + b"crx \0\0\0\x01crx isom" + bytes(60),
    "a.NEF": TIFF,
    "a.arw": TIFF,
    "a.dng": TIFF,
    "a.raf": b"FUJIFILMCCD-RAW 0201" + bytes(60),
    "a.orf": b"IIRO\x08\0\0\0" + bytes(60),
    "a.rw2": b"IIU\0\x18\0\0\0" + bytes(60),
    "a.x3f": b"FOVb" + bytes(60),
}


@pytest.mark.parametrize("name", RAW)
def test_camera_raw_files_are_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(RAW[name])
    with pytest.raises(PictureError) as raised:
        examine(tmp_path / name, max_pixels=10**6)
    assert str(raised.value) == (
        f"{tmp_path / name}: this is a camera raw file, whose colors are not developed yet. "
        "To use it, export it as TIFF or JPEG from the program that develops it."
    )


def test_a_file_is_what_it_begins_like(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(TIFF)
    assert examine(tmp_path / "a.tif", max_pixels=10**6).format == "TIFF"
    write_picture(tmp_path / "a.png", 1)
    (tmp_path / "a.png").rename(tmp_path / "a.dng")
    assert examine(tmp_path / "a.dng", max_pixels=10**6).format == "PNG"


SYSTEM = (
    *("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", "@eaDir/a.png/THUMB_XL.jpg"),
    *("deep/@eaDir/b.png", "__MACOSX/a.png", "#recycle/old.png", "$RECYCLE.BIN/x.png"),
)
OTHERS = ("a.png", "deep/b.jpg", ".hidden.png", "c.nef", "d.heic", "notes.txt")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in (*SYSTEM, *OTHERS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_of_systems_are_passed_over_and_counted(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_folders, "SUFFIXES", picture_folders.SUFFIXES - {".heic"})
    files = [path for path in photos.rglob("*") if path.is_file()]
    found = left_out_of(files, str(photos))
    assert [path.relative_to(photos).as_posix() for path in found.pictures] == [
        *("a.png", "deep/b.jpg")
    ]
    assert by_reason(found.left_out) == (
        f"{len(SYSTEM)} files of operating systems, 1 hidden, "
        f"1 .nef (camera raw; {camera_raw.ADVICE}), "
        "1 .heic (needs pip install '.[heic]' in the folder of nst-batch), 1 .txt"
    )


def test_globs_pass_over_the_folders_of_systems_unless_they_name_them(photos: Path) -> None:
    found = find_pictures(f"{photos}/**/*.png").pictures
    assert [path.name for path in found] == ["a.png"]
    named = find_pictures(f"{photos}/deep/@eaDir").pictures
    assert [path.name for path in named] == ["b.png"]
