"""The section about the convolutions of a network, one by one: why a step takes its time."""

from collections.abc import Sequence
from statistics import median

from benchmarks.bench.records import Record, of_part
from benchmarks.bench.report_steps import limit
from benchmarks.bench.words import NETWORKS, bullets, seconds, share, table

PROGRAMS = {"tensorflow": "TensorFlow", "torch": "PyTorch"}


def rate(layer: Record, direction: str) -> float:
    """Return the rate of a convolution, in floating-point operations a second."""
    return float(layer["operations"] / layer[direction])


def total(one: Record) -> float:
    """Return the seconds of all convolutions, forward and backward."""
    return float(sum(layer["forward"] + layer["backward"] for layer in one["layers"]))


def layers(records: Sequence[Record]) -> str:
    """Return a table for each network, and what it says."""
    found = of_part(records, "profile")
    cases = sorted({(one["network"], one["side"]) for one in found})
    texts = []
    for network, side in cases:
        by_program = {
            one["package"]: one for one in found if (one["network"], one["side"]) == (network, side)
        }
        if "tensorflow" in by_program:
            texts.append(of_network(records, network, side, by_program))
    text = (
        "The convolutions of a step alone, with random inputs: billions of operations a second, "
        "forward and for the gradient of the input (PyTorch with channels last)."
    )
    return "\n\n".join([text, *texts]) if texts else ""


def of_network(
    records: Sequence[Record], network: str, side: int, by_program: dict[str, Record]
) -> str:
    """Return the table and the sentences of one network and side."""
    programs = [program for program in PROGRAMS if program in by_program]
    whole = sum(layer["operations"] for layer in by_program["tensorflow"]["layers"])
    lines = []
    for number, layer in enumerate(by_program["tensorflow"]["layers"]):
        line = [layer["name"], f"{layer['given']} to {layer['channels']}", layer["side"]]
        line.append(share(layer["operations"] / whole))
        for program in programs:
            its = by_program[program]["layers"][number]
            line += [f"{rate(its, way) / 1e9:.0f}" for way in ("forward", "backward")]
        lines.append(line)
    head = ["layer", "channels", "side", "of all operations"]
    for program in programs:
        head += [f"{PROGRAMS[program]}: forward", "gradient"]
    name = f"{NETWORKS[network]} at {side} px"
    sentences = said(records, name, network, side, by_program)
    return f"{name}:\n\n{table(head, lines)}\n\n{bullets(sentences)}"


def said(
    records: Sequence[Record], name: str, network: str, side: int, by_program: dict[str, Record]
) -> list[str]:
    """Return sentences: the convolutions' part in a step, and the layer furthest from the limit."""
    ours = by_program["tensorflow"]
    sentence = f"{name}: all convolutions together take {seconds(total(ours))} s with TensorFlow"
    if "torch" in by_program:
        theirs = total(by_program["torch"])
        sentence += f" and {seconds(theirs)} s with PyTorch, a ratio of {total(ours) / theirs:.2f}"
    steps = [
        one["step"]
        for one in of_part(records, "step")
        if (one["who"], one["network"], one["side"]) == ("nst-batch", network, side)
    ]
    if steps:
        part = total(ours) / median(steps)
        sentence += f"; that is {share(part)} of the time of one of our steps"
    sentences = [f"{sentence}."]
    most = limit(records)
    if most > 0:
        slowest = max(ours["layers"], key=lambda layer: lost(layer, most))
        both = 2 * slowest["operations"] / (slowest["forward"] + slowest["backward"])
        sentences.append(
            f"The most time beyond the limit goes into `{slowest['name']}`: "
            f"{seconds(lost(slowest, most))} s, because it reaches "
            f"{share(both / most)} of the rate of matrix products."
        )
    return sentences


def lost(layer: Record, most: float) -> float:
    """Return the seconds that a convolution takes beyond those at the limit, both ways."""
    return float(layer["forward"] + layer["backward"] - 2 * layer["operations"] / most)
