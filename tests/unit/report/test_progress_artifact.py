"""What Prefect's progress artifact says while rows run."""

import time
from typing import Any
from uuid import UUID

import pytest

from tasks.events import DevicesOpened, RowEnded, RowEstimate, RowsPlanned, RowStarted, RowStepped
from tasks.report import prefect_page
from tasks.report.prefect_page import _Progress, _update

ARTIFACT = UUID(int=1)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return a list that receives what Prefect is asked to show."""
    calls: list[tuple[Any, ...]] = []

    def keep(*arguments: Any) -> UUID:
        calls.append(arguments)
        return ARTIFACT

    monkeypatch.setattr(prefect_page, "create_progress_artifact", keep)
    monkeypatch.setattr(prefect_page, "update_progress_artifact", keep)
    return calls


def test_the_time_left_follows_the_count_of_rows(
    shown: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = _Progress()
    assert _update(None, progress, "night-progress") is None
    estimates = (RowEstimate(2, 0.0, 1.0), RowEstimate(3, 0.0, 1.0))
    progress.note(RowsPlanned(2, 2, 0, estimates))
    progress.note(DevicesOpened(("CPU:0",)))
    assert _update(None, progress, "night-progress") == ARTIFACT
    progress.note(RowStarted(2, "a.png"))
    for share in (0.0, 0.5, 1.0):
        clock[0] += 300 if share else 0
        progress.note(RowStepped(2, "a.png", 0, 60, share, 1.0))
    progress.note(RowEnded(2, "a.png", "done", 1.0))
    _update(ARTIFACT, progress, "night-progress")
    progress.note(RowEnded(3, "b.png", "done", 1.0))
    _update(ARTIFACT, progress, "night-progress")
    assert shown == [
        (0.0, "night-progress", "0 of 2 rows ended"),
        (ARTIFACT, 50.0, "1 of 2 rows ended, about 10 min left"),
        (ARTIFACT, 100.0, "2 of 2 rows ended"),
    ]
