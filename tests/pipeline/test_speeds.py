"""A real batch teaches this machine's speed, and its estimates are sane."""

import time

import pytest

from tasks.events import Event, RowEnded, RowsPlanned, subscribed
from tasks.report.time_left import TimeLeft
from tasks.store.speeds import Speeds
from tasks.store.style_cache import StyleCache
from tests.pipeline.conftest import Batch

SETTINGS = {"steps": 40, "tolerance": 0, "enlarge": True}
HEADER = ("content", "style", "size")


@pytest.mark.nights
def test_a_mixed_batch_is_estimated_while_it_runs_and_the_next_one_before(batch: Batch) -> None:
    sizes = (32, 48, 64, 96)
    rows = [(name, "s.png", size) for size in sizes for name in ("a.png", "b.png")]
    left, started = TimeLeft(), time.monotonic()
    planned: list[RowsPlanned] = []
    estimates: list[tuple[float, float]] = []

    def follow(event: Event) -> None:
        now = time.monotonic() - started
        left.note(event, now)
        if isinstance(event, RowsPlanned):
            planned.append(event)
        if isinstance(event, RowEnded) and (seconds := left.seconds(now)) is not None:
            estimates.append((now, seconds))

    with subscribed(follow):
        batch.run(HEADER, *rows, settings=SETTINGS, devices="cpu")
    assert len(estimates) == len(rows) - 1
    ended = max(now for now, _ in estimates)
    # The machine may be busy with anything, so this is no more than the order of magnitude.
    halfway, seconds = estimates[len(rows) // 2]
    assert seconds < 20 * (ended - halfway + 1)
    assert not any(estimate.is_measured for estimate in planned[0].estimates)
    assert Speeds.read(StyleCache(batch.cache), "cpu").knows_device
    again = [rows[0], ("a.png", "s.png", 40), ("b.png", "t.png", 90), ("b.png", "t.png", 90)]
    with subscribed(follow):
        batch.run(HEADER, *again, settings=SETTINGS, devices="cpu")
    first, second = planned[1].estimates
    assert (first.line, second.line) == (3, 4), "neither a finished row nor a copy"
    assert first.is_measured
    assert second.is_measured
    assert 0 < first.seconds < 60
