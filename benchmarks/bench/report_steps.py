"""The sections about steps: the limit, time, where it goes, and memory."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from statistics import median

from benchmarks.bench.records import Record, of_part
from benchmarks.bench.words import NETWORKS, bullets, compared, seconds, share, spread, table

OURS = "nst-batch"
PACKAGES = {"numpy": "NumPy", "tensorflow": "TensorFlow", "torch": "PyTorch"}


def matrix(records: Sequence[Record]) -> str:
    """Return the rates of matrix products."""
    rates: dict[str, list[float]] = {}
    for one in of_part(records, "matrix"):
        rates.setdefault(one["package"], []).append(one["rate"] / 1e9)
    if not rates:
        return ""
    middle = {package: median(found) for package, found in rates.items()}
    best = max(middle, key=lambda package: middle[package])
    lines = [
        (PACKAGES[package], f"{middle[package]:.0f}", f"{min(found):.0f} to {max(found):.0f}")
        for package, found in rates.items()
    ]
    sentence = (
        f"The most that this machine reached in products of two float32 matrices of 2048 x 2048 is "
        f"{middle[best]:.0f} billion operations a second, with {PACKAGES[best]}. A step consists "
        "mostly of such products, so the fastest rate is its limit, unless an algorithm needs "
        "fewer of them."
    )
    head = ("with", "GFLOP/s: median", "min to max")
    return f"{table(head, lines)}\n\n{bullets([sentence])}"


def pairs(records: Iterable[Record]) -> Iterator[tuple[str, int, list[tuple[Record, Record]]]]:
    """Yield each network and side with our record and the peer's better one of each round."""
    found = [one for one in records if "who" in one]

    def case(one: Record) -> tuple[str, int]:
        return one["network"], one["side"]

    for (network, side), group in groupby(sorted(found, key=case), key=case):
        rounds: dict[int, list[Record]] = {}
        for one in group:
            rounds.setdefault(one["round"], []).append(one)
        both = []
        for of_round in rounds.values():
            ours = [one for one in of_round if one["who"] == OURS]
            theirs = [one for one in of_round if one["who"] != OURS]
            if ours and theirs:
                both.append((ours[0], min(theirs, key=lambda one: float(one["step"]))))
        yield network, side, both


def ours_at(records: Iterable[Record], network: str, side: int) -> list[Record]:
    """Return our records of a network and a side."""
    return [
        one
        for one in records
        if (one.get("who"), one.get("network"), one.get("side")) == (OURS, network, side)
    ]


def limit(records: Iterable[Record]) -> float:
    """Return the machine's rate of matrix products: the median of the fastest program."""
    rates: dict[str, list[float]] = {}
    for one in records:
        if "rate" in one:
            rates.setdefault(one["package"], []).append(one["rate"])
        elif "matrix_rate" in one:
            rates.setdefault(f"steps of {one['who']}", []).append(one["matrix_rate"])
    return max(map(median, rates.values()), default=float("nan"))


def step(records: Sequence[Record]) -> str:
    """Return the seconds of steps, with ratios and shares of the limit."""
    found, lines, sentences = of_part(records, "step"), [], []
    most = limit(records)
    for network, side, both in pairs(found):
        ours = ours_at(found, network, side)
        if not ours:
            continue
        reached = median(one["operations"] / one["step"] / most for one in ours)
        mine = median(one["step"] for one in ours)
        line: list[object] = [NETWORKS[network], side, seconds(mine)]
        sentence = f"{NETWORKS[network]} at {side} px: a step takes {seconds(mine)} s"
        if both:
            ratios = [one["step"] / other["step"] for one, other in both]
            alone = [one["evaluation"] / other["evaluation"] for one, other in both]
            theirs = median(other["step"] for _, other in both)
            line += [seconds(theirs), both[-1][1]["who"], spread(ratios), spread(alone)]
            sentence += f", {compared(median(ratios), 'time')}"
            difference = max(abs(one["value"] / other["value"] - 1) for one, other in both)
            sentence += f"; both programs' losses at the start agree to {difference:.0e}"
        else:
            line += ["", "", "", ""]
        sentence += f". It reaches {share(reached)} of the machine's rate of matrix products"
        sentence += f", at which the same products take {seconds(mine * reached)} s."
        lines.append([*line, share(reached)])
        sentences.append(sentence)
    if not lines:
        return ""
    head = ["network", "px", "nst-batch: s", "PyTorch: s", "in its faster layout"]
    head += ["ratio of steps", "ratio of evaluations alone", "of the limit"]
    text = (
        "Seconds per evaluation of the loss and its gradient: in steps of L-BFGS (ours, and "
        "`torch.optim.LBFGS` with strong Wolfe line search and the same memory), and alone. Both "
        "programs evaluate the same losses of the same pictures. The limit counts the products of "
        "the convolutions and Gram matrices, forward and backward to the pixels; weights have no "
        "gradients."
    )
    return f"{text}\n\n{table(head, lines)}\n\n{bullets(sentences)}"


