"""Write the tables of docs/options.md, which follow from the declaration in tasks/request.py.

    python tools/write_options.py docs/options.md

The text above the mark in that file stays; everything below it is rewritten.
"""

import sys
from pathlib import Path

from nst_core.transfer.allowed import allowed as in_words
from nst_core.transfer.allowed import plain_schema
from tasks.option import Option, options_of, schemas_of
from tasks.option_types import Group
from tasks.request import BatchRequest

MARK = "<!-- `make docs` writes what follows. -->\n"

HEADER = ("| option | allowed | default | what it does |", "|---|---|---|---|")


def with_tables(page: str) -> str:
    """Return a page with a section and a table for each group of options below its mark.

    Raises:
        ValueError: the page has no mark.
    """
    text, mark, _ = page.partition(MARK)
    if not mark:
        raise ValueError(f"found no line {MARK!r}; expected one above the tables")
    return text + mark + "".join(map(section, Group))


def section(group: Group) -> str:
    """Return a heading, and the table of a group's options."""
    rows = [row(option) for option in options_of(BatchRequest) if option.group is group]
    return "\n".join(["", f"## {group}", "", *HEADER, *rows, ""])


def row(option: Option) -> str:
    """Return an option as a row of a Markdown table."""
    is_manifest = option.name == "manifest"
    name = "MANIFEST" if is_manifest else f"--{option.name.replace('_', '-')}"
    default = "required" if option.field.is_required() else option.default
    cells = (f"`{name}`", allowed(option), default, option.field.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def allowed(option: Option) -> str:
    """Return the values that an option may have, in words."""
    if option.is_place:
        return "path or URL"
    schema = plain_schema(schemas_of(BatchRequest)[option.name])
    if "enum" in schema and "allowed" not in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return "on, off" if schema.get("type") == "boolean" else in_words(schema)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text("utf-8")), "utf-8")
