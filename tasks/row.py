"""A row of a manifest, and the faults of its cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nst_core.storage.places import Place, redacted, whole_place
from nst_core.transfer.allowed import counted
from nst_core.transfer.settings import Settings

REQUIRED = ("content", "style")
INIT = "init"
CONTENT_MASK, STYLE_MASK = "content_mask", "style_mask"
OPTIONAL = (INIT, CONTENT_MASK, STYLE_MASK)
"""The columns that name pictures a row may do without."""
SOURCES = (*REQUIRED, *OPTIONAL)
"""The columns that name pictures; a row without an `init` starts from what its settings say."""
SEQUENCE = "sequence"
FLOW = "flow"
"""The column that names a file of optical flow, from a frame to the frame before it."""
FILES = (*SOURCES, FLOW)
"""The columns that name files."""
PRIORITY = "priority"


@dataclass(frozen=True)
class Fault:
    """One error in a manifest.

    Attributes:
        line: the line of the manifest where the row begins; 0 for an error that concerns all rows.
        column: the column of the cell.
        found: the text of the cell; empty if the cell is empty or missing.
        expected: what is wrong with it, and what is allowed.
    """

    line: int
    column: str
    found: str
    expected: str

    def __post_init__(self) -> None:
        """Redact secrets in URLs, even if a URL is in the header."""
        for name in ("column", "found", "expected"):
            object.__setattr__(self, name, redacted(getattr(self, name)))

    def __str__(self) -> str:
        return self.text(str(self.line))

    def text(self, lines: str) -> str:
        """Return the fault as a line of text, in these lines of the manifest."""
        found = repr(self.found) if self.found else "nothing"
        return f"line {lines}, column {self.column}: found {found}; {self.expected}"


def told_once(faults: Iterable[Fault]) -> list[tuple[Fault, str]]:
    """Return faults with the lines of their rows; one that rows have in common is there once."""
    lines: dict[Fault, list[int]] = {}
    for fault in faults:
        lines.setdefault(replace(fault, line=0), []).append(fault.line)
    return [(fault, lines_text(of_fault)) for fault, of_fault in lines.items()]


def lines_text(lines: Sequence[int]) -> str:
    """Return some lines of a manifest, such as `2`, or `2 and 299 more rows`."""
    more = len(lines) - 1
    return f"{lines[0]} and {counted(more, 'more row')}" if more else str(lines[0])


@dataclass(frozen=True)
class NamedStyle:
    """A style that a row names.

    Attributes:
        place: a picture, or a folder of pictures; relative paths start from the manifest's folder.
        pictures: that picture, or those of the folder.
    """

    place: Place
    pictures: tuple[Place, ...]

    @classmethod
    def of_picture(cls, place: Place) -> "NamedStyle":
        """Return a style that is one picture."""
        return cls(place, (place,))


@dataclass(frozen=True)
class Row:
    """A row of a manifest.

    Attributes:
        line: where the row starts in the file; the header is line 1.
        cells: the text of its cells that are not empty, by column.
        content: where the picture is; relative paths start from the manifest's folder.
        styles: those that the cell names, at least one.
        output: where the picture goes below `pictures/`, with `/` between folders; ends in the
            suffix of its format, such as `.png`.
        settings: from the preset, the batch and the row; the default where there is a fault.
        faults: empty if the row can run.
        priority: rows with a higher number run first; no key or name depends on it.
        init: where the picture is that the row starts from; None if it names none.
        content_mask, style_mask: where the masks are; None if it names none.
        sequence: the name of the moving picture of which the row is a frame; empty if it is none.
        flow: where the flow to the frame before is; None if the row names none.
        in_full: for a preview, the settings of the row; `settings` are then those of the preview.
        is_laid_out: whether the program wrote the row, for photographs and styles that were named.
    """

    line: int
    cells: Mapping[str, str]
    content: Place
    styles: tuple[NamedStyle, ...]
    output: str
    settings: Settings
    faults: tuple[Fault, ...] = ()
    priority: float = 0.0
    init: Place | None = None
    content_mask: Place | None = None
    style_mask: Place | None = None
    sequence: str = ""
    flow: Place | None = None
    in_full: Settings | None = None
    is_laid_out: bool = False

    @property
    def sources(self) -> tuple[tuple[str, Place], ...]:
        """The pictures that the row names, with their columns."""
        styles = [picture for style in self.styles for picture in style.pictures]
        places: dict[str, Sequence[Place | None]] = {
            "content": [self.content],
            "style": styles,
            **{column: [getattr(self, column)] for column in OPTIONAL},
        }
        return tuple(
            (column, place)
            for column, named in places.items()
            for place in named
            if place is not None and column in self.cells
        )

    @property
    def files(self) -> tuple[tuple[str, Place], ...]:
        """The files that the row names, with their columns: its pictures, and its flow."""
        return self.sources if self.flow is None else (*self.sources, (FLOW, self.flow))

    def with_faults(self, faults: Iterable[Fault]) -> "Row":
        """Return the row with additional faults."""
        return replace(self, faults=(*self.faults, *faults))

    def has_fault_in(self, column: str) -> bool:
        """Return whether the cell in this column has a fault."""
        return any(fault.column == column for fault in self.faults)

    def shown(self, column: str) -> str:
        """Return what messages show of a cell: whole paths where nobody has typed the cell."""
        named = {"content": [self.content], "style": [style.place for style in self.styles]}
        if not (self.is_laid_out and column in named and column in self.cells):
            return self.cell(column)
        return redacted("; ".join(str(whole_place(place)) for place in named[column]))

    def cell(self, column: str) -> str:
        """Return a cell's text, redacted."""
        return redacted(self.cells.get(column, ""))
