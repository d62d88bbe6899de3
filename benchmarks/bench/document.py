"""The generated part of docs/benchmarks.md: between two comments, from a file of records."""

import re
from pathlib import Path

from benchmarks.bench import records
from benchmarks.bench.report import report

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

NOT_YET = "`make bench` writes this part. It has not been run on a quiet machine yet.\n"


def generated(path: Path | None) -> str:
    """Return the part that a file of records leads to; None if nothing was measured."""
    if path is None:
        return NOT_YET
    source = f"The numbers are in `benchmarks/results/{path.name}`, a line for each process.\n"
    return f"{report(records.read(path))}\n{source}"


def generated_part(text: str) -> str:
    """Return what a document has between the comments.

    Raises:
        ValueError: it does not have both comments, once each and in this order.
    """
    if [text.count(mark) for mark in (BEGIN, END)] != [1, 1] or text.find(BEGIN) > text.find(END):
        raise ValueError(f"expected {BEGIN} and {END} once each, in this order")
    return text.partition(BEGIN)[2].partition(END)[0]


def source_of(text: str) -> str | None:
    """Return the name of the file that a document's part was made from; None if there is none."""
    found = re.search(r"`benchmarks/results/([^`/]+\.jsonl)`", generated_part(text))
    return found[1] if found else None


def write_into(document: Path, path: Path) -> None:
    """Replace the generated part of a document, or write a new document that has nothing else."""
    text = document.read_text("utf-8") if document.exists() else f"{BEGIN}\n{END}\n"
    old = f"{BEGIN}{generated_part(text)}{END}"
    document.write_text(text.replace(old, f"{BEGIN}\n{generated(path)}{END}"), "utf-8")
