"""The table in files: its columns and types, its reading, and cells that no spreadsheet runs."""

import csv
import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_core.transfer.losses.terms import LOSS_TERMS, loss_name
from nst_core.transfer.presets import Overrides
from nst_core.transfer.settings import Settings
from tasks.intake.manifest import read_manifest
from tasks.report.comparison import compare
from tasks.report.saved_table import read_summary
from tasks.report.table import (
    columns_of,
    frame_of,
    json_rows,
    summarize,
    summary_csv,
    write_summary,
)
from tasks.report.table_row import Table, TableRow
from tasks.row import Fault
from tasks.store.csv_cells import FORMULA_STARTS, escape_formula, unescape_formula
from tasks.store.output_folder import OutputFolder
from tasks.store.statuses import PENDING, RowResult
from tests.finished_rows import record_of
from tests.fuzzing import fuzz
from tests.pictures import write_csv
from tests.tables import write_frame

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS) | st.builds(
    str.__add__,
    st.sampled_from([*FORMULA_STARTS, "''", "'=", "\r\n", '"', ","]),
    st.text(CHARACTERS),
)


def cells_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://example.com","x")',
        *("+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "-night.png"),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_escaped(text: str) -> None:
    ((_, _), (cell, loss)) = cells_of(summary_csv(pd.DataFrame({"style": [text], "loss": [-0.5]})))
    assert cell == f"'{text}"
    assert unescape_formula(cell) == text
    assert loss == "-0.5"


@pytest.mark.parametrize("text", ["a.png", "it's.png", "a=b.png", " x", "pictures/-1.png"])
def test_other_texts_are_not_changed(text: str) -> None:
    assert escape_formula(text) == text


@fuzz(200)
@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.integers(-9, 9)), min_size=1, max_size=5))
def test_every_text_can_be_recovered(rows: list[tuple[str, str | None, int]]) -> None:
    table = pd.DataFrame(rows, columns=["content", "error", "loss"])
    table["loss"] = table["loss"] / 4
    table["steps"] = pd.array([None] * len(rows), dtype="Int64")
    header, *found = cells_of(summary_csv(table))
    assert header == ["content", "error", "loss", "steps"]
    assert len(found) == len(rows)
    for (content, error, loss), cells in zip(rows, found, strict=True):
        for cell, text in zip(cells[:2], (content, error or ""), strict=True):
            assert unescape_formula(cell) == text
            assert not cell.startswith(tuple("=+-@\t\r"))
        assert (float(cells[2]), cells[3]) == (loss / 4, "")


def test_integers_stay_integers_next_to_rows_without_them(tmp_path: Path) -> None:
    rows = read_manifest(
        write_csv(tmp_path / "m.csv", ("content", "style", "size"), ("a", "s", 96), ("b", "s", -1))
    )
    results = {2: PENDING, 3: RowResult("invalid", error="wrong")}
    table = summarize(rows, results)
    frame = frame_of(table)
    for name in ("size", "steps", "octaves", "best_of_every", "width", "seed"):
        assert frame[name].dtype == "Int64"
    (pending, invalid) = json_rows(table)
    assert isinstance(pending["size"], int)
    assert invalid["size"] is None
    header, first, _ = cells_of(summary_csv(frame))
    assert first[header.index("size")] == "96"
    write_summary(table, OutputFolder(tmp_path))
    assert pd.read_parquet(tmp_path / "summary.parquet")["size"].dtype == "Int64"
    assert [row.size for row in read_summary(OutputFolder(tmp_path)).rows] == [96, None]


FINISHED = Path(__file__).parents[2] / "fixtures" / "finished-0.1.0.zip"

