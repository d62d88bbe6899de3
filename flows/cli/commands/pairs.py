"""`nst-batch manifest`: all pairs of two sets of pictures, or the frames of a sequence."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from PIL import Image

from flows.cli.commands.frames import LayoutError, check_layout, find_flows, outputs_of
from flows.cli.exit_codes import SUCCESS, UNUSABLE
from flows.cli.terminal import Terminal, refuse
from nst_core.images.picture_files import FORMATS
from nst_core.storage.files import exists, find_files, write_atomic
from nst_core.storage.local import why_no_file
from nst_core.storage.places import Place, as_seen_from, place, redacted
from tasks.store.csv_cells import harmless_path, to_csv

SUFFIXES = frozenset(
    suffix for suffix, file_format in Image.EXTENSION.items() if file_format in FORMATS
)
"""The suffixes of the files that can be read."""

NOT_TEXT = "with a name that is not UTF-8"


@dataclass(frozen=True)
class LeftOut:
    """A file that does not become a row, and the reason."""

    path: str
    why: str


@dataclass(frozen=True)
class Found:
    """The pictures that were found (IMG_2 before IMG_10), and the files that were left out."""

    pictures: list[Place]
    left_out: list[LeftOut]


def write_pairs(
    terminal: Terminal,
    contents: str,
    styles: str,
    manifest: Place,
    *,
    overwrite: bool = False,
    sequence: str = "",
    flow: str = "",
) -> int:
    """Write a manifest that pairs all contents and styles, with paths relative to its folder.

    If a sequence is named, the contents are its frames, and `flow` may name the files of flow.
    """
    try:
        if not overwrite and exists(manifest):
            raise LayoutError(
                f"{redacted(manifest)}: the file already exists; choose another name, or add "
                "--overwrite to replace it"
            )
        found = {named: find_pictures(named) for named in dict.fromkeys((contents, styles))}
        flows = _in_order(find_flows(flow)) if flow else None
        _report_left_out(terminal, found)
        _check_pictures(found)
        layout = _Layout(manifest.parent, found[contents].pictures, found[styles].pictures, flows)
        table = layout.frames(sequence) if sequence else layout.pairs()
    except LayoutError as error:
        return refuse(terminal, error)
    except OSError as error:
        terminal.fail(f"{error.filename}: cannot be read: {error.strerror}")
        return UNUSABLE
    try:
        write_atomic(manifest, to_csv(table).encode())
    except (OSError, UnicodeEncodeError) as error:
        terminal.fail(f"{redacted(manifest)}: cannot be written: {error}")
        return UNUSABLE
    terminal.say(f"{manifest}: {len(table) - 1} rows, {layout.described(sequence)}")
    left_out = [asdict(one) for seen in found.values() for one in seen.left_out]
    terminal.result({"manifest": str(manifest), "rows": len(table) - 1, "left_out": left_out})
    return SUCCESS


@dataclass(frozen=True)
class _Layout:
    """The rows of a manifest in a folder, for these contents, styles and flows.

    Attributes:
        flows: from each frame of a sequence but the first to the frame before; None if there are
            none.
    """

    folder: Place
    contents: Sequence[Place]
    styles: Sequence[Place]
    flows: Sequence[Place] | None = None

    def pairs(self) -> list[tuple[str, ...]]:
        """Return the header, and a row for each pair."""
        rows = [
            (self._cell(content), self._cell(style))
            for content in self.contents
            for style in self.styles
        ]
        return [("content", "style"), *rows]

    def frames(self, sequence: str) -> list[tuple[str, ...]]:
        """Return the header, and a row for each frame of a sequence of this name.

        Raises:
            LayoutError: these files are no sequence.
        """
        check_layout(self.contents, self.styles, self.flows)
        style = self._cell(self.styles[0])
        cells = [
            (self._cell(content), style, sequence, output)
            for content, output in zip(
                self.contents, outputs_of(sequence, len(self.contents)), strict=True
            )
        ]
        header = ("content", "style", "sequence", "output")
        if not self.flows:
            return [header, *cells]
        to_before = ["", *map(self._cell, self.flows)]
        return [
            (*header, "flow"),
            *((*row, flow) for row, flow in zip(cells, to_before, strict=True)),
        ]

    def described(self, sequence: str) -> str:
        """Return what the rows are, for people."""
        if sequence:
            return f"the frames of the sequence {sequence}"
        return f"{len(self.contents)} contents x {len(self.styles)} styles"

    def _cell(self, path: Place) -> str:
        return harmless_path(as_seen_from(self.folder, path))


def _check_pictures(found: Mapping[str, Found]) -> None:
    """Refuse folders and globs without pictures."""
    for named, seen in found.items():
        if not seen.pictures:
            endings = " ".join(sorted(SUFFIXES))
            raise LayoutError(
                f"{named}: no pictures; expected a folder or a glob of {endings} files"
            )


def _report_left_out(terminal: Terminal, found: Mapping[str, Found]) -> None:
    """Print how many files were left out, by reason; list names that no manifest can contain."""
    for named, seen in found.items():
        counts = Counter(one.why for one in seen.left_out)
        if counts:
            counted = ", ".join(f"{count} {why}" for why, count in counts.most_common())
            terminal.say(f"{named}: left out: {counted}")
        for one in seen.left_out:
            if one.why == NOT_TEXT:
                terminal.fail(f"{one.path}: left out: its name is not UTF-8; rename the file")


def find_pictures(named: str) -> Found:
    """Return the pictures in a folder, or those that match a glob, which may contain `**`.

    Args:
        named: a path or a URL. It is a glob only if nothing has exactly this name, so a folder may
            be called `photos [2024]`.

    Raises:
        OSError: there is no such folder, or it cannot be read.
        PlaceError: a URL cannot be used.
    """
    seen = _in_order(find_files(place(named)))
    why = {path: _why_left_out(path) for path in seen}
    return Found(
        pictures=[path for path in seen if not why[path]],
        left_out=[LeftOut(_shown(path), why[path]) for path in seen if why[path]],
    )


def _in_order(paths: Iterable[Place]) -> list[Place]:
    return sorted(paths, key=_natural)


def _natural(path: Place) -> tuple[list[object], str]:
    """Return a sort key that compares numbers in names as numbers."""
    words = re.split(r"(\d+)", str(path))
    return [int(word) if at % 2 else word.casefold() for at, word in enumerate(words)], str(path)


def _why_left_out(path: Place) -> str:
    """Return why a file cannot be in a manifest; an empty text if it can."""
    if path.name.startswith("."):
        return "hidden"
    if why := why_no_file(path):
        return why
    if path.suffix.lower() not in SUFFIXES:
        return path.suffix.lower() or "without an extension"
    return "" if _shown(path) == str(path) else NOT_TEXT


def _shown(path: Place) -> str:
    """Return a path as text, whatever bytes it contains."""
    return str(path).encode("utf-8", "backslashreplace").decode()
