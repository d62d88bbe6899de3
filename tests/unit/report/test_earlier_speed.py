"""The speed of the earlier rows of an output folder, which `plan` uses if it knows no other."""

from dataclasses import replace
from pathlib import Path

import pytest

from nst_core.transfer.settings import Settings
from tasks.job import multiplications_per_pixel
from tasks.report.earlier_speed import seconds_a_multiplication
from tasks.report.table import frame_of, write_summary
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tests.tables import write_frame

LAYERS = Settings().model_dump(
    include={"encoder", "pooling", "content_layers", "style_layers", "normalization"}
)
FACTS = {**LAYERS, "octaves": 1, "steps": 60, "width": 1000, "height": 800}
WORK = 1000 * 800 * 60 * multiplications_per_pixel(Settings())


def table(*seconds: float | None) -> Table:
    rows = (
        TableRow(line=line, status="done", seconds=each, **FACTS)
        for line, each in enumerate(seconds, start=2)
    )
    return Table(tuple(rows))


def test_the_rate_is_the_median_of_the_rows_that_were_stylized(tmp_path: Path) -> None:
    write_summary(table(1000, None, 10, 30), OutputFolder(tmp_path))
    assert seconds_a_multiplication(OutputFolder(tmp_path)) == pytest.approx(30 / WORK)
    two_sizes = replace(table(30).rows[0], octaves=2)
    write_summary(Table((two_sizes,)), OutputFolder(tmp_path))
    rate = seconds_a_multiplication(OutputFolder(tmp_path))
    assert rate == pytest.approx(30 / (WORK / 2 * 1.25)), "the smaller size has a quarter of it"


def test_small_rows_and_rows_without_seconds_give_no_rate(tmp_path: Path) -> None:
    assert seconds_a_multiplication(OutputFolder(tmp_path)) is None
    small = replace(table(30).rows[0], width=10, height=8)
    write_summary(Table((small, *table(None).rows)), OutputFolder(tmp_path))
    assert seconds_a_multiplication(OutputFolder(tmp_path)) is None


@pytest.mark.parametrize("column", ["seconds", *FACTS])
def test_a_table_of_another_version_gives_no_rate(tmp_path: Path, column: str) -> None:
    frame = frame_of(table(30))
    write_frame(frame.drop(columns=column), tmp_path)
    assert seconds_a_multiplication(OutputFolder(tmp_path)) is None


def test_an_unknown_encoder_gives_no_rate(tmp_path: Path) -> None:
    write_frame(frame_of(table(30)).assign(encoder="newest"), tmp_path)
    assert seconds_a_multiplication(OutputFolder(tmp_path)) is None
