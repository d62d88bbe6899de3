"""What a command line names, so that a terminal shows these places as they were typed.

The program works with absolute places, and messages, logs and records name these. Whoever typed
`photos` may not recognize them.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from nst_core.storage.places import whole_place

PART_OF_PATH = r"\w.~/\\-"
"""Characters that continue a path, before or after the part of it that somebody has typed."""


@dataclass(frozen=True)
class Typed:
    """The places that a command line names.

    Attributes:
        texts: what was typed, by the absolute path that it means.
    """

    texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Typed":
        """Return the places that these texts name: files, folders, globs; URLs are as they are."""
        known: dict[str, str] = {}
        for text in map(_before_wildcards, (text for text in texts if "://" not in text)):
            absolute = os.path.normpath(Path.cwd() / text)
            meant = (os.path.realpath(text), str(whole_place(Path(text))), absolute)
            known |= dict.fromkeys(meant, text)
        # A whole disk would be a part of every path.
        return cls({path: text for path, text in known.items() if path != Path(path).anchor})

    def also(self, *texts: str) -> "Typed":
        """Return these places and others, which are shown as if they had been typed."""
        return Typed({**Typed.of(texts).texts, **self.texts})

    def shown(self, message: str) -> str:
        """Return a message with these places, and what is below them, as they were typed."""
        if not self.texts:
            return message
        return self._found.sub(lambda seen: _joined(self.texts[seen[1]], seen[2] or ""), message)

    @cached_property
    def _found(self) -> re.Pattern[str]:
        """One of these paths in a message, and the separator after it, if there is one."""
        # Of two folders, one of which is in the other, the inner one is recognized.
        longest_first = sorted(self.texts, key=len, reverse=True)
        paths = "|".join(map(re.escape, longest_first))
        ends = rf"(?=[/\\])|(?![{PART_OF_PATH}])|(?=\.(?:\s|$))"
        return re.compile(rf"(?<![{PART_OF_PATH}])({paths})(?:{ends})([/\\])?")


def _joined(typed: str, separator: str) -> str:
    """Return a typed folder before what is in it, without the `./` that nobody typed."""
    if not separator:
        return typed
    return "" if typed == os.curdir else f"{typed.rstrip(os.sep)}{separator}"


def _before_wildcards(text: str) -> str:
    """Return the folder of a glob before its first wildcard; a path as it is."""
    path = Path(text)
    if os.path.lexists(path):
        return text
    wild = [at for at, part in enumerate(path.parts) if any(sign in part for sign in "*?[")]
    return str(Path(*path.parts[: wild[0]])) if wild else text