COLUMNS = {
    "line": "int64",
    **dict.fromkeys(["status", "picture", "content", "style"], "str"),
    **dict.fromkeys(["style_score", "content_score"], "float64"),
    **dict.fromkeys(["total_loss", "content_loss", "style_loss", "tv_loss"], "float64"),
    **dict.fromkeys(["start_loss", "relative_loss_relu1_1", "relative_loss_relu2_1"], "float64"),
    **dict.fromkeys(["steps", "evaluations"], "Int64"),
    "stop_reason": "str",
    **dict.fromkeys(["recoveries", "retries"], "Int64"),
    "seconds": "float64",
    "device": "str",
    "peak_memory_mb": "float64",
    **dict.fromkeys(["width", "height", "seed"], "Int64"),
    **dict.fromkeys(["encoder_fingerprint", "style_targets", "curve", "output", "key"], "str"),
    "same_as": "Int64",
    "change": "str",
    "previous_loss": "float64",
    "asked": "bool",
    "last_status": "str",
    "size": "Int64",
    "enlarge": "bool",
    "style_scale": "float64",
    **dict.fromkeys(["style_blend", "style_mix"], "str"),
    "style_rotations": "Int64",
    "strength": "float64",
    **dict.fromkeys(["content_weight", "style_weight", "tv_weight"], "float64"),
    "tv_kind": "str",
    "normalize_gradients": "bool",
    **dict.fromkeys(["content_layers", "style_layers", "normalization"], "str"),
    **dict.fromkeys(["gram", "style_measure", "content_measure"], "str"),
    "match_colors": "bool",
    **dict.fromkeys(["color", "color_match", "color_space", "start"], "str"),
    **dict.fromkeys(["start_noise", "start_blend"], "float64"),
    **dict.fromkeys(["init", "content_mask", "style_mask"], "str"),
    "mask_feather": "float64",
    "alpha_mask": "bool",
    "optimizer": "str",
    "learning_rate": "float64",
    "learning_rate_decay": "str",
    **dict.fromkeys(["learning_rate_end", "average"], "float64"),
    "carry_state": "bool",
    "beta_2": "float64",
    "best_of_every": "Int64",
    "clip": "str",
    "octaves": "Int64",
    "tolerance": "float64",
    "keep_alpha": "bool",
    "format": "str",
    **dict.fromkeys(["depth", "quality"], "Int64"),
    "enlarge_result": "bool",
    "metadata": "str",
    **dict.fromkeys(["encoder", "pooling", "precision", "degraded", "warnings", "error"], "str"),
}
"""The columns, in order, with their types if every row is done; `str` may also be `object`."""


def batch(folder: Path) -> Table:
    """Return a table with a row of each status, and with a copy of the row that is done."""
    cells = (("content", "style", "size"), *((f"{name}.png", "s.png", 96) for name in "abcde"))
    manifest = write_csv(folder / "m.csv", *cells, ("f.png", "s.png", -1))
    layers = {"relu2_1": 0.25, "relu1_1": 1e-9}
    record = record_of("a", "a_s.png", folder).model_copy(update={"style_layers": layers})
    results = {
        2: RowResult("done", record, "computed"),
        3: RowResult("done", record.model_copy(update={"curve_file": None}), "hit", same_as=2),
        4: RowResult("interrupted", error="stopped", interrupted_picture="interrupted/c_s.png"),
        5: PENDING,
        6: RowResult("failed", error="line 6, column content: found nothing"),
        7: RowResult("invalid", error="line 7, column size: found '-1'"),
    }
    return replace(
        summarize(read_manifest(manifest, Overrides()), results),
        made_at=datetime(2026, 11, 26, 13, 13, 37, tzinfo=UTC),
        manifest="/home/anne/m.csv",
    )


def types_of(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(dtype).replace("object", "str") for name, dtype in frame.dtypes.items()}


def test_a_file_has_the_columns_types_and_attributes_of_the_table(tmp_path: Path) -> None:
    table = batch(tmp_path)
    done = replace(table, rows=table.rows[:2])
    write_summary(compare(done, done), OutputFolder(tmp_path))
    frame = pd.read_parquet(tmp_path / "summary.parquet")
    assert list(frame.columns) == list(COLUMNS)
    assert types_of(frame) == COLUMNS
    assert list(frame.attrs.items()) == [
        ("made_at", "2026-11-26T13:13:37+00:00"),
        ("manifest", "/home/anne/m.csv"),
    ]
    header, *rows = cells_of((tmp_path / "summary.csv").read_text())
    assert header == list(COLUMNS)
    assert len(rows) == 2


def test_columns_without_values_have_other_types(tmp_path: Path) -> None:
    """No row has a picture, so the table has no columns for layers, and others are empty."""
    table = batch(tmp_path)
    write_summary(replace(table, rows=table.rows[3:], layers=()), OutputFolder(tmp_path))
    frame = pd.read_parquet(tmp_path / "summary.parquet")
    without_layers = {name: kind for name, kind in COLUMNS.items() if "relative" not in name}
    assert list(frame.columns) == list(without_layers)
    texts = ("stop_reason", "device", "encoder_fingerprint", "style_targets", "curve", "key")
    switches = (
        *("enlarge", "normalize_gradients", "match_colors", "alpha_mask", "carry_state"),
        *("keep_alpha", "enlarge_result"),
    )
    changed = dict.fromkeys(texts, "float64") | dict.fromkeys(switches, "str")
    assert types_of(frame) == without_layers | changed
    assert frame["picture"].dtype == object


def test_a_table_without_rows_has_columns_and_is_read_back(tmp_path: Path) -> None:
    write_summary(Table(()), OutputFolder(tmp_path))
    frame = pd.read_parquet(tmp_path / "summary.parquet")
    assert list(frame.columns) == [name for name in COLUMNS if "relative" not in name]
    assert frame.attrs == {}
    assert read_summary(OutputFolder(tmp_path)) == Table(())


