"""Sequences of frames through the whole flow: their order, what is repeated, and failures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nst_core.images.read import load
from nst_core.motion.flo_files import encode_flow, read_flow
from nst_core.networks.loading import load_encoder
from nst_core.transfer import stylize
from nst_core.transfer.pictures.frames import FrameBefore
from nst_core.transfer.presets import resolve
from nst_core.transfer.styles.statistics import style_targets
from tasks.report.frame_chains import in_frame_order
from tasks.report.rebuild import Rebuilder
from tasks.store import checkpoints as checkpoints_module
from tasks.store.provenance import Provenance
from tests.pipeline.conftest import QUICK, Batch, call_with_iterates
from tests.pipeline.test_controls import write_masks

HEADER = ("content", "style", "output", "sequence", "flow")
WALK = tuple((f"{number}.png", "s.png", f"w{number}", "walk", "") for number in (1, 2, 3))
PLAIN = ("a.png", "s.png", "plain", "", "")


@pytest.fixture
def walk(batch: Batch) -> Batch:
    for number in (1, 2, 3, 4):
        batch.picture(f"{number}.png", 10 + number)
    return batch


def statuses(table: pd.DataFrame) -> list[str]:
    return table["status"].tolist()


def fail_at_frames(patch: pytest.MonkeyPatch) -> None:
    """Let each frame fail that follows another one."""
    original = stylize.iterates

    def iterates(*arguments: Any, before: Any = None, **options: Any) -> Any:
        if before is not None:
            raise RuntimeError("no such luck")
        return original(*arguments, **options)

    patch.setattr(stylize, "iterates", iterates)


def test_a_sequence_runs_once_and_a_changed_frame_repeats_it_and_the_later_ones(
    walk: Batch, computed: list[str]
) -> None:
    _, table = walk.run(HEADER, *WALK, PLAIN)
    assert statuses(table) == ["done"] * 4
    assert table["sequence"].fillna("").tolist() == ["walk"] * 3 + [""]
    assert table["temporal_loss"].isna().tolist() == [True, False, False, True]
    assert table["temporal_weight"].isna().tolist() == [False, False, False, True]
    _, again = walk.run(HEADER, *WALK, PLAIN)
    assert statuses(again) == ["cached"] * 4
    assert computed.count("row") == 4
    computed.clear()
    walk.picture("2.png", 99)
    _, changed = walk.run(HEADER, *WALK, PLAIN)
    assert statuses(changed) == ["cached", "done", "done", "cached"]
    assert computed == ["row", "row"]
    # Under other names, and in a sequence of another name, nothing runs.
    renamed = [(row[0], row[1], f"new{row[2]}", "stroll", "") for row in WALK]
    assert statuses(walk.run(HEADER, *renamed)[1]) == ["cached"] * 3
    # The next frame finds the result of the frame before under its former name.
    more = ("4.png", "s.png", "w4", "stroll", "")
    assert statuses(walk.run(HEADER, *renamed, more)[1]) == ["cached"] * 3 + ["done"]


def test_a_frame_is_made_from_the_saved_result_before_it_along_its_flow(walk: Batch) -> None:
    flow = np.full((36, 48, 2), 1.5, np.float32)
    (walk.folder / "f.flo").write_bytes(encode_flow(flow))
    rows = (WALK[0], (*WALK[1][:4], "f.flo"), WALK[2])
    walk.run(HEADER, *rows)
    saved = [Image.open(walk.output / "pictures" / f"w{number}.png") for number in (1, 2, 3)]
    contents = [load(walk.folder / f"{number}.png", size=32).rgb for number in (1, 2, 3)]
    settings, encoder = resolve(QUICK), load_encoder("compact")
    targets = style_targets(encoder, load(walk.folder / "s.png").rgb, settings)
    given = read_flow(walk.folder / "f.flo", max_pixels=10**6).flow
    for number, of_file in ((1, given), (2, None)):
        before = FrameBefore(contents[number - 1], np.asarray(saved[number - 1]), of_file)
        steps = stylize.iterates(
            encoder, contents[number], targets, settings, seed=0, before=before
        )
        np.testing.assert_array_equal(stylize.finish(steps).pixels, np.asarray(saved[number]))


def test_frames_may_have_masks_and_several_styles_which_may_change(
    walk: Batch, computed: list[str]
) -> None:
    write_masks(walk.folder)
    header = (*HEADER, "style_blend", "content_mask", "normalize_gradients")
    rows = [
        ("1.png", "s.png; t.png", "w1", "walk", "", "1; 1", "left.png", "true"),
        ("2.png", "s.png; t.png", "w2", "walk", "", "1; 3", "left.png", "true"),
        ("3.png", "t.png", "w3", "walk", "", "", "", ""),
    ]
    _, table = walk.run(header, *rows)
    assert statuses(table) == ["done"] * 3
    assert sorted(computed) == ["row"] * 3 + ["style"] * 2
    assert table["temporal_loss"].notna().tolist() == [False, True, True]
    photograph = load(walk.folder / "2.png", size=32).rgb
    paths = [walk.output / "pictures" / f"w{number}.png" for number in (1, 2, 3)]
    change = np.abs(load(paths[1]).rgb - photograph)
    assert change[:, 17:].max() <= 0.51 / 255
    assert change[:, :15].max() > 0.05
    # A new mask repeats this frame and the later ones.
    computed.clear()
    rows[1] = (*rows[1][:6], "colors.png", rows[1][7])
    assert statuses(walk.run(header, *rows)[1]) == ["cached", "done", "done"]
    assert computed == ["row", "row"]
    described = in_frame_order([(path, Provenance.of(path)) for path in paths[::-1]])
    rebuilt = [Rebuilder(walk.folder).rebuild(one.picture, one.provenance) for one in described]
    assert [row.lost for row in rebuilt] == [()] * 3
    cells = [row.cells | {"sequence": "walk"} for row in rebuilt]
    # The order of the styles in a blend does not matter.
    assert set(cells[1]["style"].split("; ")) == {"s.png", "t.png"}
    assert cells[1]["content_mask"] == "colors.png"
    names = [*dict.fromkeys(name for row in cells for name in row)]
    lines = [tuple(row.get(name, "") for name in names) for row in cells]
    assert statuses(walk.run(names, *lines, settings={})[1]) == ["cached"] * 3


def test_if_a_frame_fails_the_later_ones_fail_without_beginning_and_all_else_runs(
    walk: Batch, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ("b.png", "t.png", "o1", "other", "")
    with monkeypatch.context() as patch:
        fail_at_frames(patch)
        state, table = walk.run(HEADER, *WALK, other, PLAIN, retries=0)
    assert state.name == "SomeRowsFailed"
    assert statuses(table) == ["done", "failed", "failed", "done", "done"]
    assert "no such luck" in table["error"][3]
    assert "did not begin: line 3, an earlier frame of the sequence 'walk'" in table["error"][4]
    computed.clear()
    _, table = walk.run(HEADER, *WALK, other, PLAIN, only="failed")
    assert statuses(table) == ["cached", "done", "done", "cached", "cached"]
    assert computed == ["row", "row"]


def test_a_frame_that_is_asked_for_needs_the_frame_before_it(walk: Batch) -> None:
    state, table = walk.run(HEADER, *WALK, only="3")
    assert statuses(table) == ["pending", "failed", "pending"]
    assert "line 2, the frame before it, is not done and was not asked for" in table["error"][3]
    assert state.name == "AllRowsFailed"
    assert statuses(walk.run(HEADER, *WALK, only="2-3")[1]) == ["done", "done", "pending"]
    assert statuses(walk.run(HEADER, *WALK, only="4")[1]) == ["cached", "cached", "done"]


@pytest.mark.nights
def test_a_result_that_is_gone_is_made_again_and_later_frames_stay(walk: Batch) -> None:
    walk.run(HEADER, *WALK)
    (walk.output / "pictures" / "w1.png").unlink()
    assert statuses(walk.run(HEADER, *WALK)[1]) == ["done", "cached", "cached"]


@pytest.mark.nights
def test_an_interrupted_frame_continues_and_the_sequence_ends_as_if_undisturbed(
    walk: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"steps": 30, "tolerance": 0}
    walk.run(HEADER, *WALK, settings=settings)
    pictures = [walk.output / "pictures" / f"w{number}.png" for number in (1, 2, 3)]
    undisturbed = [picture.read_bytes() for picture in pictures]
    monkeypatch.setattr(checkpoints_module, "SHORTEST_ROW", 0)
    fresh = walk.folder / "fresh"
    with monkeypatch.context() as patch:
        _end_time_in_second_frame(patch)
        _, table = walk.run(
            *(HEADER, *WALK), settings=settings, output=fresh, budget="1h", checkpoint_every=1
        )
    assert statuses(table) == ["done", "interrupted", "pending"]
    assert "the next run continues from there" in table["error"][3]
    assert "did not begin: line 3" in table["error"][4]
    _, table = walk.run(HEADER, *WALK, settings=settings, output=fresh)
    assert statuses(table) == ["cached", "done", "done"]
    again = [(fresh / "pictures" / picture.name).read_bytes() for picture in pictures]
    assert again == undisturbed


def _end_time_in_second_frame(patch: pytest.MonkeyPatch) -> None:
    """Let the time be up after some steps of a frame that follows another one."""
    from tasks.stopping import Deadline

    steps: list[int] = []
    call_with_iterates(
        *(patch, lambda iterate: steps.append(iterate.step)),
        only=lambda options: options.get("before") is not None,
    )
    left: Callable[[Any], float] = lambda _: -1.0 if max(steps, default=0) >= 10 else 3000.0  # noqa: E731
    patch.setattr(Deadline, "seconds_left", property(left))


@pytest.mark.nights
def test_a_sequence_is_rebuilt_from_its_pictures_in_any_order(walk: Batch) -> None:
    (walk.folder / "f.flo").write_bytes(encode_flow(np.zeros((36, 48, 2), np.float32)))
    walk.run(HEADER, *WALK[:2], (*WALK[2][:4], "f.flo"), PLAIN)
    names = ("w3", "plain", "w2", "w1")
    paths = [walk.output / "pictures" / f"{name}.png" for name in names]
    described = in_frame_order([(path, Provenance.of(path)) for path in paths])
    assert [one.picture.stem for one in described] == ["plain", "w1", "w2", "w3"]
    assert [one.lost for one in described] == [()] * 4
    rebuilder = Rebuilder(walk.folder)
    rows = [rebuilder.rebuild(one.picture, one.provenance) for one in described]
    assert [row.lost for row in rows] == [()] * 4
    assert rows[3].cells["flow"] == "f.flo"
    cells = [
        row.cells | {"sequence": one.sequence} for row, one in zip(rows, described, strict=True)
    ]
    header = [*dict.fromkeys(name for row in cells for name in row)]
    lines = [tuple(row.get(name, "") for name in header) for row in cells]
    assert statuses(walk.run(header, *lines, settings={})[1]) == ["cached"] * 4
    alone = in_frame_order([(paths[2], Provenance.of(paths[2]))])
    assert "frame 2 of 'walk'" in alone[0].lost[0]
