"""Names of results that say what rows are: from a template, or from the default one."""

import hashlib
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from nst_core.images.write import formats_by_suffix
from nst_core.transfer.presets import DEFAULT_PRESET, Overrides, resolve
from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.pictures import Content, Style
from tasks.intake.layout.sweep import cell_of, is_text, option_of
from tasks.store.output_names import (
    LONGEST_NAME,
    LONGEST_STEM,
    OTHER_FORMATS,
    OutputError,
    as_one_file,
    checked_output,
    nearest_output,
)

DEFAULT_NAMES = "{folder}/{content}_{style}"
NAMED = ("folder", "content", "style")
LONGEST_VALUE = 32
"""The most characters of a setting's text in a name."""


@dataclass(frozen=True)
class Named:
    """What a name is made from.

    Attributes:
        content, style: those of the row.
        cells: the row's settings.
        varied: the names of the settings that have several values in the batch.
    """

    content: Content
    style: Style
    cells: Mapping[str, str]
    varied: tuple[str, ...]

    def field(self, name: str) -> str:
        """Return the text of a field of a template; only that of a folder may contain `/`."""
        if name == "folder":
            return _folder(self.content.folder)
        if name == "content":
            return _part(self.content.stem)
        return _part(self.style.name) if name == "style" else self._setting(name)

    def _setting(self, name: str) -> str:
        if name not in self.cells and name != "preset":
            return value_in_name(name, cell_of(resolve(self.cells).model_dump()[name]))
        return value_in_name(name, self.cells.get(name, DEFAULT_PRESET))

    @property
    def differences(self) -> str:
        """What distinguishes the row from others of its content and style."""
        parts = (f"_{option_of(name)}-{self._setting(name)}" for name in self.varied)
        return "".join(parts)


@lru_cache(1024)
def _part(text: str) -> str:
    """Return a text as a part of a name, with `_` in place of what no name may contain."""
    whole = text.replace("/", "_").replace("\\", "_")
    return nearest_output(f"{whole}.png").removesuffix(".png")


@lru_cache(1024)
def _folder(text: str) -> str:
    folder = str(PurePosixPath(nearest_output(f"{text}/x.png")).parent)
    return "" if folder == "." else folder


def value_in_name(name: str, cell: str) -> str:
    """Return the value of a setting as names of results say it; different values differ."""
    if cell in ("true", "false") and not is_text(name):
        return "on" if cell == "true" else "off"
    plain = re.sub(r"[^\w.+-]+", "-", cell)[:LONGEST_VALUE].strip("-.")
    if plain == cell:
        return cell
    return f"{plain}-{hashlib.sha256(cell.encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class Template:
    """A template of names, such as `{folder}/{content}_{style}`; the default one if it is empty.

    Raises:
        LayoutError: a field is unknown, or the names would not be inside of the output folder.
    """

    text: str = ""

    def __post_init__(self) -> None:
        if not self.text:
            return
        unknown = [field for _, field in self._parts if field and field not in _fields()]
        if unknown:
            near = get_close_matches(unknown[0].lower(), _fields(), n=1)
            hint = f"did you mean {{{near[0]}}}? " if near else ""
            raise LayoutError(
                f"--names: found the field {{{unknown[0]}}}; {hint}expected {{folder}}, "
                "{content}, {style}, {preset} or any setting, such as {style_weight}"
            )
        sample = "".join(literal + (field and "x") for literal, field in self._parts)
        try:
            checked_output(sample)
        except OutputError as error:
            raise LayoutError(f"--names: found {self.text!r}; {error}") from error

    @cached_property
    def _parts(self) -> list[tuple[str, str]]:
        """The texts of the template, each with the field that follows it, or an empty one."""
        try:
            parsed = [*string.Formatter().parse(self.text or DEFAULT_NAMES)]
        except ValueError as error:
            raise LayoutError(
                f"--names: found {self.text!r}, in which a brace is missing ({error}); expected "
                f"a template such as {DEFAULT_NAMES!r}"
            ) from error
        for _, field, form, conversion in parsed:
            if form or conversion or field == "":
                raise LayoutError(
                    f"--names: found {self.text!r}; expected nothing but the name of a field "
                    "between braces, such as {style}"
                )
        return [(literal, (field or "").strip().replace("-", "_")) for literal, field, *_ in parsed]

    def name(self, row: Named) -> str:
        """Return the name of a row's result, without the extension of its format.

        Raises:
            LayoutError: no result can have the name that the user's template makes.
        """
        if not self.text:
            return _default_name(row)
        text = "".join(
            literal + (row.field(field) if field else "") for literal, field in self._parts
        )
        # A content outside of any folder leaves an empty one.
        path = "/".join(filter(None, text.split("/")))
        try:
            checked_output(path if self._has_ending else _without_ending(path))
        except OutputError as error:
            raise LayoutError(
                f"--names: {row.content.cell} with {row.style.cell} would be {path!r}; {error}"
            ) from error
        return path if self._has_ending else _without_ending(path)

    def lacks(self, one: Named, other: Named) -> list[str]:
        """Return the fields that are not in the template, and that differ between two rows."""
        used = {field for _, field in self._parts}
        fields = [field for field in (*NAMED, *one.varied) if field not in used]
        return [
            field
            for field in fields
            if as_one_file(one.field(field)) != as_one_file(other.field(field))
        ]

    @property
    def _has_ending(self) -> bool:
        """Whether the template itself names a format of results."""
        literal, field = self._parts[-1]
        return not field and PurePosixPath(f"x{literal}").suffix.lower() in formats_by_suffix()


def _fields() -> list[str]:
    return [*NAMED, *Overrides.model_fields]


def _default_name(row: Named) -> str:
    """Return the name that says the folder, the content, the style, and what varies."""
    stem, style = (_cut(row.field(name), LONGEST_STEM) for name in ("content", "style"))
    name = f"{stem}_{style}"
    if len((name + row.differences).encode()) > LONGEST_NAME:
        digest = hashlib.sha256((name + row.differences).encode()).hexdigest()[:12]
        name = f"{_cut(name + row.differences, LONGEST_NAME - 16)}_{digest}"
    else:
        name += row.differences
    path = f"{row.content.folder}/{name}" if row.content.folder else name
    return str(PurePosixPath(nearest_output(f"{_without_ending(path)}.png")).with_suffix(""))


def _without_ending(path: str) -> str:
    """Return a path whose last part does not end like the name of a picture."""
    suffix = PurePosixPath(path).suffix
    if suffix.lower() in (*formats_by_suffix(), *OTHER_FORMATS):
        return f"{path.removesuffix(suffix)}_{suffix[1:]}"
    return path


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore").strip()
