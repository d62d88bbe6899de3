"""What `nst-batch show` prints on a terminal: what is not as usual, and a manifest to copy."""

import io

import pytest
from rich.console import Console

from flows.cli.commands.show import show
from flows.cli.terminal import Terminal
from tests.pipeline.conftest import QUICK, Batch


def shown_at(width: int, batch: Batch, monkeypatch: pytest.MonkeyPatch, *, everything: bool) -> str:
    monkeypatch.setenv("TERM", "xterm")
    written = io.StringIO()
    terminal = Terminal()
    terminal.console = Console(
        file=written, force_terminal=True, width=width, soft_wrap=True, color_system=None
    )
    pictures = sorted((batch.output / "pictures").iterdir())
    assert show(terminal, pictures, [batch.folder], everything=everything) == 0
    return written.getvalue()


def test_a_terminal_shows_what_is_not_as_usual_and_a_manifest_in_whole_lines(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_name = "-".join(["a photograph"] * 8)
    batch.picture(f"{long_name}.png", 3)
    batch.run(("content", "style", "strength"), (f"{long_name}.png", "s.png", 0.5))
    shown = shown_at(40, batch, monkeypatch, everything=False)
    facts, _, manifest = shown.partition("To make it again:\n")
    names = {line.split(" ")[0] for line in facts.splitlines()}
    assert {"content", "style", "content_score", "strength", *QUICK} <= names
    assert not names & {"total_loss", "seed", "beta_2", "encoder", "key"}
    header, row = manifest.splitlines()
    assert header.startswith("content,style,")
    assert long_name in row
    assert row.count(",") == header.count(",")
    whole = shown_at(40, batch, monkeypatch, everything=True)
    assert {"total_loss", "seed", "beta_2", "encoder", "key"} <= {
        line.split(" ")[0] for line in whole.splitlines()
    }
