"""Signals during a stop that still has something to write."""

import os
import signal
import threading

import pytest

from flows.process.signals import deferring_signals, stop_signals
from tasks.stopping import ask_to_stop, raise_if_asked_to_stop, withdraw_request


def test_the_first_signal_is_deferred_and_the_second_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    before = signal.getsignal(signal.SIGTERM)
    with deferring_signals():
        signal.raise_signal(signal.SIGTERM)
        assert "still stopping; another Ctrl-C or signal ends the process at once" in caplog.text
        assert ended == []
        signal.raise_signal(signal.SIGINT)
        assert ended == [130]
    assert signal.getsignal(signal.SIGTERM) is before


def test_deferring_signals_does_nothing_in_other_threads() -> None:
    seen: list[str] = []

    def work() -> None:
        with deferring_signals():
            seen.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["done"]


def test_a_request_to_stop_is_raised_once() -> None:
    withdraw_request()
    raise_if_asked_to_stop()
    ask_to_stop()
    with pytest.raises(KeyboardInterrupt):
        raise_if_asked_to_stop()
    raise_if_asked_to_stop()
    ask_to_stop()
    withdraw_request()
    raise_if_asked_to_stop()


def test_a_signal_that_is_ignored_from_the_start_stays_ignored() -> None:
    """`nohup` makes a process ignore SIGHUP in this way."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in stop_signals()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} == set(stop_signals())
    finally:
        signal.signal(signal.SIGHUP, before)
