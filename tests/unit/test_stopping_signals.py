"""Ctrl-C, and more of it."""

import signal

import pytest

from flows.commands import run
from flows.exit_codes import INTERRUPTED
from flows.terminal import Terminal


def test_the_first_stops_the_second_waits_the_third_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(run, "_end_at_once", ended.append)
    before = signal.getsignal(signal.SIGINT)
    with run.interrupted_by_signals(Terminal()):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert "stopping; the best picture so far" in capsys.readouterr().err
        signal.raise_signal(signal.SIGTERM)
        assert "still stopping; once more ends it at once" in capsys.readouterr().err
        assert ended == []
        signal.raise_signal(signal.SIGINT)
        assert ended == [INTERRUPTED]
    assert signal.getsignal(signal.SIGINT) is before
