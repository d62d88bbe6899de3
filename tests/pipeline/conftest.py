"""Batches that take a second, on the server of the session."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect import context
from prefect.client.schemas.objects import State
from prefect.logging.configuration import setup_logging
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from nst_core.transfer.presets import Overrides
from tests.pictures import write_csv, write_picture


@pytest.fixture(scope="module", autouse=True)
def _server(server_url: str) -> Iterator[None]:
    # Every flow would end with a wait for the thread of its heartbeats, of up to a second.
    settings = {PREFECT_API_URL: server_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(settings), pytest.MonkeyPatch.context() as patch:
        # Threads that a test starts have the process's settings, not the temporary ones.
        patch.setattr(context, "GLOBAL_SETTINGS_CONTEXT", context.SettingsContext.get())
        # Otherwise the first flow of a process would do so, and remove pytest's handlers.
        setup_logging()
        yield


# Adam, because TensorFlow takes seconds more to trace each graph of L-BFGS.
QUICK = {"size": 32, "steps": 2, "octaves": 1, "optimizer": "adam"}


@dataclass(frozen=True)
class Batch:
    """A folder with pictures, and the flow run on manifests in it."""

    folder: Path

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def picture(self, name: str, seed: int) -> Path:
        return write_picture(self.folder / name, seed)

    def run(self, *rows: tuple[Any, ...], **options: Any) -> tuple[State, pd.DataFrame]:
        """Run a manifest whose first row is the header; return the final state and the table."""
        from flows.stylize_manifest import stylize_manifest

        settings = QUICK | options.pop("settings", {})
        arguments = {"output": self.output, "cache": self.cache, **options}
        state = stylize_manifest(
            write_csv(self.folder / "m.csv", *rows),
            settings=Overrides(**settings),
            return_state=True,
            **arguments,
        )
        return state, pd.read_csv(arguments["output"] / "summary.csv").set_index("line")


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """Return a batch with contents a, b and styles s, t."""
    batch = Batch(tmp_path)
    for seed, name in enumerate(("a.png", "b.png", "s.png", "t.png")):
        batch.picture(name, seed)
    return batch


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives `style` or `row` for each that is really computed."""
    from nst_core.transfer import stylize
    from nst_core.transfer.styles import statistics

    seen: list[str] = []

    def counting(name: str, function: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            seen.append(name)
            return function(*arguments, **options)

        return counted

    targets = counting("style", statistics.style_targets)
    monkeypatch.setattr(statistics, "style_targets", targets)
    monkeypatch.setattr(stylize, "iterates", counting("row", stylize.iterates))
    return seen


def call_with_iterates(
    patch: pytest.MonkeyPatch,
    each: Callable[[Any], object],
    *,
    only: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> None:
    """Call a function with each iterate of all rows, before the row sees it.

    Args:
        patch: undoes this.
        each: the function.
        only: whether a row counts, by the keyword arguments of `iterates`.
    """
    from nst_core.transfer import stylize

    original = stylize.iterates

    def iterates(*arguments: Any, **options: Any) -> Any:
        iterator = original(*arguments, **options)
        while True:
            try:
                iterate = next(iterator)
            except StopIteration as stop:
                return stop.value
            if only(options):
                each(iterate)
            yield iterate

    patch.setattr(stylize, "iterates", iterates)
