"""Signals that arrive before the flow runs, and while a watch waits."""

import itertools
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cli.commands.watch import _pause
from flows.cli.supervision import run_supervised
from flows.cli.terminal import Terminal
from flows.process.signals import signals_answered_by
from tasks.stopping import raise_if_asked_to_stop

NOTHING_YET: Any = SimpleNamespace(
    rows_are_known=False, table_written=False, gallery="", stop=lambda: None
)


def work() -> str:
    for _ in range(100):
        raise_if_asked_to_stop()
        time.sleep(0.1)
    return "everything"


def test_a_signal_that_arrived_before_the_flow_stops_it() -> None:
    outcome = run_supervised(work, NOTHING_YET, Terminal(), [signal.SIGTERM])
    assert isinstance(outcome.result, KeyboardInterrupt)
    assert outcome.is_over


@pytest.mark.parametrize("moment", range(8))
def test_a_pause_ends_whenever_a_signal_arrives(moment: int) -> None:
    """The signal arrives before a line of the pause, or of what it calls, is executed."""
    signals: list[int] = []
    lines, before = itertools.count(), sys.gettrace()

    def trace(_: object, event: str, __: object) -> object:
        if event == "line" and next(lines) == moment:
            signal.raise_signal(signal.SIGTERM)
        return trace

    with signals_answered_by(lambda number, _: signals.append(number)):
        begun = time.monotonic()
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            _pause(60, signals)
        finally:
            sys.settrace(before)
    assert signals == [signal.SIGTERM]
    assert time.monotonic() - begun < 30
