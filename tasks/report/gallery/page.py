"""The gallery: one page that shows the results of a batch, as a pure function of its rows.

The page loads nothing but the pictures beside it. Its style and script are inside it, and its
Content-Security-Policy allows only these two, by their hashes. It can be read without a script.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nst_core.transfer.losses.terms import LOSS_TERMS
from tasks.report.attention import places_from_worst, score_text
from tasks.report.durations import duration, measured_duration
from tasks.report.gallery.drawn import (
    CURVE_HEIGHT,
    CURVE_WIDTH,
    MINUS,
    breakable,
    curve_lines,
    loss_text,
    share_text,
)
from tasks.report.gallery.in_full import BatchInFull, InFull
from tasks.report.gallery.orders import orders
from tasks.report.shown_terms import MAIN_TERMS, label_of
from tasks.report.table_row import CHANGES, Change
from tasks.report.varied import Value, VariedSetting, what_varies
from tasks.store.statuses import STATUSES, UNDONE, Status

SHOWN_CHANGES = [change for change in CHANGES if change not in ("", "same")]

SCRIPTS = ("choice.js", "lists.js", "view.js", "list.js", "viewer.js")
"""The parts of the page's script in their order; the first three are pure functions."""

LARGEST_ENLARGED = 640
"""Cards are smaller than this, in pixels; a smaller result could be enlarged on them."""


@dataclass(frozen=True)
class Shown:
    """A picture on the page.

    Attributes:
        name: any text.
        thumbnail: URL of a small version, relative to the page; empty if there is none.
        whole: URL of the picture at full size, relative to the page; empty if there is none.
        file: URL of the file to download, if that is another one, because browsers do not show it.
    """

    name: str
    thumbnail: str = ""
    whole: str = ""
    file: str = ""


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
        settings: those that may vary between rows, by name; empty if they are not known.
        in_full: what the row of a preview would take in full; None on other pages.
        result: None if there is no picture; for an `interrupted` row, the best picture so far.
        width, height: the size of the result, in pixels.
        term_losses: the loss terms before their weights, by name.
        style_score, content_score: as docs/scores.md explains them.
        previous_loss: the total loss in the previous run.
        change: the change since the previous run; empty if there is nothing to compare with.
        warnings: what is odd about the row although it is done; usually empty.
        degraded: how the picture differs from what was asked for, for lack of memory; else empty.
        loss_note: why the losses are not like those of other rows; usually empty.
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
    loss_note: str = ""
    style_score: float | None = None
    content_score: float | None = None
    curve: tuple[tuple[float, ...], ...] = ()
    curve_file: str = ""
    styles: tuple[Shown, ...] = ()
    blend: str = ""
    settings: Mapping[str, Value] = field(default_factory=dict)
    in_full: InFull | None = None

    @property
    def is_small(self) -> bool:
        """Whether a card could show the result larger than its pixels."""
        return max(self.width or 0, self.height or 0) < LARGEST_ENLARGED

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
        title: the name of the manifest or of the output folder.
        made_at: when the batch ended, with a time zone.
        gone: outputs that the previous run had and this manifest does not.
        compared_with: when the previous run ended; None if there is nothing to compare with.
        table_file, contact_sheet: URLs relative to the page; the latter may be empty.
        preview: what the whole batch would take, if the rows are previews; otherwise None.
    """

    title: str
    made_at: datetime
    rows: tuple[GalleryRow, ...]
    gone: tuple[str, ...] = ()
    compared_with: datetime | None = None
    table_file: str = "summary.csv"
    contact_sheet: str = ""
    preview: BatchInFull | None = None

    @property
    def varied(self) -> tuple[VariedSetting, ...]:
        """The settings that vary between the rows."""
        return what_varies(row.settings for row in self.rows)

    @property
    def sorts(self) -> dict[str, str]:
        """The orders of rows, by their names in the page's URL, with what they are called."""
        return orders(self.varied, has_scores=bool(self.looks), is_preview=bool(self.preview))

    @property
    def looks(self) -> dict[int, float]:
        """The place of each row that has scores in the order in which to look at them, by line."""
        places = places_from_worst([(row.style_score, row.content_score) for row in self.rows])
        pairs = zip(self.rows, places, strict=True)
        return {row.line: place for row, place in pairs if place is not None}

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
    style, script = _part("gallery.css"), "".join(['"use strict";\n', *map(_part, SCRIPTS)])
    environment = Environment(
        loader=PackageLoader("tasks.report.gallery", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breakable": breakable,
        "loss": loss_text,
        "label": lambda term: f"{label_of(term)} loss",
        "duration": measured_duration,
        "estimate": duration,
        "share": share_text,
        "score": lambda score: score_text(score).replace("-", MINUS),
    }
    return environment.get_template("gallery.html.jinja").render(
        page=page,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        varied=page.varied,
        places_of=_places_of,
        sorts=page.sorts,
        looks=page.looks,
        undone=UNDONE,
        terms=(*MAIN_TERMS, *(term for term in LOSS_TERMS if term not in MAIN_TERMS)),
        style_numbers={name: number for number, name in enumerate(page.styles)},
        curve_lines=curve_lines,
        curve_box=f"0 0 {CURVE_WIDTH} {CURVE_HEIGHT}",
    )


def _places_of(settings: Mapping[str, Value], those: Iterable[VariedSetting]) -> str:
    """Return, as JSON, the place of a row's value of each setting among all values of it."""
    return json.dumps([each.values.index(each.text_of(settings)) for each in those])


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
