"""`nst-batch watch`: run what is new whenever photographs arrive, for as long as it lives."""

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from flows.cli.commands.run import end, prepare, run_flow
from flows.cli.exit_codes import OUT_OF_TIME, ROWS_FAILED, SUCCESS, UNUSABLE
from flows.cli.layout_options import Asked
from flows.cli.main import end_on_signal
from flows.cli.outcome import Outcome, report_outcome
from flows.cli.preconditions import check_ready
from flows.cli.supervision import STEP_SECONDS
from flows.cli.terminal import Terminal, refuse
from flows.process.signals import signals_answered_by
from nst_core.errors import UserError
from nst_core.storage.places import redacted
from tasks.intake.layout.arrivals import Look, look, whole
from tasks.intake.layout.kept import what_is_kept
from tasks.intake.layout.layout import Layout
from tasks.intake.layout.pictures import find_styles
from tasks.request import BatchRequest
from tasks.request_checks import check_request, limits_of, until_fixed


@dataclass
class Watch:
    """Photographs that are watched, and what became of them so far.

    Attributes:
        terminal: where to say what happens.
        request: what each run is asked to do; its time ends when that of the watch does.
        layout: the rows of the photographs.
        styles: the cells of the styles.
        signals: the signals that asked the watch to stop.
        verbose: see `run`.
        before: the last look at the photographs.
        done: the photographs of the last run, as they were then.
        code: the exit code of the last run.
        outcome: the last run; None if there was none yet.
        said: the last thing that was wrong with a look, so that it is said only once.
    """

    terminal: Terminal
    request: BatchRequest
    layout: Layout
    styles: Collection[str]
    signals: list[int] = field(default_factory=list)
    verbose: bool = False
    before: Look = field(default_factory=dict)
    done: Look = field(default_factory=dict)
    code: int = SUCCESS
    outcome: Outcome | None = None
    said: str = ""

    def step(self) -> bool:
        """Look once, and run what is new and whole; return whether to go on watching."""
        try:
            now = look(
                *(self.layout, self.request.manifest.parent, self.request.output_folder),
                self.styles,
            )
            ready = whole(now, self.before)
            self.before = now
            if not ready.items() - self.done.items():
                return True
            # A photograph that is written again keeps its row until it is whole.
            ready = {**{name: self.done[name] for name in self.done if name in now}, **ready}
            asked = Asked(self.request, replace(self.layout, ready=frozenset(ready)))
            prepare(self.terminal, asked)
        except (UserError, OSError) as error:
            self._say(str(error))
            return True
        return bool(self.signals) or self._run(ready)

    def _run(self, ready: Look) -> bool:
        is_first = self.outcome is None
        outcome = run_flow(self.terminal, self.request, verbose=self.verbose, signals=self.signals)
        # The server that the first run starts serves the later ones, too.
        server = self.outcome.server if self.outcome else None
        self.outcome = outcome._replace(server=outcome.server or server)
        self.code = report_outcome(
            self.terminal, outcome, self.request.output_folder, briefly=not is_first
        )
        if self.code == UNUSABLE and not is_first:
            # For example, somebody repeats failed rows in the same folder at this moment.
            return True
        self.done, self.said = ready, ""
        return self.code in (SUCCESS, ROWS_FAILED)

    @property
    def is_behind(self) -> bool:
        """Whether there are photographs that no run has taken yet."""
        return bool(self.before.items() - self.done.items())

    def _say(self, text: str) -> None:
        if text != self.said:
            self.terminal.fail(text)
        self.said = text


def watch(terminal: Terminal, asked: Asked, *, every: float, verbose: bool) -> int:
    """Watch photographs until a signal or the end of the time; run what is new and whole.

    Args:
        terminal: where to say what happens.
        asked: what was asked for; there is a layout.
        every: the seconds between two looks.
        verbose: let Prefect and TensorFlow write to the terminal instead of a file.

    Returns:
        The exit code of the last run, or that of a watch that began no run.
    """
    request, layout, _ = asked
    assert layout is not None
    watched = Watch(terminal, request, layout, (), verbose=verbose)
    try:
        ends_at = _prepare(watched)
    except (UserError, OSError) as error:
        return refuse(terminal, error)
    names = ", ".join(map(redacted, layout.contents))
    terminal.say(f"watching {names} every {every:g} s; Ctrl-C ends it")

    def ask_to_stop(number: int, _: object) -> None:
        if watched.signals:
            # A storage that does not answer must not keep the process.
            end_on_signal()
        watched.signals.append(number)

    with signals_answered_by(ask_to_stop):
        goes_on = watched.step()
        while goes_on and not watched.signals and (left := ends_at - time.time()) > 0:
            _pause(min(every, left), watched.signals)
            goes_on = bool(watched.signals) or watched.step()
    is_late = goes_on and not watched.signals and watched.is_behind
    code = OUT_OF_TIME if is_late else watched.code
    if watched.outcome:
        end(code, watched.outcome)
    return code


def _pause(seconds: float, signals: list[int]) -> None:
    """Wait until the time is over or a signal has arrived.

    A `threading.Event` would not do: its lock may be held by this thread when a signal arrives, and
    whoever sets it in answer to the signal would wait for this lock forever.
    """
    end = time.monotonic() + seconds
    while not signals and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))


def _prepare(watched: Watch) -> float:
    """Refuse what can never be run, before anything is watched; return when the time is up.

    Raises:
        UserError: something cannot be used.
        OSError: a folder cannot be read.
    """
    request = watched.request
    check_request(request)
    batch = request.completed()
    styles, _ = find_styles(watched.layout.styles, request.manifest.parent)
    watched.styles = {style.cell for style in styles}
    look(watched.layout, request.manifest.parent, batch.output_folder, watched.styles)
    what_is_kept(batch.output_folder)
    check_ready(batch.style_cache, batch.output_folder, batch.devices)
    ends_at = limits_of(request, time.time()).deadline.at
    if ends_at < math.inf:
        # A budget is that of the watch, and not of each run.
        watched.request = until_fixed(request, ends_at).model_copy(update={"budget": None})
    return ends_at
