"""The terms of the loss, which follow from the settings, and their values in records and tables."""

import json
from pathlib import Path

import pytest

from nst_core import Losses
from nst_core.transfer.losses.losses import TERMS
from nst_core.transfer.losses.terms import (
    FIRST_TERMS,
    FRAME_TERMS,
    LOSS_TERMS,
    loss_name,
    term_weights,
    weight_name,
    weights_at_strength,
)
from nst_core.transfer.settings import Settings
from tasks.report.saved_table import read_summary
from tasks.report.table import columns_of, frame_of
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tasks.store.records import PictureRecord, RecordError, parse_record
from tests.finished_rows import record_of
from tests.tables import write_frame

LOSSES = {term: 0.5 + number for number, term in enumerate(LOSS_TERMS)}
WEIGHTS = {term: 9.5 - number for number, term in enumerate(LOSS_TERMS)}
ROW = TableRow(line=2, status="done", term_losses=LOSSES, term_weights=WEIGHTS)


def test_each_weight_in_the_settings_has_a_term_and_each_term_a_tensor() -> None:
    weights = [name for name in Settings.model_fields if name.endswith("_weight")]
    assert list(map(weight_name, LOSS_TERMS)) == weights
    assert set(TERMS) == set(LOSS_TERMS) >= set(FIRST_TERMS)
    named = {weight_name(term): weight for term, weight in WEIGHTS.items()}
    assert term_weights(Settings.model_validate(named)) == WEIGHTS


def test_the_losses_of_a_picture_have_the_first_terms_as_attributes_too() -> None:
    losses = Losses(9.0, LOSSES, {})
    assert {term: getattr(losses, term) for term in FIRST_TERMS} == {
        term: LOSSES[term] for term in FIRST_TERMS
    }


def test_a_record_has_a_number_for_each_term_between_the_total_and_the_layers(
    tmp_path: Path,
) -> None:
    named = {loss_name(term): loss for term, loss in LOSSES.items()}
    facts = json.loads(record_of("a", "a.png", tmp_path).model_dump_json()) | named
    record = PictureRecord.model_validate(facts)
    assert record.term_losses == LOSSES
    names = list(json.loads(record.model_dump_json()))
    begin, end = names.index("total_loss"), names.index("style_layers")
    assert names[begin + 1 : end] == list(map(loss_name, LOSS_TERMS))


def test_a_record_of_a_picture_without_a_term_says_nothing_of_it(tmp_path: Path) -> None:
    facts = json.loads(record_of("a", "a.png", tmp_path).model_dump_json())
    first = {name: fact for name, fact in facts.items() if name not in map(loss_name, FRAME_TERMS)}
    record = PictureRecord.model_validate(first)
    assert json.loads(record.model_dump_json()) == first
    assert not {*FRAME_TERMS} & set(record.term_losses)


@pytest.mark.parametrize("term", FIRST_TERMS)
def test_a_record_without_a_term_of_every_version_is_refused(tmp_path: Path, term: str) -> None:
    facts = json.loads(record_of("a", "a.png", tmp_path).model_dump_json())
    del facts[loss_name(term)]
    with pytest.raises(RecordError, match="not a record"):
        parse_record(json.dumps(facts))


def test_losses_and_weights_are_read_back_by_term(tmp_path: Path) -> None:
    frame = frame_of(Table((ROW,)))
    for term in LOSS_TERMS:
        assert frame[loss_name(term)].tolist() == [LOSSES[term]]
        assert frame[weight_name(term)].tolist() == [WEIGHTS[term]]
    write_frame(frame, tmp_path)
    assert read_summary(OutputFolder(tmp_path)).rows == (ROW,)


@pytest.mark.parametrize("term", LOSS_TERMS)
def test_a_table_that_lacks_a_term_is_read_without_it(tmp_path: Path, term: str) -> None:
    frame = frame_of(Table((ROW,))).drop(columns=[loss_name(term), weight_name(term)])
    write_frame(frame, tmp_path)
    (row,) = read_summary(OutputFolder(tmp_path)).rows
    assert set(row.term_losses) == set(row.term_weights) == set(LOSS_TERMS) - {term}
    cells = columns_of(Table((row,)))
    if term in FRAME_TERMS:
        assert not {loss_name(term), weight_name(term)} & set(cells)
    else:
        assert (cells[loss_name(term)], cells[weight_name(term)]) == ([None], [None])


def test_strength_scales_every_weight_but_that_of_the_content() -> None:
    weights = {"content": 0.05, "style": 2.0, "tv": 0.5, "later": 4.0}
    assert weights_at_strength(weights, 1) == weights
    halved = {"content": 0.05, "style": 1.0, "tv": 0.25, "later": 2.0}
    assert weights_at_strength(weights, 0.5) == halved
