"""Events: their subscribers, and what is counted from them."""

import logging
import threading
from typing import get_args

import pytest

from tasks.events import (
    DevicesOpened,
    Event,
    FileDownloading,
    GalleryWritten,
    ManifestUnderstood,
    PictureExamined,
    RowEnded,
    RowRetried,
    RowsPlanned,
    RowsSelected,
    RowStarted,
    RowStepped,
    RowWaiting,
    StageEntered,
    TableWritten,
    emit,
    subscribed,
)
from tasks.report.tally import Tally

EXAMPLES: dict[Event, str] = {
    StageEntered("loading TensorFlow"): "loading TensorFlow ...",
    FileDownloading("vgg19.h5", 3, 7): "downloading vgg19.h5: 3 of 7 bytes",
    ManifestUnderstood("m.csv: read as XLSX"): "m.csv: read as XLSX",
    PictureExamined(1, 4): "1 of 4 pictures examined",
    RowsSelected("2,4", 2, 5, is_preview=True): "previews of 2 of 5 rows",
    RowsSelected("failed", 2, 5): "--only failed: 2 of 5 rows are asked for",
    RowsPlanned(3, 5): "3 of 5 rows to run",
    DevicesOpened(("GPU:0", "GPU:1")): "rows run on GPU:0, GPU:1",
    RowStarted(2, "a.png"): "line 2 a.png: started",
    RowWaiting(2, "a.png", "waits for a device"): "line 2 a.png waits for a device",
    RowRetried(2, "a.png", "failed and is tried again"): "line 2 a.png failed and is tried again",
    RowStepped(2, "a.png", 10, 40, 0.1, 0.1234567): "line 2 a.png: step 10 of 40, loss 0.12346",
    RowEnded(2, "a.png", "done", 0.1234567): "line 2 a.png: done, loss 0.1235",
    RowEnded(3, "b.png", "failed", reason="no room"): "line 3 b.png: failed, no room",
    TableWritten(5): "the table of 5 rows is written",
    GalleryWritten("out/gallery.html"): "the gallery is written: out/gallery.html",
}


def test_every_event_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert {type(event) for event in EXAMPLES} == set(get_args(Event))
    with caplog.at_level(logging.INFO, "nst_batch.events"):
        for event in EXAMPLES:
            emit(event)
    assert caplog.messages == list(EXAMPLES.values())


def test_subscribers_receive_every_event_while_they_subscribe() -> None:
    first: list[Event] = []
    second: list[Event] = []
    emit(TableWritten(1))
    with subscribed(first.append):
        emit(TableWritten(2))
        with subscribed(second.append):
            emit(TableWritten(3))
        emit(TableWritten(4))
    emit(TableWritten(5))
    assert first == [TableWritten(2), TableWritten(3), TableWritten(4)]
    assert second == [TableWritten(3)]


def test_subscriptions_may_end_in_any_order() -> None:
    received: dict[str, list[Event]] = {"first": [], "second": []}
    first = subscribed(received["first"].append)
    second = subscribed(received["second"].append)
    first.__enter__()
    second.__enter__()
    emit(TableWritten(1))
    first.__exit__(None, None, None)
    emit(TableWritten(2))
    second.__exit__(None, None, None)
    emit(TableWritten(3))
    assert received == {
        "first": [TableWritten(1)],
        "second": [TableWritten(1), TableWritten(2)],
    }


def test_subscribing_leaves_the_log_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nst_batch.events"), subscribed(lambda _: None):
        emit(TableWritten(1))
    assert not caplog.messages


def test_calls_of_a_subscriber_never_overlap() -> None:
    inside, most = 0, 0

    def subscriber(_: Event) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.001)
        inside -= 1

    with subscribed(subscriber):
        threads = [threading.Thread(target=emit, args=(TableWritten(n),)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (inside, most) == (0, 1)


def test_a_tally_counts_rows_and_the_progress_of_active_ones() -> None:
    tally = Tally()
    assert (str(tally), tally.share) == ("", 0.0)
    tally.count(PictureExamined(1, 2))
    tally.count(RowsPlanned(4, 6))
    assert (str(tally), tally.share) == ("0 of 4 rows ended", 0.0)
    tally.count(RowStarted(2, "a.png"))
    tally.count(RowStepped(2, "a.png", 10, 20, 0.5, 1.0))
    assert (tally.completed, tally.share) == (0.5, 0.125)
    # The row's device failed, and the row starts again on another one.
    tally.count(RowWaiting(2, "a.png"))
    assert tally.completed == 0.0
    tally.count(RowStepped(2, "a.png", 10, 20, 0.5, 1.0))
    tally.count(RowRetried(2, "a.png", "failed and is tried again"))
    assert (tally.completed, tally.ended.total()) == (0.0, 0)
    tally.count(RowEnded(2, "a.png", "done", 1.0))
    tally.count(RowEnded(3, "b.png", "failed", reason="no room"))
    assert (str(tally), tally.completed) == ("2 of 4 rows ended, 1 of them failed", 2.0)
    finished = Tally()
    finished.count(RowsPlanned(0, 6))
    assert (str(finished), finished.share) == ("all 6 rows were already done", 1.0)
    finished.count(RowsPlanned(0, 6, is_part=True))
    assert str(finished) == "nothing to run: 6 rows were already done"
