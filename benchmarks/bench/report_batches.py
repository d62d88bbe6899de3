"""The sections about whole commands: rows an hour, overhead and start."""

import re
from collections.abc import Sequence

from benchmarks.bench.records import Record, of_part
from benchmarks.bench.words import bullets, seconds, share, table

STARTS = {
    "help": "`nst-batch --help`",
    "done": "A batch that is done",
    "first step": "A new batch, up to the first ten steps of its first row,",
}
"""What each kind of process in `benchmarks/start.py` is, as the beginning of a sentence."""


def rows(records: Sequence[Record]) -> str:
    """Return how many rows an hour whole commands make."""
    found = of_part(records, "rows")
    if not found:
        return ""
    lines, sentences = [], []
    for one in found:
        an_hour = 3600 * one["rows"] / one["seconds"]
        of_rows = min(1.0, one["seconds_of_rows"] / one["seconds"])
        case = f"{count(one['styles'], 'style')} x {count(one['contents'], 'content')}"
        times = (seconds(one["seconds"]), seconds(one["again"]))
        lines.append([case, times[0], f"{an_hour:.0f}", share(of_rows), times[1]])
        sentences.append(
            f"{case}, at {one['side']} px with the preset {one['preset']}: {an_hour:.0f} rows an "
            f"hour, with the start and the end of the command. The rows themselves are "
            f"{share(of_rows)} of its time, so without anything else it would make "
            f"{an_hour / of_rows:.0f}. The same command with nothing left to do takes {times[1]} s."
        )
    text = (
        "The real command, `nst-batch run`, with Prefect's embedded server, from an empty output "
        "folder and an empty cache."
    )
    if len(found) == 2:
        both = [one["rows"] / one["seconds"] for one in found]
        sentences.append(f"The rate of the second is {both[1] / both[0]:.2f} of the first's.")
    head = ("rows", "seconds", "rows an hour", "of it in rows", "seconds when all is done")
    return f"{text}\n\n{table(head, lines)}\n\n{bullets(sentences)}"


def count(number: int, name: str) -> str:
    """Return a number with a noun."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def overhead(records: Sequence[Record]) -> str:
    """Return what a row costs whose stylizer does nothing."""
    found = of_part(records, "overhead")
    if not found:
        return ""
    lines, sentences = [], []
    for one in found:
        for night in one["lines"]:
            if "failed" in night:
                continue
            each = 1e3 * night["seconds"] / night["rows"]
            line = [f"{night['rows']:,}", night["night"], seconds(night["seconds"])]
            lines.append([*line, f"{each:.1f}", f"{night['peak_mb']:.0f}"])
            sentences.append(
                f"{night['rows']:,} rows, {night['night']} run: {each:.1f} ms a row, with the "
                "start of the flow."
            )
    text = (
        "`python benchmarks/many_rows.py` runs the flow with a stylizer that does nothing; in the "
        "second run, all rows are done."
    )
    head = ("rows", "run", "seconds", "milliseconds a row", "peak memory, MB")
    return f"{text}\n\n{table(head, lines)}\n\n{bullets(sentences)}" if lines else ""


def start(records: Sequence[Record]) -> str:
    """Return the tables of `benchmarks/start.py`, with a sentence on each."""
    found = of_part(records, "start")
    if not found:
        return ""
    tables, sentences = found[-1]["markdown"], []
    kind = ""
    for line in tables.splitlines():
        if match := re.match(r"\| ([^:|]+): (\d+) modules", line):
            kind = match[1]
        elif match := re.match(r"\| in all \| ([\d.]+) \| ([\d.]+) \|", line):
            sentences.append(
                f"{STARTS.get(kind, kind)} takes {seconds(float(match[1]))} s, and "
                f"{seconds(float(match[2]))} s of a CPU."
            )
    text = "`python benchmarks/start.py` measures where the seconds of a start go."
    return f"{text}\n\n{tables}" + (f"\n\n{bullets(sentences)}" if sentences else "")
