"""Write the tables of docs/options.md, which follow from the declaration in tasks/request.py.

    python tools/write_options.py docs/options.md

The text above the mark in that file stays; everything below it is rewritten.
"""

import sys
from pathlib import Path
from typing import Any

from tasks.option import Option, options_of
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
    schema = schemas()[option.name]
    # The schema of an optional field allows one type, or null.
    schema = next(iter(schema.get("anyOf", [schema])))
    if "allowed" in schema:
        return str(schema["allowed"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "boolean":
        return "on, off"
    if schema["type"] == "string":
        return "path" if schema.get("format") == "path" else "text"
    return number(schema)


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas of all fields of a request, and of its settings, by name."""
    schema = BatchRequest.model_json_schema()
    return {**schema["properties"], **schema["$defs"]["Overrides"]["properties"]}


def number(schema: dict[str, Any]) -> str:
    """Return the numbers that a schema allows, such as `integer from 16 to 8192`."""
    text = "integer" if schema["type"] == "integer" else "number"
    if "multipleOf" in schema:
        text = f"multiple of {schema['multipleOf']}"
    words = {
        "minimum": " from" if "maximum" in schema else ", at least",
        "exclusiveMinimum": " above",
        "maximum": " to" if "minimum" in schema else ", at most",
        "exclusiveMaximum": ", below",
    }
    return text + "".join(
        f"{word} {schema[key]:.10g}" for key, word in words.items() if key in schema
    )


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text("utf-8")), "utf-8")
