"""`nst-batch manifest`: all pairs of two sets of pictures, blends of a few styles, or frames."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from flows.cli.commands.frames import LayoutError, check_layout, find_flows, outputs_of
from flows.cli.exit_codes import SUCCESS, UNUSABLE
from flows.cli.terminal import Terminal, refuse
from nst_core.storage.files import exists, write_atomic
from nst_core.storage.near_names import unreadable
from nst_core.storage.places import Place, as_seen_from, redacted
from tasks.intake.blend_grid import FEWEST_STYLES, MOST_STYLES, blended_rows
from tasks.store.csv_cells import harmless_path, to_csv
from tasks.store.picture_folders import (
    NOT_TEXT,
    SUFFIXES,
    Found,
    by_reason,
    find_pictures,
    in_order,
)
from tasks.store.style_cells import SEPARATOR


@dataclass(frozen=True)
class _Kind:
    """What the rows of a manifest are: all pairs of contents and styles, unless this says more.

    Attributes:
        sequence: the contents are the frames of a moving picture of this name.
        blend_steps: so many blends lead from one style to the others.
    """

    sequence: str
    blend_steps: int | None


def write_pairs(
    terminal: Terminal,
    contents: str,
    styles: str,
    manifest: Place,
    *,
    overwrite: bool = False,
    sequence: str = "",
    flow: str = "",
    blend_steps: int | None = None,
) -> int:
    """Write a manifest that pairs all contents and styles, with paths relative to its folder.

    If a sequence is named, the contents are its frames, and `flow` may name the files of flow. With
    `blend_steps`, its rows lead from one style to the others instead (`blend_grid`).
    """
    kind = _Kind(sequence, blend_steps)
    try:
        _check_options(kind, flow)
        if not overwrite and exists(manifest):
            raise LayoutError(
                f"{redacted(manifest)}: the file already exists; choose another name, or add "
                "--overwrite to replace it"
            )
        found = {named: find_pictures(named) for named in dict.fromkeys((contents, styles))}
        flows = in_order(find_flows(flow)) if flow else None
        _report_left_out(terminal, found)
        _check_pictures(found)
        _check_blends(kind, styles, found[styles])
        layout = _Layout(manifest.parent, found[contents].pictures, found[styles].pictures, flows)
        table = layout.table(kind)
    except LayoutError as error:
        return refuse(terminal, error)
    except OSError as error:
        return refuse(terminal, LayoutError(unreadable(error)))
    try:
        write_atomic(manifest, to_csv(table).encode())
    except (OSError, UnicodeEncodeError) as error:
        terminal.fail(f"{redacted(manifest)}: cannot be written: {error}")
        return UNUSABLE
    terminal.say(f"{manifest}: {len(table) - 1} rows, {layout.described(kind, len(table) - 1)}")
    left_out = [asdict(one) for seen in found.values() for one in seen.left_out]
    terminal.result({"manifest": str(manifest), "rows": len(table) - 1, "left_out": left_out})
    return SUCCESS


def _check_options(kind: _Kind, flow: str) -> None:
    """Refuse options that do not go together."""
    if flow and not kind.sequence:
        raise LayoutError("--flow: only a sequence has flow; add --sequence NAME, or remove --flow")
    if kind.sequence and kind.blend_steps is not None:
        raise LayoutError(
            "--blend-steps: the frames of a sequence have one style; remove --sequence or "
            "--blend-steps"
        )


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

    def table(self, kind: _Kind) -> list[tuple[str, ...]]:
        """Return the header and the rows.

        Raises:
            LayoutError: the files are no sequence, and one is named.
        """
        if kind.blend_steps is not None:
            return self._blends(kind.blend_steps)
        return self._frames(kind.sequence) if kind.sequence else self._pairs()

    def _pairs(self) -> list[tuple[str, ...]]:
        rows = [
            (self._cell(content), self._cell(style))
            for content in self.contents
            for style in self.styles
        ]
        return [("content", "style"), *rows]

    def _blends(self, steps: int) -> list[tuple[str, ...]]:
        seen = (as_seen_from(self.folder, style) for style in self.styles)
        styles = harmless_path(f"{SEPARATOR} ".join(seen))
        return [
            ("content", "style", "style_blend", "output"),
            *(
                (self._cell(content), styles, weights, output)
                for content, output, weights in blended_rows(self.contents, self.styles, steps)
            ),
        ]

    def _frames(self, sequence: str) -> list[tuple[str, ...]]:
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

    def described(self, kind: _Kind, count: int) -> str:
        """Return what so many rows are, for people."""
        if kind.sequence:
            return f"the frames of the sequence {kind.sequence}"
        contents = len(self.contents)
        blends = "" if kind.blend_steps is None else f"{count // contents} blends of "
        return f"{contents} contents x {blends}{len(self.styles)} styles"

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


def _check_blends(kind: _Kind, styles: str, found: Found) -> None:
    """Refuse too few or too many styles for blends."""
    count = len(found.pictures)
    if kind.blend_steps is not None and not FEWEST_STYLES <= count <= MOST_STYLES:
        raise LayoutError(
            f"{styles}: found {count} styles; --blend-steps needs {FEWEST_STYLES} to {MOST_STYLES}"
        )


def _report_left_out(terminal: Terminal, found: Mapping[str, Found]) -> None:
    """Print how many files were left out, by reason; list names that no manifest can contain."""
    for named, seen in found.items():
        if seen.left_out:
            terminal.say(f"{named}: left out: {by_reason(seen.left_out)}")
        for one in seen.left_out:
            if one.why == NOT_TEXT:
                terminal.fail(f"{one.path}: left out: its name is not UTF-8; rename the file")
