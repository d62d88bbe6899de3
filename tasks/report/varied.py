"""What varies between the rows of a batch: settings with several values, as in a sweep."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from nst_core.transfer.presets import Overrides
from tasks.row import Row

Value = str | int | float | bool | None
"""The value of a setting."""

NOTHING = "none"
"""What people see of a setting without a value."""

DEFAULT = "default"
"""What people see of an empty cell for the preset."""


@dataclass(frozen=True)
class VariedSetting:
    """A setting that varies.

    Attributes:
        name: of the setting.
        values: the texts of its values: numbers in their order, other texts as they appear first,
            and `NOTHING` last.
        is_number: whether the values are numbers.
    """

    name: str
    values: tuple[str, ...]
    is_number: bool

    @property
    def label(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ")

    def text_of(self, settings: Mapping[str, Value]) -> str:
        """Return the text of its value among a row's settings."""
        return text_of(settings.get(self.name))


def named_settings(rows: Iterable[Row]) -> dict[int, dict[str, Value]]:
    """Return, by line, each row's values of the settings that some row's cells name.

    Settings that no cell names follow from others, as layers from the encoder, and many settings
    from a preset; people need not see them. The values of a preview are those of its row in full.
    A row with a fault in its settings is left out, because its values are not known.
    """
    rows = list(rows)
    names = [name for name in Overrides.model_fields if any(name in row.cells for row in rows)]
    return {
        row.line: _values(row, names)
        for row in rows
        if not any(map(row.has_fault_in, ("(settings)", *Overrides.model_fields)))
    }


def _values(row: Row, names: Iterable[str]) -> dict[str, Value]:
    settings = (row.in_full or row.settings).model_dump()
    values = settings | {"preset": row.cell("preset") or DEFAULT}
    return {name: values[name] for name in names}


def what_varies(settings: Iterable[Mapping[str, Value]]) -> tuple[VariedSetting, ...]:
    """Return the settings that vary.

    Args:
        settings: those of each row, by name; empty for a row whose settings are not known.
    """
    known = [each for each in settings if each]
    names = dict.fromkeys(name for each in known for name in each)
    found = (_varied(name, [each.get(name) for each in known]) for name in names)
    return tuple(each for each in found if each)


def _varied(name: str, values: Sequence[Value]) -> VariedSetting | None:
    given = [each for each in dict.fromkeys(values) if text_of(each) != NOTHING]
    numbers = [each for each in given if _is_number(each)]
    is_number = len(numbers) == len(given)
    in_order = sorted(numbers) if is_number else given
    without = [NOTHING] if NOTHING in map(text_of, values) else []
    texts = tuple(dict.fromkeys([*map(text_of, in_order), *without]))
    return VariedSetting(name, texts, is_number) if len(texts) > 1 else None


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def text_of(value: Value) -> str:
    """Return the text of a setting's value as people write it."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
