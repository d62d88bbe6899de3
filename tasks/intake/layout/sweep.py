"""Settings of laid-out rows: one value is for all rows, and several values are a sweep."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, get_args

from pydantic import ValidationError

from nst_core.transfer.allowed import expected_by
from nst_core.transfer.presets import Overrides, resolve, setting_schemas
from tasks.intake.layout.errors import LayoutError
from tasks.intake.rows import check_layers

SEPARATOR = ","


@dataclass(frozen=True)
class Sweep:
    """The values of settings.

    Attributes:
        values: by name, in the order of the settings; each value is a cell of a manifest.
        doubts: what may mean something else than it says, for people.
    """

    values: Mapping[str, tuple[str, ...]]
    doubts: tuple[str, ...] = ()

    @property
    def varied(self) -> tuple[str, ...]:
        """The names of the settings that have several values."""
        return tuple(name for name, values in self.values.items() if len(values) > 1)

    def choices(self) -> Iterator[dict[str, str]]:
        """Yield every combination of values, by name; the last setting changes the fastest."""
        for values in product(*self.values.values()):
            yield dict(zip(self.values, values, strict=True))

    def __str__(self) -> str:
        """Return what varies, for people, such as `style-weight 1, 3, 10`."""
        varied = ((name, self.values[name]) for name in self.varied)
        return "; ".join(f"{option_of(name)} {', '.join(values)}" for name, values in varied)


def option_of(name: str) -> str:
    """Return the name of a setting as options and names of results have it."""
    return name.replace("_", "-")


def read_sweep(typed: Mapping[str, Sequence[str | bool]]) -> Sweep:
    """Return the values that were typed, in the order of the settings, and in one form.

    A comma separates values of numbers, switches and choices. It never separates the values of
    settings that are texts of their own, such as layers with weights; several of them are several
    texts.

    Args:
        typed: by the name of a setting, its texts.

    Raises:
        LayoutError: a value cannot be used, or is named twice; the message lists all such values.
    """
    values: dict[str, tuple[str, ...]] = {}
    wrong: list[str] = []
    for name in Overrides.model_fields:
        if not (texts := typed.get(name)):
            continue
        parts = [part for text in texts for part in _parts(name, text)]
        found = [_read(name, part, wrong) for part in parts]
        if len(set(found)) < len(found) and not wrong:
            twice = next(value for value in found if found.count(value) > 1)
            wrong.append(f"--{option_of(name)}: {twice!r} is named twice; name each value once")
        values[name] = tuple(found)
    doubts = tuple(_doubts(typed))
    if wrong:
        raise LayoutError("\n".join([*wrong, *doubts]))
    sweep = Sweep(values, doubts)
    _check_layers(sweep)
    return sweep


def _doubts(typed: Mapping[str, Sequence[str | bool]]) -> Iterator[str]:
    """Yield what two values such as `0,5` are, which may be one number with a decimal comma."""
    for name, texts in typed.items():
        match = re.fullmatch(r"0,(\d+)", str(texts[0])) if len(texts) == 1 else None
        if match and not is_text(name):
            one = f"0.{match[1]}"
            # No decimal number is meant for a setting that has only whole ones.
            if not _is_wrong(name, one):
                yield f"{texts[0]} is two values, 0 and {match[1]}; for one number, write {one}"


def _is_wrong(name: str, text: str) -> bool:
    wrong: list[str] = []
    _read(name, text, wrong)
    return bool(wrong)


def _parts(name: str, text: str | bool) -> list[str]:
    if isinstance(text, bool):
        return ["true" if text else "false"]
    return [text] if is_text(name) else [part.strip() for part in text.split(SEPARATOR)]


def is_text(name: str) -> bool:
    """Return whether a setting's value is a text of its own, in which a comma may occur."""
    return _has_text(Overrides.model_fields[name].annotation)


def _has_text(hint: object) -> bool:
    return hint is str or any(map(_has_text, get_args(hint)))


def _read(name: str, text: str, wrong: list[str]) -> str:
    """Return a value in the form of a cell; add to the list why it cannot be used."""
    try:
        return cell_of(Overrides.model_validate({name: text}).model_dump()[name])
    except ValidationError as error:
        expected = expected_by(error.errors()[0], setting_schemas()[name])
        wrong.append(f"--{option_of(name)}: found {text!r}; {expected}")
        return text


def cell_of(value: Any) -> str:
    """Return the value of a setting as the text of a cell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _check_layers(sweep: Sweep) -> None:
    """Refuse layers that an encoder lacks, once for all rows."""
    named = {name: sweep.values[name] for name in sweep.values if name.endswith("_layers")}
    networks = {name: sweep.values[name] for name in ("preset", "encoder") if name in sweep.values}
    for choice in Sweep(networks | named).choices():
        for fault in check_layers(0, resolve(choice), choice):
            raise LayoutError(f"--{option_of(fault.column)}: {fault.expected}")


def one_value(name: str, texts: Sequence[str | bool]) -> str | bool:
    """Return the value of a setting for all rows of a manifest.

    Raises:
        LayoutError: there are several values.
    """
    several = len(texts) > 1 or (not is_text(name) and SEPARATOR in str(texts[0]))
    if several:
        found = ", ".join(map(_shown, texts))
        raise LayoutError(
            f"--{option_of(name)}: found {found}; expected one value, which all rows of a manifest "
            "have; a sweep of several values needs photographs with --style, or the command "
            "nst-batch manifest"
        )
    return texts[0]


def _shown(text: str | bool) -> str:
    return ("off", "on")[text] if isinstance(text, bool) else repr(text)
