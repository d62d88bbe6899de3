"""The gallery: one page that shows the results of a batch, as a pure function of its rows.

The page loads nothing but the pictures beside it. Its style and script are inside it, and its
Content-Security-Policy allows only these two, by their hashes. It can be read without a script.
"""

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nst_core.transfer.losses.terms import LOSS_TERMS
from tasks.report.durations import measured_duration
from tasks.report.shown_terms import MAIN_TERMS, label_of
from tasks.report.table_row import CHANGES, Change
from tasks.store.curves import thinned
from tasks.store.statuses import STATUSES, UNDONE, Status

CURVE_WIDTH, CURVE_HEIGHT = 120, 32
MOST_CURVE_POINTS = 40
"""The most points of an octave; more than there are pixels would only make the page longer."""

SHOWN_CHANGES = [change for change in CHANGES if change not in ("", "same")]

SORTS = {
    "listed": "not done first",
    "line": "line",
    "loss-down": "highest loss first",
    "loss-up": "lowest loss first",
    "seconds-down": "slowest first",
    "seconds-up": "quickest first",
    "moved-down": "largest change of loss first",
}
"""The sort orders, by their names in the page's URL; `gallery.js` knows them, too."""


@dataclass(frozen=True)
class Shown:
    """A picture on the page.

    Attributes:
        name: any text.
        thumbnail: URL of a small version, relative to the page; empty if there is none.
        whole: URL of the picture at full size, relative to the page; empty if there is none.
    """

    name: str
    thumbnail: str = ""
    whole: str = ""


@dataclass(frozen=True)
class GalleryRow:
    """A row of the manifest on the page; numbers that do not exist are None.

    Attributes:
        line: its line in the manifest.
        output: the name of the result, with `/` between folders.
        content: the content; `whole` shows it at the size of the result.
        style: the first style, with the names of all.
        styles: the styles that have a weight, each with its own name; empty if the row names one.
        blend: the weights of the styles, as text; empty if there are none.
        result: None if there is no picture; for an `interrupted` row, the best picture so far.
        width, height: the size of the result, in pixels.
        term_losses: the loss terms before their weights, by name.
        previous_loss: the total loss in the previous run.
        change: the change since the previous run; empty if there is nothing to compare with.
        warnings: what is odd about the row although it is done; usually empty.
        degraded: how the picture differs from what was asked for, for lack of memory; else empty.
        curve: total losses by octave; they jump between octaves.
        curve_file: URL of the CSV file, relative to the page; may be empty.
    """

    line: int
    status: Status
    output: str
    content: Shown
    style: Shown
    result: Shown | None
    width: int | None
    height: int | None
    total_loss: float | None
    term_losses: Mapping[str, float]
    previous_loss: float | None
    change: Change
    seconds: float | None
    steps: int | None
    stop_reason: str
    device: str
    error: str
    warnings: str = ""
    degraded: str = ""
    curve: tuple[tuple[float, ...], ...] = ()
    curve_file: str = ""
    styles: tuple[Shown, ...] = ()
    blend: str = ""

    @property
    def shown_styles(self) -> tuple[Shown, ...]:
        """The styles that have a weight, even if there is only one."""
        return self.styles or (self.style,)

    @property
    def moved(self) -> float | None:
        """The share by which the loss is higher than in the previous run."""
        if not self.previous_loss or self.total_loss is None or self.change in ("", "same"):
            return None
        return self.total_loss / self.previous_loss - 1


@dataclass(frozen=True)
class Page:
    """Everything that the gallery shows.

    Attributes:
        title: the manifest's name.
        made_at: when the batch ended, with a time zone.
        gone: outputs that the previous run had and this manifest does not.
        compared_with: when the previous run ended; None if there is nothing to compare with.
        table_file, contact_sheet: URLs relative to the page; the latter may be empty.
    """

    title: str
    made_at: datetime
    rows: tuple[GalleryRow, ...]
    gone: tuple[str, ...] = ()
    compared_with: datetime | None = None
    table_file: str = "summary.csv"
    contact_sheet: str = ""

    @property
    def rows_to_show(self) -> list[GalleryRow]:
        """The rows in the page's order: first those that are not done, then by line."""
        order = {status: place for place, status in enumerate(UNDONE)}
        return sorted(self.rows, key=lambda row: (order.get(row.status, len(order)), row.line))

    @property
    def statuses(self) -> dict[str, int]:
        """The number of rows for each status that occurs."""
        counts = Counter(row.status for row in self.rows)
        return {status: counts[status] for status in STATUSES if counts[status]}

    @property
    def changes(self) -> dict[str, int]:
        """The number of rows for each change that occurs."""
        counts = Counter(row.change for row in self.rows)
        return {change: counts[change] for change in SHOWN_CHANGES if counts[change]}

    @property
    def styles(self) -> dict[str, int]:
        """The number of rows for each style, in alphabetical order."""
        return dict(sorted(Counter(row.style.name for row in self.rows).items()))

    @property
    def with_warnings(self) -> int:
        """The number of rows with warnings."""
        return sum(bool(row.warnings) for row in self.rows)

    @property
    def with_picture(self) -> int:
        """The number of rows that have their result."""
        return sum(row.status not in UNDONE for row in self.rows)


def render(page: Page) -> str:
    """Return the page as HTML."""
    style, script = _part("gallery.css"), _part("gallery.js")
    environment = Environment(
        loader=PackageLoader("tasks.report.gallery", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "loss": loss_text,
        "label": label_of,
        "duration": measured_duration,
        "share": share_text,
    }
    return environment.get_template("gallery.html.jinja").render(
        page=page,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        sorts=SORTS,
        undone=UNDONE,
        main_terms=MAIN_TERMS,
        other_terms=[term for term in LOSS_TERMS if term not in MAIN_TERMS],
        style_numbers={name: number for number, name in enumerate(page.styles)},
        curve_lines=curve_lines,
        curve_box=f"0 0 {CURVE_WIDTH} {CURVE_HEIGHT}",
    )


def _part(name: str) -> str:
    return (resources.files("tasks.report.gallery") / "template" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    # In a page that is opened as a file, `self` matches nothing, and the pictures are files, too.
    return (
        f"default-src 'none'; img-src 'self' file:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def curve_lines(octaves: Sequence[Sequence[float]]) -> list[str]:
    """Return the points of one SVG line for each octave, with losses on a logarithmic scale.

    Args:
        octaves: losses by octave; those that are not positive and finite are left out.
    """
    shown = [
        thinned([loss for loss in octave if 0 < loss < math.inf], MOST_CURVE_POINTS)
        for octave in octaves
    ]
    levels = [[math.log(loss) for loss in octave] for octave in shown]
    everything = [level for octave in levels for level in octave]
    if len(everything) < 2:
        return []
    lowest, highest = min(everything), max(everything)
    across = CURVE_WIDTH / (len(everything) - 1)
    down = (CURVE_HEIGHT - 2) / ((highest - lowest) or 1)
    lines, before = [], 0
    for octave in levels:
        places = [
            f"{(before + number) * across:.1f},{1 + (highest - level) * down:.1f}"
            for number, level in enumerate(octave)
        ]
        lines.append(" ".join(places))
        before += len(octave)
    return [line for line in lines if line]


def loss_text(loss: float | None) -> str:
    """Return a loss with three significant digits, in short form."""
    return "" if loss is None else f"{loss:.3g}"


def share_text(share: Any) -> str:
    """Return a share such as `+12%`, with a true minus sign."""
    digits = 0 if abs(share) >= 0.1 else 1
    return f"{share:+.{digits}%}".replace("-", "\N{MINUS SIGN}")