def parts(records: Sequence[Record]) -> str:
    """Return what the forward pass, the backward pass and L-BFGS take, for both programs."""
    lines, found = [], of_part(records, "step")
    sentences = []
    for network, side, both in pairs(found):
        ours = [one for one in ours_at(found, network, side) if "forward" in one]
        if not ours:
            continue
        shares = {OURS: ours, "PyTorch": [other for _, other in both]}
        for who, each in shares.items():
            if each:
                lines.append([NETWORKS[network], side, who, *map(share, split(each))])
        forward, backward, optimizer = split(ours)
        largest = max(
            ((forward, "the loss"), (backward, "its gradient"), (optimizer, "L-BFGS itself"))
        )
        sentences.append(
            f"{NETWORKS[network]} at {side} px: the largest part of our time, "
            f"{share(largest[0])}, goes into {largest[1]}; L-BFGS itself takes {share(optimizer)}."
        )
    head = ("network", "px", "program", "loss", "gradient", "L-BFGS")
    return f"{table(head, lines)}\n\n{bullets(sentences)}" if lines else ""


def split(found: Sequence[Record]) -> tuple[float, float, float]:
    """Return the shares of the loss, of its gradient, and of the optimizer in the time of steps."""
    whole = median(one["step"] for one in found)
    forward = min(1.0, median(one["forward"] / one["step"] for one in found))
    evaluation = min(1.0, median(one["evaluation"] for one in found) / whole)
    return forward, max(0.0, evaluation - forward), 1 - max(evaluation, forward)


def memory(records: Sequence[Record]) -> str:
    """Return the peak memory of processes that take steps."""
    lines, sentences = [], []
    for part in ("step", "memory"):
        found = of_part(records, part)
        for network, side, both in pairs(found):
            ours = ours_at(found, network, side)
            if not ours:
                continue
            peak = max(one["peak_mb"] for one in ours)
            above = max(one["peak_mb"] - one["imports_mb"] for one in ours)
            name = f"{NETWORKS[network]} at {side} px"
            line: list[object] = [NETWORKS[network], side, f"{peak:.0f}", f"{above:.0f}"]
            sentence = f"{name}: our process takes {peak:.0f} MB, {above:.0f} above the imports"
            if both:
                whole = [one["peak_mb"] / other["peak_mb"] for one, other in both]
                theirs = max(other["peak_mb"] for _, other in both)
                more = max(other["peak_mb"] - other["imports_mb"] for _, other in both)
                line += [f"{theirs:.0f}", f"{more:.0f}", spread(whole), f"{above / more:.2f}"]
                sentence += f", {compared(median(whole), 'memory')}; above the imports, it is "
                sentence += f"{above / more:.2f} of it"
            else:
                line += [""] * 4
            lines.append(line)
            sentences.append(sentence + limit_words(ours[0], peak) + ".")
    head = ["network", "px", "nst-batch: peak, MB", "above imports", "PyTorch: peak, MB"]
    head += ["above imports", "ratio of peaks", "above imports"]
    return f"{table(head, lines)}\n\n{bullets(sentences)}" if lines else ""


def limit_words(one: Record, peak: float) -> str:
    """Return whether a picture fitted into the memory that it was given, if it was."""
    if "limit_gb" not in one:
        return ""
    way = {"whole": "whole", "tiles": "in tiles"}.get(one["way"], f"with {one['way']}")
    fits = "fits" if peak / 1e3 <= one["limit_gb"] else "does not fit"
    return f". It was computed {way}, and {fits} into {one['limit_gb']:g} GB"
