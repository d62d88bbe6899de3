"""Names of results: one rule for those that users give and those that we make.

A name is allowed if file systems can hold it, unless it could control a terminal or deceive its
reader. Names are NFC-normalized, because the same name could otherwise be written in two ways.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from nst_core.images.write import Format, format_named, formats_by_suffix
from nst_core.storage.places import redacted

DEFAULT_SUFFIX = ".png"
"""The suffix of results whose names are not given, or are given without one, if no format is
chosen."""

OTHER_FORMATS = (".bmp", ".gif", ".heic", ".avif", ".jp2")
"""Suffixes of pictures in whose formats no result can be."""

LONGEST_STEM = 80
MOST_STYLES_IN_NAME = 3
LONGEST_NAME = 200
"""The longest name in bytes; file systems allow 255, but additions to a name need some of them."""

LONGEST_OUTPUT = 1000
"""The longest output in bytes, with all folders; macOS and object storage allow 1024."""

CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of characters that are not text: control characters, halves of characters,
and line ends. Joiners, spaces of all widths and new emoji are text."""

DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that change the direction of what follows, so that `gnp.exe` seems to end in .png."""

DIGITS = (0, 6, 12, 32)
"""How many hexadecimal digits follow a name that we make, if fewer do not make it unique."""


class OutputError(ValueError):
    """A name that no result can have; the message says what is allowed."""


def checked_output(text: str, usual: str = DEFAULT_SUFFIX) -> str:
    r"""Return the output that a user's name means, with `/` between folders, and a suffix.

    Args:
        text: without blanks around it; `\` separates folders, too, and the suffix may be left out.
        usual: the suffix if it is left out.

    Raises:
        OutputError: it does not name a file inside the output folder.
    """
    named = unicodedata.normalize("NFC", text.replace("\\", "/"))
    path = PurePosixPath(named)
    suffix = path.suffix.lower()
    ending = _ending(suffix, usual)
    stem = path.with_suffix("") if suffix == ending else path
    refused = next(filter(_is_refused, text), "")
    if refused:
        wrong = f"expected a name without the character {refused!a}, which is not printable"
    elif "://" in named or redacted(named) != named:
        wrong = "expected a place inside the output folder, not a URL; only --output may be one"
    elif path.is_absolute() or ".." in path.parts or _is_drive(path.parts):
        wrong = "expected a place inside the output folder: a relative path without '..'"
    elif not path.name:
        wrong = "expected a file name"
    elif max(len(part.encode()) for part in stem.parts) > LONGEST_NAME:
        wrong = f"expected names of at most {LONGEST_NAME} bytes"
    elif len(str(path).encode()) > LONGEST_OUTPUT:
        wrong = f"expected at most {LONGEST_OUTPUT} bytes in all, folders included"
    elif suffix != ending and suffix in OTHER_FORMATS:
        *others, last = formats_by_suffix()
        wrong = f"expected a name that ends in {', '.join(others)} or {last}, or one without an "
        wrong += "extension"
    else:
        return f"{stem}{ending}"
    raise OutputError(wrong)


def _ending(suffix: str, usual: str) -> str:
    """Return the suffix of the result that a user names with this suffix, in lower case."""
    return suffix if suffix in formats_by_suffix() else usual


def suffix_of(file_format: str) -> str:
    """Return the usual suffix of a format, which has one of the names in `FormatName`."""
    return format_named(file_format).suffixes[0]


def format_of(output: str) -> Format:
    """Return the format of an output's result, which its suffix selects."""
    return formats_by_suffix()[PurePosixPath(output).suffix]


def _is_refused(character: str) -> bool:
    return unicodedata.category(character) in CONTROLS or character in DIRECTIONS


def _is_drive(parts: Sequence[str]) -> bool:
    """Return whether a path belongs to another system, such as `C:/pictures`."""
    return bool(parts and re.fullmatch("[A-Za-z]:", parts[0]))


def nearest_output(path: str, file_format: str = "png") -> str:
    """Return the output that is closest to a path below `pictures/`, whatever the path contains.

    An output of this format is closest to itself.
    """
    *folders, name = map(_allowed, path.split("/"))
    suffix = PurePosixPath(name).suffix
    possible = format_named(file_format).suffixes
    ending = suffix.lower() if suffix.lower() in possible else possible[0]
    if suffix.lower() in (*formats_by_suffix(), *OTHER_FORMATS):
        name = name.removesuffix(suffix)
    parts = [_cut(part, LONGEST_NAME) for part in (*folders, name)]
    parts = [part for part in parts[:-1] if part not in ("", ".", "..")] + parts[-1:]
    while parts:
        # Blanks around a cell are dropped when a manifest is read.
        parts[0] = parts[0].lstrip()
        is_folder = parts[0] in ("", ".", "..") and (len(parts) > 1 or not parts[0])
        if not is_folder and len("/".join(parts).encode()) <= LONGEST_OUTPUT - len(ending):
            break
        del parts[0]
    if len(parts) > 1 and _is_drive(parts):
        parts[0] = parts[0].replace(":", "_")
    return "/".join(parts or ["result"]) + ending


def _allowed(text: str) -> str:
    """Return the text as a part of a path, with `_` in place of what is refused."""
    kept = "".join("_" if _is_refused(each) or each in "/\\" else each for each in text)
    return unicodedata.normalize("NFC", kept)


def _cut(text: str, most: int) -> str:
    """Cut a text to a maximum number of bytes, which is what file systems count."""
    return text.encode()[:most].decode(errors="ignore")


def as_one_file(output: str) -> str:
    """Return a text that is equal for outputs that some file systems, such as a Mac's, equate."""
    decomposed = unicodedata.normalize("NFD", output).casefold()
    return unicodedata.normalize("NFC", decomposed)


def as_one_result(output: str) -> str:
    """Return a text that is equal for outputs that two rows of a batch cannot both have.

    Some file systems equate them, or they differ only in their suffix: the loss curves,
    intermediates, plots, animations and errors of such rows would have the same names.
    """
    return str(PurePosixPath(as_one_file(output)).with_suffix(DEFAULT_SUFFIX))


def folders_of(output: str) -> list[str]:
    """Return the folders that an output is in, each in the form of `as_one_file`."""
    return [str(folder) for folder in PurePosixPath(as_one_file(output)).parents]


@dataclass(frozen=True)
class Unnamed:
    """A row whose result we name.

    Attributes:
        content: a file name.
        styles: file names, of which a name that we make contains at most three.
        digest: hexadecimal digits that depend on everything that the row says, and nothing else.
        suffix: that of its format.
    """

    content: str
    styles: tuple[str, ...]
    digest: str
    suffix: str = DEFAULT_SUFFIX

    def output(self, digits: int) -> str:
        """Return its name, with this number of digits to distinguish it from others."""
        more_styles = len(self.styles) - MOST_STYLES_IN_NAME
        names = (self.content, *self.styles[:MOST_STYLES_IN_NAME])
        stems = [_allowed(PurePosixPath(name).stem).strip() for name in names]
        content, *styles = (_cut(stem, LONGEST_STEM // max(1, len(stems) - 1)) for stem in stems)
        style = "+".join([*styles, *([f"{more_styles} more"] if more_styles > 0 else [])])
        more = f"_{self.digest[:digits]}" if digits else ""
        return f"{content}_{style}{more}{self.suffix}"


def choose_outputs(rows: Sequence[Unnamed], taken: Collection[str]) -> list[str]:
    """Return a unique name for each row, as short as possible, whatever the order of the rows.

    Args:
        rows: no two of them have the same digest.
        taken: other results, in the form of `as_one_result`, and the folders that they are in.
    """
    taken = set(taken)
    chosen: dict[str, str] = {}
    for digits in DIGITS:
        names = {row.digest: row.output(digits) for row in rows if row.digest not in chosen}
        wanted = Counter(map(as_one_result, names.values()))
        for digest, name in names.items():
            one = as_one_result(name)
            if digits == DIGITS[-1] or (wanted[one] == 1 and one not in taken):
                chosen[digest] = name
        taken |= wanted.keys()
    return [chosen[row.digest] for row in rows]
