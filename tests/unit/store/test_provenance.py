"""Provenance in pictures, and the rows that make such pictures again."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from upath import UPath

from nst_core.images.read import PictureFacts, examine
from nst_core.images.write import encode_png
from nst_core.storage.files import write_atomic
from nst_core.storage.places import Place
from nst_core.transfer.presets import PRESETS, resolve
from nst_core.transfer.settings import Settings
from tasks.intake.manifest import read_manifest
from tasks.intake.outputs import check_places
from tasks.report import rebuild
from tasks.report.rebuild import Rebuilder, cells_of
from tasks.report.table import write_summary
from tasks.report.table_row import Table, TableRow
from tasks.store.csv_cells import to_csv
from tasks.store.output_folder import OutputFolder
from tasks.store.provenance import KEYWORD, Provenance, ProvenanceError
from tests.fuzzing import FILE_NAMES, fuzz
from tests.pictures import write_csv, write_picture

ODD = {"size": 300, "match_colors": False, "seed": 7, "learning_rate": 1 / 255, "tv_weight": 1e-7}


@pytest.mark.parametrize(
    "settings",
    [
        *PRESETS.values(),
        resolve(ODD),
        resolve({"encoder": "alexnet", "pooling": "average", "keep_alpha": True}),
        resolve({"encoder": "vgg19", "style_layers": "conv1_1:0.1 conv3_1:3"}),
        resolve({"preset": "article", "encoder": "compact", "content_layers": "relu3_1"}),
    ],
    ids=str,
)
def test_a_row_of_the_cells_has_the_same_settings(settings: Settings, tmp_path: Path) -> None:
    cells = {"content": "a.png", "style": "s.png", **cells_of(settings)}
    manifest = write_csv(tmp_path / "m.csv", tuple(cells), tuple(cells.values()))
    (row,) = read_manifest(manifest)
    assert row.faults == () or all("layer" in fault.expected for fault in row.faults)
    assert row.settings == settings


def test_cells_name_only_what_differs_from_the_defaults() -> None:
    assert cells_of(PRESETS["standard"]) == {}
    assert cells_of(resolve(ODD)).keys() == ODD.keys()
    assert cells_of(resolve({"encoder": "vgg16"})) == {"encoder": "vgg16"}


def provenance_of(content: Path, style: Path, **facts: Any) -> Provenance:
    defaults = {
        "key": "k" * 64,
        "content": content.name,
        "content_sha256": examine(content).sha256,
        "style": style.name,
        "style_sha256": examine(style).sha256,
        "settings": resolve({"size": 300}),
        "seed": 1,
        "encoder_fingerprint": "f",
        "style_layers": {"relu1_1": 0.1},
        "steps": 60,
        "evaluations": 66,
        "stop_reason": "steps",
        "recoveries": 0,
        **dict.fromkeys(("total_loss", "content_loss", "style_loss", "tv_loss", "start_loss"), 0.5),
    }
    return Provenance.model_validate(defaults | facts)


def write_result(path: Place, text: str | None) -> Place:
    pixels = np.zeros((4, 4, 3), np.float32)
    write_atomic(path, encode_png(pixels, text=None if text is None else {KEYWORD: text}))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    """Return a content and a style, in their own folder."""
    folder = tmp_path / "pictures of mine"
    return write_picture(folder / "a.png", 1), write_picture(folder / "s.png", 2)


def test_provenance_is_read_back_unchanged(tmp_path: Path, pictures: tuple[Path, Path]) -> None:
    for name, read in (("ä \N{SNOWMAN}.png",) * 2, ("na\udcefve.png", r"na\udcefve.png")):
        facts = provenance_of(*pictures).model_dump() | {"content": name}
        provenance = Provenance.model_validate(facts)
        assert provenance.content == read
        assert Provenance.of(write_result(tmp_path / "r.png", provenance.to_text())) == provenance


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "found no text about how it was made; expected an unedited result of nst-batch"),
        ("{}", "settings: Field required; the picture was made by another version"),
        ("no json", "Invalid JSON.*another version"),
    ],
)
def test_pictures_without_provenance_are_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = write_result(tmp_path / "r.png", text)
    with pytest.raises(ProvenanceError, match=f"r\\.png: .*{message}"):
        Provenance.of(path)


def test_an_unknown_setting_is_named(tmp_path: Path, pictures: tuple[Path, Path]) -> None:
    text = provenance_of(*pictures).to_text().replace('"size"', '"sice"')
    with pytest.raises(ProvenanceError, match=r"settings\.sice: Extra inputs"):
        Provenance.of(write_result(tmp_path / "r.png", text))


def batch_of(folder: Path, provenance: Provenance, **cells: Any) -> Place:
    """Write a result of a batch whose manifest was in the folder, and return its place."""
    own = TableRow(
        **{"line": 2, "status": "done", "output": "deep/r.png", "key": provenance.key} | cells
    )
    other = TableRow(line=3, status="done")
    write_summary(Table((own, other), manifest=str(folder / "m.csv")), OutputFolder(folder / "out"))
    return write_result(folder / "out" / "pictures" / "deep" / "r.png", provenance.to_text())


def test_sources_are_found_where_the_table_says(
    tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    provenance = provenance_of(*pictures)
    cells = {"content": "pictures of mine/a.png", "style": "pictures of mine/s.png"}
    result = batch_of(tmp_path, provenance, **cells)
    row = Rebuilder(tmp_path / "elsewhere", []).rebuild(result, provenance)
    assert row.lost == ()
    assert row.cells == {
        "content": "../pictures of mine/a.png",
        "style": "../pictures of mine/s.png",
        "output": "deep/r.png",
        "size": "300",
    }


def test_no_spreadsheet_runs_a_row_as_formulas(tmp_path: Path, pictures: tuple[Path, Path]) -> None:
    content, style = (path.rename(path.with_name(f"={path.name}")) for path in pictures)
    provenance = provenance_of(content, style)
    result = batch_of(tmp_path, provenance, output="=r.png", content=content.name, style=style.name)
    result = result.rename(tmp_path / "out" / "pictures" / "=r.png")
    row = Rebuilder(content.parent, [content.parent]).rebuild(result, provenance)
    assert row.lost == ()
    cells = {name: row.cells[name] for name in ("content", "style", "output")}
    assert cells == {"content": "./=a.png", "style": "./=s.png", "output": "./=r.png"}
    manifest = write_csv(content.parent / "m.csv", tuple(cells), tuple(cells.values()))
    (read,) = read_manifest(manifest)
    assert (read.content, read.styles[0].place, read.output) == (content, style, "=r.png")
    assert read.faults == ()


def test_another_picture_of_the_same_name_is_not_used(
    tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    content, style = pictures
    provenance = provenance_of(content, style)
    result = batch_of(tmp_path, provenance, content=str(content), style=str(style))
    content.rename(tmp_path / "moved.png")
    write_picture(content, 99)
    row = Rebuilder(tmp_path, []).rebuild(result, provenance)
    assert row.cells["content"] == "a.png"
    assert row.cells["style"] == "pictures of mine/s.png"
    (lost,) = row.lost
    assert lost.startswith(
        f"content: 'a.png' (SHA-256 of its pixels {provenance.content_sha256[:12]}"
    )
    # The digest of its pixels finds it under any name.
    row = Rebuilder(tmp_path, [tmp_path]).rebuild(result, provenance)
    assert (row.cells["content"], row.lost) == ("moved.png", ())


def test_a_picture_outside_its_output_folder_can_be_rebuilt(
    tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    provenance = provenance_of(*pictures)
    alone = write_result(tmp_path / "mail" / "r.png", provenance.to_text())
    row = Rebuilder(tmp_path, []).rebuild(alone, provenance)
    assert [row.cells[name] for name in ("content", "style", "output")] == [
        *("a.png", "s.png", "r.png"),
    ]
    assert len(row.lost) == 2
    assert (
        Rebuilder(tmp_path, [tmp_path / "pictures of mine"]).rebuild(alone, provenance).lost == ()
    )


def test_an_output_may_be_in_a_folder_named_pictures(
    tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    provenance = provenance_of(*pictures)
    cells = {"content": str(pictures[0]), "style": str(pictures[1])}
    result = batch_of(tmp_path / "pictures", provenance, **cells)
    inner = result.parent / "pictures"
    result = write_result(inner / "r.png", provenance.to_text())
    row = Rebuilder(tmp_path, []).rebuild(result, provenance)
    assert (row.cells["output"], row.lost) == ("deep/pictures/r.png", ())


def test_a_picture_in_object_storage_can_be_rebuilt(
    tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    provenance = provenance_of(*pictures)
    remote = UPath("memory://studio/results/pictures/deep/r.png")
    write_result(remote, provenance.to_text())
    assert Provenance.of(remote) == provenance
    row = Rebuilder(tmp_path, [pictures[0].parent]).rebuild(remote, provenance)
    assert (row.cells["output"], row.lost) == ("deep/r.png", ())
    remote.fs.store.clear()


def test_a_picture_to_start_from_is_found_again(
    tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    init = write_picture(tmp_path / "starts" / "i.png", 3)
    facts = {"init": "i.png", "init_sha256": examine(init).sha256}
    provenance = provenance_of(*pictures, **facts)
    cells = {"content": str(pictures[0]), "style": str(pictures[1]), "init": "starts/i.png"}
    result = batch_of(tmp_path, provenance, **cells)
    row = Rebuilder(tmp_path, []).rebuild(result, Provenance.of(result))
    assert (row.cells["init"], row.lost) == ("starts/i.png", ())
    init.unlink()
    (lost,) = Rebuilder(tmp_path, []).rebuild(result, provenance).lost
    assert lost.startswith("init: 'i.png' ")
    assert "init" not in provenance_of(*pictures).to_text()


def test_masks_are_found_again(tmp_path: Path, pictures: tuple[Path, Path]) -> None:
    facts: dict[str, str] = {}
    cells = {"content": "pictures of mine/a.png", "style": "pictures of mine/s.png"}
    for seed, column in enumerate(("content_mask", "style_mask"), 3):
        mask = write_picture(tmp_path / "masks" / f"{column}.png", seed)
        facts |= {column: mask.name, f"{column}_sha256": examine(mask).sha256}
        cells[column] = f"masks/{mask.name}"
    result = batch_of(tmp_path, provenance_of(*pictures, **facts), **cells)
    row = Rebuilder(tmp_path, []).rebuild(result, Provenance.of(result))
    assert {column: row.cells[column] for column in cells} == cells
    assert row.lost == ()
    assert "mask" not in provenance_of(*pictures).to_text()


def test_each_file_is_examined_once(
    tmp_path: Path, pictures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Place] = []

    def counted(path: Place, **options: Any) -> PictureFacts:
        seen.append(path)
        return examine(path, **options)

    provenance = provenance_of(*pictures).model_copy(update={"content_sha256": "not there"})
    monkeypatch.setattr(rebuild, "examine", counted)
    rebuilder = Rebuilder(tmp_path, [pictures[0].parent])
    for _ in range(3):
        (lost,) = rebuilder.rebuild(tmp_path / "r.png", provenance).lost
        assert lost.startswith("content: ")
    assert sorted(seen) == sorted(pictures)


def write_rebuilt_row(folder: Path, result: Place, provenance: Provenance) -> Path:
    """Write what `show` prints for a picture to a manifest in the folder, and return that."""
    write_atomic(
        result, encode_png(np.zeros((4, 4, 3), np.float32), text={KEYWORD: provenance.to_text()})
    )
    rebuilt = Rebuilder(folder, [folder / "sources"]).rebuild(result, Provenance.of(result))
    assert rebuilt.lost == ()
    manifest = folder / "again.csv"
    manifest.write_bytes(to_csv([list(rebuilt.cells), list(rebuilt.cells.values())]).encode())
    return manifest


@fuzz(40)
@given(FILE_NAMES, FILE_NAMES)
def test_show_makes_rows_that_check_accepts_whatever_the_names(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, renamed: bytes
) -> None:
    folder = tmp_path_factory.mktemp("names")
    source = write_picture(folder / "sources" / os.fsdecode(content), 1)
    provenance = provenance_of(source, write_picture(folder / "sources" / "\n s", 2))
    result = folder / "out" / "pictures" / os.fsdecode(renamed)
    if os.fsencode(source.name).decode(errors="ignore").encode() != content:
        with pytest.raises(AssertionError, match="cannot be in a manifest"):
            write_rebuilt_row(folder, result, provenance)
        return
    (row,) = check_places(
        read_manifest(write_rebuilt_row(folder, result, provenance)), OutputFolder(folder / "out 2")
    )
    assert row.faults == ()
    assert row.content.resolve() == source
    # A generated name is kept, too.
    (folder / "m.csv").write_bytes(to_csv([("content", "style"), (source.name, "s")]).encode())
    (row,) = read_manifest(folder / "m.csv")
    made = folder / "out" / "pictures" / row.output
    (again,) = read_manifest(write_rebuilt_row(folder, made, provenance))
    assert (again.faults, again.output) == ((), row.output)
