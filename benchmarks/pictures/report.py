"""What the scores say: medians by nature, and the pairs that became better or worse."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks.bench.words import joined, table
from benchmarks.pictures.rendering import Rendered, title

EQUAL = 0.02
"""Scores that differ by less than this count as equal: nobody sees such a difference."""

Verdict = Literal["better", "worse", "mixed", "equal"]


class RecordsError(ValueError):
    """A file of records cannot be used."""


def write(path: Path, found: Iterable[Rendered]) -> None:
    """Write records as lines of JSON, in place of those that the file has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(asdict(one))}\n" for one in found), "utf-8")


def read(path: Path) -> tuple[Rendered, ...]:
    """Return the records of a file that `write` wrote.

    Raises:
        RecordsError: it cannot be read, or has something else in it.
    """
    names = {field.name for field in fields(Rendered)}
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return tuple(Rendered(**{name: line[name] for name in names}) for line in lines)
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise RecordsError(
            f"{path}: found something else ({error}), expected lines that `make pictures` wrote"
        ) from None


def report(found: Mapping[str, Sequence[Rendered]], before: Sequence[Rendered] = ()) -> str:
    """Return Markdown: medians of each candidate, and the differences to earlier records.

    Args:
        found: the records of each candidate, by its name; at least one each.
        before: records to compare with. If there are none, candidates are compared with the first.
    """
    names = [*found]
    parts = [_medians(found)]
    for heading, nature in (
        ("style", lambda one: one.style_nature),
        ("content", lambda one: one.content_nature),
    ):
        parts.append(_by_nature(found, heading, nature))
    compared = names if before else names[1:]
    base = before or found[names[0]]
    parts += [comparison(found[name], base) for name in compared]
    return "\n\n".join(parts) + "\n"


def _medians(found: Mapping[str, Sequence[Rendered]]) -> str:
    lines = [
        (name, len(records), *_scores(records), f"{median(one.seconds for one in records):.0f}")
        for name, records in found.items()
    ]
    return table(("candidate", "pairs", "style", "content", "seconds"), lines)


def _by_nature(
    found: Mapping[str, Sequence[Rendered]], heading: str, nature: Callable[[Rendered], str]
) -> str:
    """Return a table with a line for each nature, and both medians of each candidate."""
    natures = dict.fromkeys(nature(one) for records in found.values() for one in records)
    head = [heading, "pairs"]
    for name in found:
        head += [f"{name}: style", "content"]
    lines = []
    for kind in natures:
        of_kind = [[one for one in records if nature(one) == kind] for records in found.values()]
        line = [kind, str(max(map(len, of_kind)))]
        for records in of_kind:
            line += _scores(records)
        lines.append(line)
    return table(head, lines)


def _scores(records: Sequence[Rendered]) -> list[str]:
    """Return the median style and content score as texts."""
    styles = [one.style_score for one in records if one.style_score is not None]
    contents = [one.content_score for one in records]
    return [f"{median(scores):.2f}" if scores else "" for scores in (styles, contents)]


def comparison(now: Sequence[Rendered], before: Sequence[Rendered]) -> str:
    """Return what changed between two candidates: a sentence, and the pairs that differ."""
    earlier = {(one.content, one.style): one for one in before}
    both = [(one, earlier[one.content, one.style]) for one in now if _pair(one) in earlier]
    if not both:
        return f"{now[0].candidate} and {before[0].candidate} have no pair in common."
    verdicts = [verdict(*pair) for pair in both]
    counts = [
        f"{verdicts.count(kind)} {kind}"
        for kind in ("better", "worse", "mixed", "equal")
        if kind in verdicts
    ]
    said = (
        f"{now[0].candidate}, compared with {before[0].candidate}: of {len(both)} pairs, "
        f"{joined(counts)}; medians of the differences: "
        f"style {median(_difference(*pair)[0] for pair in both):+.2f}, "
        f"content {median(_difference(*pair)[1] for pair in both):+.2f}."
    )
    different = [pair for pair, kind in zip(both, verdicts, strict=True) if kind != "equal"]
    if not different:
        return said
    different.sort(key=lambda pair: sum(_difference(*pair)))
    lines = [
        (
            title(one),
            _change(one.style_score, old.style_score),
            _change(one.content_score, old.content_score),
            verdict(one, old),
        )
        for one, old in different
    ]
    return f"{said}\n\n{table(('pair', 'style', 'content', ''), lines)}"


def verdict(now: Rendered, before: Rendered) -> Verdict:
    """Return whether a picture is better: one score is higher, and the other one not lower."""
    differences = _difference(now, before)
    higher = any(one >= EQUAL for one in differences)
    lower = any(one <= -EQUAL for one in differences)
    if higher and lower:
        return "mixed"
    return "better" if higher else "worse" if lower else "equal"


def _difference(now: Rendered, before: Rendered) -> tuple[float, float]:
    """Return the differences of the style scores (0 if there is none) and the content scores."""
    styles = (now.style_score, before.style_score)
    style = 0.0 if None in styles else round(styles[0] - styles[1], 4)  # type: ignore[operator]
    return style, round(now.content_score - before.content_score, 4)


def _change(now: float | None, before: float | None) -> str:
    if now is None or before is None:
        return ""
    return f"{before:.2f} to {now:.2f} ({now - before:+.2f})"


def _pair(one: Rendered) -> tuple[str, str]:
    return one.content, one.style
