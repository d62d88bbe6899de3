"""Conversion of a row's cells to paths, settings and a name, with the faults found in them.

This is the only place where a row's text becomes anything else, so that any error in a row becomes
that row's own fault.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nst_core.images.file_choices import FormatName
from nst_core.networks import CATALOGUE
from nst_core.storage.local import is_file
from nst_core.storage.places import Place, PlaceError, join, may_be_url
from nst_core.transfer.allowed import expected_by
from nst_core.transfer.presets import Overrides, resolve, setting_schemas
from nst_core.transfer.settings import Settings
from tasks.intake.faults import as_fault
from tasks.intake.sheets.decimal_commas import with_points
from tasks.intake.sheets.hints import QUOTE_STYLES, setting_hint
from tasks.intake.styles import OF_BLENDS, blend_faults, read_styles
from tasks.row import (
    FILES,
    FLOW,
    OPTIONAL,
    PRIORITY,
    REQUIRED,
    SEQUENCE,
    Fault,
    Row,
)
from tasks.store.output_names import OutputError, checked_output, format_of, suffix_of
from tasks.store.style_cells import SEPARATOR

COLUMNS = (*REQUIRED, "output", *Overrides.model_fields, *OPTIONAL, SEQUENCE, FLOW, PRIORITY)
LONGEST_CELL = 8192
"""The longest cell in characters; paths and URLs are shorter on every system."""


class Cells(NamedTuple):
    """The texts of a row.

    Attributes:
        line: where the row begins.
        texts: of the cells that are not empty, by column, unchanged; those without a column are
            under `""`.
        separator: what separates cells in the manifest; empty if it is no text.
    """

    line: int
    texts: dict[str, str]
    separator: str = ","

    def number(self, text: str) -> str:
        """Return the text of a setting or a priority, with points in decimal numbers."""
        # Where commas separate cells, another one may mean two numbers, or a missing quote.
        return text if self.separator == "," else with_points(text)

    @property
    def has_decimal_commas(self) -> bool:
        """Whether a number in it has a decimal comma, and is read with a point instead."""
        of_numbers = (*Overrides.model_fields, PRIORITY)
        return self.separator != "," and any(
            self.number(text) != text for name, text in self.texts.items() if name in of_numbers
        )


def read_row(folder: Place, record: Cells, defaults: BaseModel) -> Row:
    """Return a row with the faults that its text alone shows; `output` is empty if it names none.

    Args:
        folder: the folder that relative paths start from.
        record: the texts of the row.
        defaults: `Overrides` for all rows.
    """
    line, faults = record.line, _long_cells(record)
    cells = {name: text for name, text in record.texts.items() if len(text) <= LONGEST_CELL}
    cells = {name: _without_blanks(folder, name, text) for name, text in cells.items()}
    settings = None
    with as_fault(faults, line, "(settings)", ""):
        settings, wrong = _read_settings(record, cells, defaults)
        faults += [_without_secrets(fault, cells) for fault in wrong]
    faults += [_unknown_column(record, name, cells) for name in cells if name not in COLUMNS]
    faults += _missing_cells(record)
    named = ("content", *(name for name in (*OPTIONAL, FLOW) if name in cells))
    places = {name: _read_place(line, folder, name, cells, faults) for name in named}
    styles = read_styles(line, folder, cells.get("style", ""), faults)
    if settings and not any(fault.column in ("style", *OF_BLENDS) for fault in faults):
        faults += blend_faults(line, settings, len(styles), cells)
    settings = settings or resolve(defaults)
    output = _read_output(line, cells.get("output", ""), settings, faults)
    faults += _format_faults(line, output, cells)
    priority = _read_priority(record, cells.get(PRIORITY, ""), faults)
    # A row without its long cells would be a different row.
    too_long = {
        name: f"({len(record.texts[name]):,} characters)" for name in record.texts.keys() - cells
    }
    return Row(
        line=line,
        cells=cells | too_long,
        styles=styles,
        output=output,
        settings=settings.model_copy(update={"format": format_of(output).name.lower()})
        if output
        else settings,
        faults=tuple(faults),
        priority=priority,
        sequence=cells.get(SEQUENCE, ""),
        in_full=None,
        is_laid_out=False,
        **places,
    )


def _long_cells(record: Cells) -> list[Fault]:
    return [
        Fault(
            record.line,
            name or "(no name)",
            "",
            f"the cell has {len(text):,} characters; expected at most {LONGEST_CELL:,}",
        )
        for name, text in record.texts.items()
        if len(text) > LONGEST_CELL
    ]


def _missing_cells(record: Cells) -> list[Fault]:
    missing = (name for name in REQUIRED if name not in record.texts)
    return [Fault(record.line, name, "", "expected the path of a picture") for name in missing]


def _without_blanks(folder: Place, column: str, text: str) -> str:
    """Return a cell without the blanks around it, unless they belong to the name of a file."""
    if column in FILES and text != text.strip():
        try:
            named = join(folder, text)
            # A folder may have this name, too, if a blank was typed before its slash.
            if is_file(named):
                return text
        except (OSError, ValueError):
            pass
    return text.strip()


def _read_place(
    line: int, folder: Place, column: str, cells: Mapping[str, str], faults: list[Fault]
) -> Place:
    """Return where a picture is; the folder itself if the cell names no place."""
    found = cells.get(column, "")
    with as_fault(faults, line, column, found):
        try:
            return join(folder, found)
        except PlaceError as error:
            faults.append(Fault(line, column, found, str(error)))
    return folder


def _unknown_column(record: Cells, name: str, cells: Mapping[str, str]) -> Fault:
    if name:
        wrong = f"unknown column; {_hint(name)}"
        return Fault(record.line, _shortened(name), cells[name], wrong)
    # If a URL contains an unquoted comma, its key may be in this cell.
    has_url = any(map(may_be_url, cells.values()))
    found = "" if has_url else cells[name]
    wrong = "one cell too many: the header has no name for it"
    if record.separator == SEPARATOR:
        wrong = f"{wrong}; where semicolons separate the cells, {QUOTE_STYLES}"
    return Fault(record.line, "(no name)", found, wrong)


@cache
def _hint(name: str) -> str:
    near = get_close_matches(name.lower(), COLUMNS, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(COLUMNS)}"


def _shortened(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}..."


def _read_settings(
    record: Cells, cells: Mapping[str, str], defaults: BaseModel
) -> tuple[Settings, list[Fault]]:
    line = record.line
    typed = {name: text for name, text in cells.items() if name in Overrides.model_fields}
    values = {name: record.number(text) for name, text in typed.items()}
    try:
        settings = resolve(defaults, values)
    except ValidationError as error:
        wrong = {str(fault["loc"][0]): _expected_by(fault) for fault in error.errors()}
        right = {name: text for name, text in values.items() if name not in wrong}
        settings = resolve(defaults, right)
        faults = [
            Fault(line, name, typed[name], _with_hint(why, record.separator, typed[name]))
            for name, why in wrong.items()
        ]
        return settings, [*faults, *check_layers(line, settings, typed)]
    return settings, check_layers(line, settings, typed)


def _with_hint(why: str, separator: str, text: str) -> str:
    hint = setting_hint(separator, text)
    return f"{why}; {hint}" if hint else why


def _without_secrets(fault: Fault, cells: Mapping[str, str]) -> Fault:
    """Return a setting's fault without its message if that may show a secret part of a URL."""
    if not may_be_url(cells.get(fault.column, "")):
        return fault
    wrong = "expected no URL in this column; check that each cell is in the right column"
    return replace(fault, expected=wrong)


