"""The settings that vary between the rows of a page."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

Value = str | int | float | bool | None
"""The value of a setting."""

NOTHING = "none"
"""What the page shows for a setting without a value."""

FOLLOWS = {"content_layers": "encoder", "style_layers": "encoder", "match_colors": "color"}
"""Settings that are not worth showing if another one decides them, with that other one."""


@dataclass(frozen=True)
class SettingValues:
    """A setting that varies.

    Attributes:
        name: of the setting.
        values: the texts of its values: numbers in their order, other texts in alphabetical order,
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

    @property
    def sorts(self) -> dict[str, str]:
        """The orders of rows by this setting, by their names in the page's URL."""
        ways = (
            {"up": "lowest first", "down": "highest first"}
            if self.is_number
            else {"up": "in order"}
        )
        return {f"setting.{self.name}-{way}": f"{self.label}, {text}" for way, text in ways.items()}


def varied(settings: Sequence[Mapping[str, Value]]) -> tuple[SettingValues, ...]:
    """Return the settings that vary.

    Args:
        settings: those of each row, by name; empty for a row whose settings are not known.
    """
    known = [each for each in settings if each]
    found = (
        _varied(name, known) for name in dict.fromkeys(name for each in known for name in each)
    )
    return tuple(each for each in found if each)


def _varied(name: str, settings: Iterable[Mapping[str, Value]]) -> SettingValues | None:
    values = {each.get(name) for each in settings}
    if len(values) < 2 or _is_decided(name, settings):
        return None
    given = values - {None, ""}
    numbers = [each for each in given if _is_number(each)]
    is_number = len(numbers) == len(given)
    in_order = (
        sorted(numbers) if is_number else sorted(given, key=lambda each: str(each).casefold())
    )
    texts = dict.fromkeys(map(text_of, [*in_order, *(values - given)]))
    return SettingValues(name, tuple(texts), is_number) if len(texts) > 1 else None


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_decided(name: str, settings: Iterable[Mapping[str, Value]]) -> bool:
    """Return whether each value of the setting that it may follow comes with one of its values."""
    if name not in FOLLOWS:
        return False
    pairs = {(each.get(FOLLOWS[name]), each.get(name)) for each in settings}
    return len(pairs) == len({leader for leader, _ in pairs})


def text_of(value: Value) -> str:
    """Return the text of a setting's value as people write it."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def places_of(settings: Mapping[str, Value], those: Iterable[SettingValues]) -> str:
    """Return, as JSON, the place of a row's value of each setting among all values of it."""
    return json.dumps([each.values.index(each.text_of(settings)) for each in those])
