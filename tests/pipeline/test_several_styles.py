"""Rows with several styles, and with folders as styles, through the whole flow."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_core.images.read import load
from tasks.report.rebuild import Rebuilder
from tasks.store import checkpoints as checkpoints_module
from tasks.store.provenance import Provenance
from tasks.store.style_cache import StyleCache
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch
from tests.pipeline.test_checkpoints import _fail_after
from tests.pipeline.test_controls import write_masks

HEADER = ("content", "style", "output", "style_blend", "style_mix")
BLEND = ("a.png", "s.png; t.png", "blend", "1; 3", "")
ALONE = ("a.png", "s.png", "alone", "", "")


def picture(batch: Batch, name: str) -> np.ndarray:
    return np.asarray(Image.open(batch.output / "pictures" / f"{name}.png"))


def test_new_weights_compute_no_targets(batch: Batch, computed: list[str]) -> None:
    _, table = batch.run(HEADER, BLEND, ALONE)
    assert table["status"].tolist() == ["done", "done"]
    assert sorted(computed) == ["row", "row", "style", "style"]
    assert table["style_targets"].tolist()[0] == "computed"
    assert len(StyleCache(batch.cache).cached()) == 2
    assert table["style"].tolist() == ["s.png; t.png", "s.png"]
    assert table["style_blend"].fillna("").tolist() == ["1; 3", ""]
    computed.clear()
    others = (
        ("a.png", "s.png; t.png", "other", "3; 1", ""),
        ("a.png", "t.png ; s.png", "turned", "6; 2", ""),
        ("a.png", "t.png; s.png", "only", "0; 1", ""),
        ("a.png", "t.png; s.png", "mixed", "", "layers"),
    )
    _, table = batch.run(HEADER, BLEND, *others)
    assert table["status"].tolist() == ["cached", "done", "cached", "cached", "done"]
    assert computed == ["row", "row"]
    assert set(table["style_targets"]) == {"hit"}
    np.testing.assert_array_equal(picture(batch, "turned"), picture(batch, "blend"))
    np.testing.assert_array_equal(picture(batch, "only"), picture(batch, "alone"))
    assert np.abs(picture(batch, "other").astype(int) - picture(batch, "blend")).max() > 2
    page = (batch.output / "gallery.html").read_text()
    assert page.count('class="style several"') == 4
    assert "s.png; t.png (1; 3)" in page


def test_pictures_of_several_styles_can_be_rebuilt(batch: Batch) -> None:
    for seed, name in enumerate(("x.png", "y.png", "z.png")):
        write_picture(batch.folder / "painter" / name, seed + 20)
    rows = (BLEND, ("a.png", "painter", "folder"), ("a.png", "t.png; painter", "both", "1; 2"))
    header = (*HEADER, "style_rotations")
    filled = [(*row, *[""] * (len(HEADER) - len(row)), "4") for row in rows]
    _, table = batch.run(header, *filled)
    assert set(table["status"]) == {"done"}
    pictures = [batch.output / "pictures" / f"{row[2]}.png" for row in rows]
    found = [Provenance.of(path) for path in pictures]
    assert [len(each.all_styles) for each in found] == [2, 1, 2]
    assert [len(each.all_styles[0].pictures) for each in found][1] == 3
    # Also if the sources have other names and places by then.
    moved = batch.folder / "moved"
    moved.mkdir()
    for name in ("s.png", "t.png"):
        (batch.folder / name).rename(moved / f"new {name}")
    (batch.folder / "painter").rename(moved / "somebody")
    rebuilder = Rebuilder(batch.folder, [moved])
    rebuilt = [rebuilder.rebuild(*each) for each in zip(pictures, found, strict=True)]
    assert [row.lost for row in rebuilt] == [(), (), ()]
    assert rebuilt[1].cells["style"] == "moved/somebody"
    names = [*dict.fromkeys(name for row in rebuilt for name in row.cells)]
    cells = [tuple(row.cells.get(name, "") for name in names) for row in rebuilt]
    _, again = batch.run(names, *cells, settings={})
    assert again["status"].tolist() == ["cached"] * 3


@pytest.mark.nights
def test_a_row_with_several_styles_continues_and_ends_with_the_same_picture(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints_module, "SMALLEST_INTERVALS", 0)
    monkeypatch.setattr(checkpoints_module, "SHORTEST_ROW", 0)
    settings = {"settings": {"steps": 20}, "checkpoint_every": 1e-6}
    with monkeypatch.context() as patch:
        _fail_after(patch, 0)
        _, table = batch.run(HEADER, BLEND, **settings)
    assert table["status"].tolist() == ["failed"]
    _, table = batch.run(HEADER, BLEND, **settings)
    assert table["status"].tolist() == ["done"]
    other = batch.folder / "undisturbed"
    _, _ = batch.run(HEADER, BLEND, output=other, settings={"steps": 20})
    undisturbed = np.asarray(Image.open(other / "pictures" / "blend.png"))
    np.testing.assert_array_equal(picture(batch, "blend"), undisturbed)


def test_a_blend_is_guided_by_a_mask_of_the_content(batch: Batch, computed: list[str]) -> None:
    write_masks(batch.folder)
    header = ("content", "style", "output", "style_blend", "content_mask", "style_mask")
    settings = {"steps": 10, "mask_feather": 0, "color": "style"}
    named = "s.png; t.png"
    rows = (
        ("a.png", named, "plain", "1; 3", "", ""),
        ("a.png", named, "masked", "1; 3", "left.png", ""),
        ("a.png", named, "regions", "1; 3", "colors.png", ""),
        ("a.png", named, "refused", "1; 3", "left.png", "left.png"),
    )
    _, table = batch.run(header, *rows, settings=settings)
    assert table["status"].tolist() == ["done", "done", "done", "invalid"]
    assert "column style_mask: found 'left.png'" in table["error"].iloc[3]
    # Masks of the content share the targets of the styles.
    assert sorted(computed) == ["row"] * 3 + ["style"] * 2
    plain, masked = (picture(batch, name).astype(int) for name in ("plain", "masked"))
    half, photograph = plain.shape[1] // 2, picture_of_size(batch, plain.shape)
    assert np.abs(masked[:, half:] - photograph[:, half:]).max() <= 1
    assert np.abs(masked[:, :half] - photograph[:, :half]).max() > 8
    assert np.abs(plain[:, half:] - photograph[:, half:]).max() > 8
    path = batch.output / "pictures" / "masked.png"
    rebuilt = Rebuilder(batch.folder, []).rebuild(path, Provenance.of(path))
    assert rebuilt.lost == ()
    assert {*rebuilt.cells["style"].split("; ")} == {"s.png", "t.png"}
    assert rebuilt.cells["content_mask"] == "left.png"
    names = [*rebuilt.cells]
    _, again = batch.run(names, tuple(rebuilt.cells[name] for name in names), settings={})
    assert again["status"].tolist() == ["cached"]


def picture_of_size(batch: Batch, shape: tuple[int, ...]) -> np.ndarray:
    """Return the content at the size of a result, in levels."""
    content = load(batch.folder / "a.png", size=max(shape))
    return np.round(content.rgb * 255).astype(int)


def test_a_style_that_fails_is_named(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.work import targets

    original = targets.computed_targets

    def computed(job: object, style: object, *others: object) -> object:
        if style.name == "t.png":  # type: ignore[attr-defined]
            raise ValueError("this style is odd")
        return original(job, style, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(targets, "computed_targets", computed)
    _, table = batch.run(HEADER, BLEND, ALONE, retries=0)
    assert table["status"].tolist() == ["failed", "done"]
    assert "style t.png: " in table["error"].iloc[0]


@pytest.mark.nights
def test_colors_and_starts_come_from_all_styles(batch: Batch) -> None:
    header = ("content", "style", "output", "start", "color_match", "style_measure")
    rows = [
        ("a.png", style, f"p{number}", "style", "histogram", "gram sliced neighbors")
        for number, style in enumerate(("s.png; t.png", "t.png; s.png", "s.png"))
    ]
    _, table = batch.run(header, *rows)
    assert table["error"].fillna("").tolist() == [""] * 3
    assert table["same_as"].fillna(0).tolist() == [0, 2, 0]
    assert Path(batch.output / "pictures" / "p1.png").exists()