def test_layers_are_in_the_order_of_their_encoders(tmp_path: Path) -> None:
    header, *cells = ("content", "style", "encoder"), ("a", "s", "vgg19"), ("b", "s", "")
    manifest = write_csv(tmp_path / "m.csv", header, *cells, ("c", "s", "vgg19"))
    invalid, *others = read_manifest(manifest, Overrides())
    invalid = invalid.with_faults([Fault(2, "content", "a", "there is no such file")])
    record = record_of("a", "a_s.png", tmp_path)
    compact, vgg = (
        record.model_copy(update={"style_layers": dict.fromkeys(layers, 0.5)})
        for layers in (("relu2_1", "relu1_1"), ("conv2_1", "conv1_1"))
    )
    results = {
        2: RowResult("invalid", error="wrong"),
        3: RowResult("done", compact),
        4: RowResult("done", vgg),
    }
    table = summarize([invalid, *others], results)
    assert table.layers == ("conv1_1", "relu1_1", "conv2_1", "relu2_1")
    named = [name for name in frame_of(table).columns if name.startswith("relative_loss_")]
    assert named == [f"relative_loss_{layer}" for layer in table.layers]


def test_a_table_is_read_back_unchanged(tmp_path: Path) -> None:
    table = batch(tmp_path)
    compared = compare(table, table)
    write_summary(compared, OutputFolder(tmp_path))
    assert read_summary(OutputFolder(tmp_path)) == compared
    done, copy, stopped, pending, _, invalid = compared.rows
    assert (done.relative_losses, done.change) == ({"relu2_1": 0.25, "relu1_1": 1e-9}, "same")
    assert (done.curve, copy.curve, pending.curve) == ("losses/a_s.csv", "", None)
    assert (copy.same_as, stopped.picture) == (2, "interrupted/c_s.png")
    assert (pending.steps, pending.size, pending.seed) == (60, 96, None)
    assert (invalid.steps, invalid.size, invalid.encoder) == (None, None, None)


def test_a_table_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(FINISHED) as archive:
        archive.extract("night/summary.parquet", tmp_path)
    table = read_summary(OutputFolder(tmp_path / "night"))
    assert [row.line for row in table.rows] == [2, 3, 4, 5, 6]
    assert table.counts == {"done": 5}
    assert table.layers == ("relu1_1", "relu2_1")
    assert table.made_at == datetime(2026, 11, 26, 13, 13, 37, tzinfo=UTC)
    assert table.manifest == "/home/anne/pictures/m.csv"
    first = table.rows[0]
    assert (first.output, first.picture, first.steps) == ("a_s.png", "pictures/a_s.png", 10)
    assert (first.octaves, first.enlarge, first.same_as, first.change) == (1, False, None, "")
    assert first.total_loss == pytest.approx(0.051524, rel=1e-4)


@pytest.mark.parametrize(
    ("column", "cell", "wrong"),
    [
        ("total_loss", "much", "column total_loss: could not convert"),
        ("steps", "many", "column steps: invalid literal"),
        ("status", None, "column status: found an empty cell"),
    ],
)
def test_a_cell_of_a_wrong_type_is_an_error(
    tmp_path: Path, column: str, cell: Any, wrong: str
) -> None:
    write_frame(frame_of(batch(tmp_path)).assign(**{column: cell}), tmp_path)
    with pytest.raises(ValueError, match=wrong):
        read_summary(OutputFolder(tmp_path))


def test_json_rows_have_the_columns_of_the_table(tmp_path: Path) -> None:
    done, *_, invalid = json_rows(batch(tmp_path))
    assert list(done) == list(invalid) == list(COLUMNS)
    assert (done["relative_loss_relu1_1"], done["steps"], done["enlarge"]) == (1e-9, 10, False)
    assert isinstance(done["steps"], int)
    assert (invalid["total_loss"], invalid["picture"], invalid["enlarge"]) == (None, None, None)
    assert (invalid["output"], invalid["warnings"]) == ("f_s.png", "")


def test_the_table_has_a_column_for_each_setting_and_each_loss_term() -> None:
    terms = dict.fromkeys(LOSS_TERMS, 0.5)
    frame = TableRow(line=2, status="done", sequence="walk", flow="a.flo", term_losses=terms)
    columns = set(columns_of(Table((replace(frame, term_weights=terms),))))
    assert set(Settings.model_fields) <= columns
    assert set(map(loss_name, LOSS_TERMS)) <= columns
    of_frames = {"sequence", "flow", "temporal_loss", "temporal_weight"}
    assert columns - set(columns_of(Table(()))) == of_frames


def test_frames_are_read_back_with_what_only_frames_have(tmp_path: Path) -> None:
    plain = TableRow(line=2, status="done", term_losses={"tv": 0.5}, term_weights={"tv": 2.0})
    temporal = {"tv": 0.5, "temporal": 0.25}
    frame = TableRow(line=3, status="done", sequence="walk", flow="a.flo", term_losses=temporal)
    table = Table((plain, replace(frame, term_weights=temporal)))
    write_summary(table, OutputFolder(tmp_path))
    assert read_summary(OutputFolder(tmp_path)).rows == table.rows