def _expected_by(fault: ErrorDetails) -> str:
    return expected_by(fault, setting_schemas()[str(fault["loc"][0])])


def check_layers(line: int, settings: Settings, values: Mapping[str, str]) -> list[Fault]:
    """Return the faults of layers that the encoder lacks; `values` has the cells that name them."""
    topology = CATALOGUE[settings.encoder].topology
    faults = []
    for column in ("content_layers", "style_layers"):
        try:
            topology.check_taps(getattr(settings, f"{column[:-1]}_weights"))
        except ValueError as error:
            found = values.get(column) or getattr(settings, column)
            faults.append(Fault(line, column, found, str(error)))
    return faults


def _read_output(line: int, text: str, settings: Settings, faults: list[Fault]) -> str:
    """Return the output below `pictures/`; empty if the row names none."""
    if not text:
        return ""
    with as_fault(faults, line, "output", text):
        try:
            return checked_output(text, suffix_of(settings.format))
        except OutputError as error:
            faults.append(Fault(line, "output", text, str(error)))
    return ""


def _format_faults(line: int, output: str, cells: Mapping[str, str]) -> Iterator[Fault]:
    """Yield that the extension of a row's output and its format contradict each other."""
    found = cells.get("format", "")
    if output and found in get_args(FormatName) and found != format_of(output).name.lower():
        wrong = f"the output {output!r} ends like another format; leave one of the two cells empty"
        yield Fault(line, "format", found, wrong)


def _read_priority(record: Cells, text: str, faults: list[Fault]) -> float:
    """Return the row's priority; 0 if the row names none, or none that can be used."""
    if not text:
        return 0.0
    try:
        if math.isfinite(priority := float(record.number(text))):
            return priority
    except ValueError:
        pass
    why = "expected a number; rows with higher numbers run first"
    faults.append(Fault(record.line, PRIORITY, text, _with_hint(why, record.separator, text)))
    return 0.0
