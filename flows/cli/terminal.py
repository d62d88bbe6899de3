"""The output of the command line: rich on a terminal, plain lines in a pipe, JSON for machines."""

import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from flows.cli.exit_codes import UNUSABLE
from flows.cli.typed import Typed
from tasks.report.durations import duration as duration

STYLES = {
    "done": "green",
    "cached": "cyan",
    "new": "green",
    "ok": "green",
    "warning": "yellow",
    "invalid": "bold yellow",
    "failed": "bold red",
    "error": "bold red",
}


ANY_WIDTH = 100_000


class Terminal:
    """Standard output for results, and standard error for what goes wrong.

    Args:
        as_json: print the result as one JSON value on standard output, and nothing else there.
        is_quiet: print nothing on standard output but that value.
        typed: places that are shown as they were typed, but in JSON, which others read elsewhere.
    """

    def __init__(
        self, *, as_json: bool = False, is_quiet: bool = False, typed: Typed | None = None
    ) -> None:
        self.as_json = as_json
        self.is_quiet = is_quiet or as_json
        self.console = Console(soft_wrap=True, highlight=False, quiet=self.is_quiet)
        self.typed = typed or Typed()
        self.errors = Console(stderr=True, soft_wrap=True, highlight=False)

    @property
    def is_rich(self) -> bool:
        """Whether a person is likely to be watching, at a terminal that can be drawn on."""
        console = self.console
        return console.is_terminal and not console.is_dumb_terminal and not self.is_quiet

    def say(self, text: str = "", style: str = "") -> None:
        """Print a line for people; on a terminal, it is wrapped between words only."""
        shown = self._shown(text)
        if self.is_rich:
            shown = in_lines(shown, self.console)
        self.console.print(Text(shown, style=style))

    def verbatim(self, text: str) -> None:
        """Print text whose lines must stay as they are, such as that of a file."""
        self.console.print(Text(printable(text)), end="")

    def fail(self, text: str) -> None:
        """Print an error that the user can fix, on standard error."""
        shown = self._shown(text)
        shown = in_lines(shown, self.errors)
        line = Text(shown, style="bold red" if self.errors.is_terminal else "")
        # If both are the same terminal, only the console knows what is drawn there.
        (self.console if self.is_rich and self.errors.is_terminal else self.errors).print(line)

    def result(self, value: Any) -> None:
        """Print the command's result as JSON, if the user asked for it."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, indent=2, default=str, allow_nan=False) + "\n")

    def table(self, rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
        """Print rows with equal columns: on a terminal as a table, else as tab-separated lines."""
        if not rows or self.is_quiet:
            return
        if not self.is_rich:
            for row in (list(rows[0]), *(row.values() for row in rows)):
                # Rich would replace the tabs of a text with spaces.
                line = "\t".join("" if cell is None else self._in_a_cell(str(cell)) for cell in row)
                self.console.print(Segments([Segment(line), Segment.line()]))
            return
        if title:
            self.say(f"\n{title}", style="bold")
        drawn = self._drawn(rows)
        # In a narrower table, names would be broken in the middle of a word.
        unlimited = self.console.options.update(width=ANY_WIDTH)
        if self.console.measure(drawn, options=unlimited).minimum <= self.console.width:
            self.console.print(drawn, soft_wrap=False)
        else:
            self._list(rows)

    def facts(self, named: Mapping[str, str], title: str) -> None:
        """Print facts on a terminal, each with its name in front, or above it if it is long."""
        self.say(f"\n{title}", style="bold")
        names = max(map(len, named)) + 2
        for name, fact in named.items():
            text, room = self._shown(fact), self.console.width - names
            if max(map(len, text.split()), default=0) <= room:
                line = _wrapped(f"{name:{names}}{text}", self.console.width, " " * names)
            else:
                line = f"{name}\n{_wrapped(f'  {text}', self.console.width)}"
            self.console.print(Text(line))

    def _list(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print each row as lines, with the name of the column in front of each cell."""
        width = max(map(len, rows[0])) + 2
        for row in rows:
            self.console.print()
            for name, cell in row.items():
                if cell not in (None, ""):
                    text = self._shown(str(cell))
                    line = _wrapped(f"{name:{width}}{text}", self.console.width, " " * width)
                    self.console.print(Text(line, style=STYLES.get(text, "")))

    def _drawn(self, rows: Sequence[Mapping[str, Any]]) -> Table:
        drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for name in rows[0]:
            # A path that is cut short is useless.
            drawn.add_column(name, overflow="fold")
        for row in rows:
            cells = ["" if cell is None else self._shown(str(cell)) for cell in row.values()]
            drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
        return drawn

    def _in_a_cell(self, text: str) -> str:
        return self._shown(" ".join(text.splitlines()).replace("\t", " "))

    def _shown(self, text: str) -> str:
        return printable(self.typed.shown(text))


def in_lines(text: str, console: Console) -> str:
    """Return a text broken between words to the width of a terminal; in a pipe, as it is."""
    if not console.is_terminal:
        return text
    return "\n".join(_wrapped(line, console.width) for line in text.split("\n"))


def _wrapped(line: str, width: int, indent: str = "") -> str:
    """Break a line between words; a terminal shows longer words in two lines, and copies one."""
    blanks = indent or " " * (len(line) - len(line.lstrip(" ")))
    return (
        textwrap.fill(
            line,
            width,
            subsequent_indent=blanks,
            break_long_words=False,
            break_on_hyphens=False,
        )
        if len(line) > width
        else line
    )


def as_error(text: str) -> str:
    """Return what is wrong as people see it; each line begins with `error:`."""
    return "\n".join(f"error: {line}" for line in text.splitlines())


def refuse(terminal: Terminal, error: Exception) -> int:
    """Print why nothing ran, and return the exit code for it."""
    terminal.fail(as_error(str(error)))
    terminal.result({"error": str(error)})
    return UNUSABLE


def printable(text: str) -> str:
    """Escape what could control a terminal in a text such as a file name or a server's answer."""
    return "".join(
        character
        if character.isprintable() or character in "\n\t"
        else character.encode("unicode_escape").decode()
        for character in text
    )
