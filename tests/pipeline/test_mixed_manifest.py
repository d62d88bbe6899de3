"""One manifest with every control of the look, through the whole flow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nst_core.transfer.settings import Settings
from tests.picture_files import P3_PROFILE
from tests.pictures import write_picture
from tests.pipeline.conftest import Batch

TWO = {"style": "s.png; t.png"}
ADAM = {"optimizer": "adam", "steps": 3, "tolerance": 0}

ROWS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "other-style": {"style": "t.png"},
    "octaves": {"size": 64, "octaves": 2},
    "enlarged": {"content": "tiny.png", "enlarge": "yes"},
    "style-scale": {"style_scale": 0.5},
    "strength": {"strength": 0.5},
    "weights": {"content_weight": 0.2, "style_weight": 2, "tv_weight": 1},
    "tv": {"tv_kind": "l1"},
    "nine-points": {"tv_kind": "9-point"},
    "normalized": {"normalize_gradients": "yes"},
    "content-layers": {"content_layers": "relu2_2:1 relu3_2:1"},
    "style-layers": {"style_layers": "relu1_1:1 relu2_1:0.5"},
    "mean": {"normalization": "mean"},
    "raw": {"gram": "raw"},
    "moments": {"style_measure": "moments"},
    "wasserstein": {"style_measure": "wasserstein"},
    "shifted": {"style_measure": "gram:1 shifted-gram:1"},
    "sliced": {"style_measure": "sliced"},
    "histogram": {"style_measure": "histogram"},
    "neighbors": {"style_measure": "gram:1 neighbors:1"},
    "self-similarity": {"content_measure": "self-similarity"},
    "style-colors": {"color": "style"},
    "content-colors": {"color": "content"},
    "histograms": {"color_match": "histogram"},
    "noise": {"start": "noise", "seed": 3},
    "gray": {"start": "gray", "start_noise": 2},
    "blended-start": {"start_blend": 0.3},
    "init": {"init": "b.png"},
    "lbfgs": {"optimizer": "lbfgs"},
    "schedule": {"learning_rate": 0.05, "learning_rate_decay": "cosine", "learning_rate_end": 0.2},
    "average": {**ADAM, "average": 0.9, "best_of_every": 2},
    "carried": {**ADAM, "size": 64, "octaves": 2, "carry_state": "yes", "beta_2": 0.9},
    "clipped": {**ADAM, "clip": "end"},
    "alpha": {"content": "clear.png", "keep_alpha": "yes"},
    "alpha-mask": {"content": "clear.png", "alpha_mask": "yes"},
    "pooling": {"pooling": "max"},
    "rounded": {"precision": "bfloat16"},
    "exact": {"precision": "float32"},
    "masked": {"content_mask": "mask.png", "mask_feather": 0.02},
    "regions": {"content_mask": "regions.png", "style_mask": "halves.png"},
    "two-styles": {**TWO, "style_blend": "1; 3"},
    "two-scales": {**TWO, "style_mix": "layers"},
    "folder": {"style": "paintings"},
    "rotated": {"style_rotations": 2},
    "wide": {"content": "wide.png", "color_space": "content"},
    "jpeg": {"format": "jpeg", "quality": 80},
    "deep": {"depth": 16},
    "enlarged-result": {"enlarge_result": "yes"},
    "bare": {"metadata": "none"},
    "frame-1": {"content": "f1.png", "sequence": "walk"},
    "frame-2": {"content": "f2.png", "sequence": "walk", "temporal_weight": 5},
}
"""The cells of each row besides the content a.png and the style s.png, by its output's name."""

FRAMES = ("f1.png", "f2.png")


def write_mask(path: Path, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """Write a mask of two halves."""
    pixels = np.zeros((36, 48, 3), np.uint8)
    pixels[:, :24], pixels[:, 24:] = left, right
    Image.fromarray(pixels).save(path)


@pytest.fixture
def mixed(batch: Batch) -> Batch:
    """Return a batch with all pictures that the rows name."""
    for number, name in enumerate((*FRAMES, "p1.png", "p2.png")):
        batch.picture(name, 20 + number)
    write_picture(batch.folder / "tiny.png", 30, height=24, width=20)
    with Image.open(batch.folder / "b.png") as image:
        image.save(batch.folder / "wide.png", icc_profile=P3_PROFILE)
    clear = Image.open(batch.folder / "a.png").convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(batch.folder / "clear.png")
    (batch.folder / "paintings").mkdir()
    for name in ("p1.png", "p2.png"):
        (batch.folder / name).rename(batch.folder / "paintings" / name)
    write_mask(batch.folder / "mask.png", (255, 255, 255), (0, 0, 0))
    for name in ("regions.png", "halves.png"):
        write_mask(batch.folder / name, (255, 0, 0), (0, 0, 255))
    return batch


def run(batch: Batch, rows: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Run a manifest with these rows; return its table by the names of outputs."""
    columns = dict.fromkeys(column for cells in rows.values() for column in cells)
    header = ("output", *dict.fromkeys(("content", "style", *columns)))
    plain = {"content": "a.png", "style": "s.png"}
    cells = [{"output": name, **plain, **row} for name, row in rows.items()]
    _, table = batch.run(header, *(tuple(row.get(name, "") for name in header) for row in cells))
    table.index = pd.Index([*rows])
    return table


def done(table: pd.DataFrame) -> set[str]:
    """Return the names of the rows that this run made; all others are finished."""
    assert set(table["status"]) <= {"done", "cached"}, table["error"].dropna().tolist()
    return {str(name) for name in table.index[table["status"] == "done"]}


def test_every_setting_is_in_a_row() -> None:
    used = {column for cells in ROWS.values() for column in cells}
    # Other encoders need files of weights; `match_colors` is the earlier form of `color`.
    assert {*Settings.model_fields} - used == {"encoder", "match_colors"}
    assert len(ROWS) >= 40


@pytest.mark.nights
def test_every_control_repeats_just_what_it_touches(mixed: Batch, computed: list[str]) -> None:
    table = run(mixed, ROWS)
    assert done(table) == {*ROWS}
    assert len({*table["key"]}) == len(ROWS)
    assert computed.count("row") == len(ROWS)
    pictures = {name: (mixed.output / table.loc[name, "picture"]).read_bytes() for name in ROWS}
    # A row that takes two or three steps differs by its control, unless the style alone is masked.
    assert len({*pictures.values()}) == len(ROWS)
    computed.clear()
    assert done(run(mixed, ROWS)) == set()
    assert computed == []

    write_mask(mixed.folder / "mask.png", (0, 0, 0), (255, 255, 255))
    write_mask(mixed.folder / "halves.png", (0, 0, 255), (255, 0, 0))
    write_picture(mixed.folder / "paintings" / "p1.png", 41)
    write_picture(mixed.folder / "f1.png", 42)
    write_picture(mixed.folder / "b.png", 43)
    others = {
        "tv": {"tv_kind": "9-point", "tv_weight": 2},
        "two-styles": {**TWO, "style_blend": "3; 1"},
    }
    changed = run(mixed, {**ROWS, **others})
    files = {"masked", "regions", "folder", "frame-1", "frame-2", "init"}
    assert done(changed) == {*files, *others}
    assert sorted(computed) == ["row"] * 8 + ["style"] * 2
    kept = [name for name in ROWS if name not in done(changed)]
    for name in kept:
        assert (mixed.output / table.loc[name, "picture"]).read_bytes() == pictures[name]
