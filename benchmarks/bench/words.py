"""Tables, ratios and the words for them."""

import textwrap
from collections.abc import Iterable, Sequence
from statistics import median

ABOUT_EQUAL = 0.05
"""Ratios that are this close to 1 are called equal: repeated runs differ by as much."""

NETWORKS = {"compact": "compact", "vgg19": "VGG-19 (random weights)"}


def table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    cells = [head, ["---"] * len(head), *lines]
    texts = ["| " + " | ".join(map(str, line)) + " |" for line in cells]
    texts[1] = texts[1].replace(" ", "")
    return "\n".join(texts)


def spread(ratios: Sequence[float]) -> str:
    """Return the median of ratios, and the smallest and the largest if there are several."""
    middle = f"{median(ratios):.2f}"
    if len(ratios) == 1:
        return f"{middle} (one run)"
    return f"{middle} ({min(ratios):.2f} to {max(ratios):.2f})"


def compared(ratio: float, what: str) -> str:
    """Return what a ratio of ours to PyTorch's says, as the end of a sentence.

    Args:
        ratio: ours to theirs.
        what: what is compared, such as `time` or `memory`.
    """
    if abs(ratio - 1) <= ABOUT_EQUAL:
        return f"which is about as much as with PyTorch ({ratio:.2f} of its {what})"
    if ratio < 1:
        return f"which is less than with PyTorch ({ratio:.2f} of its {what})"
    return f"which is more than with PyTorch ({ratio:.2f} times its {what})"


def wrapped(text: str) -> str:
    """Return text whose paragraphs have lines of at most a hundred characters."""
    return "\n".join(
        line if line.startswith(("|", "*", " ", "#", "!")) else fill(line)
        for line in text.split("\n")
    )


def fill(line: str) -> str:
    """Return a paragraph in lines; words are never split."""
    return textwrap.fill(line, 100, break_long_words=False, break_on_hyphens=False)


def seconds(value: float) -> str:
    """Return seconds with three digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def share(value: float) -> str:
    """Return a share in percent."""
    return f"{value:.0%}".replace("%", " %")


def bullets(sentences: Iterable[str]) -> str:
    """Return a list of sentences, with lines of at most a hundred characters."""
    lines = []
    for sentence in sentences:
        line = "*"
        for word in sentence.split():
            if len(line) + 1 + len(word) > 100:
                lines.append(line)
                line = " "
            line += f" {word}"
        lines.append(line)
    return "\n".join(lines)


def joined(names: Sequence[str]) -> str:
    """Return names as a list in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
