"""`nst-batch manifest`: pairs of contents and styles, blends of a few styles, or frames."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flows.cli.commands.frames import check_layout, find_flows, outputs_of
from flows.cli.exit_codes import SUCCESS
from flows.cli.laid_out import report_doubts, report_left_out
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.files import exists, write_atomic
from nst_core.storage.places import Place, as_seen_from, redacted
from nst_core.transfer.allowed import counted
from tasks.intake.blend_grid import FEWEST_STYLES, MOST_STYLES, blended_rows
from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.layout import LaidOut, Layout, lay_out
from tasks.intake.layout.pictures import cell_of, found_pictures
from tasks.store.csv_cells import harmless_path
from tasks.store.picture_folders import in_order
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

    @property
    def option(self) -> str:
        """The option that asks for other rows than pairs; empty if none does."""
        return "--sequence" if self.sequence else "--blend-steps" if self.blend_steps else ""


def write_pairs(terminal: Terminal, contents: str, styles: str, manifest: Place, **how: Any) -> int:
    """Write a manifest that pairs all contents and styles; see `write_rows`."""
    return write_rows(terminal, Layout((contents,), (styles,)), manifest, **how)


def write_rows(
    terminal: Terminal,
    layout: Layout,
    manifest: Place,
    *,
    overwrite: bool = False,
    sequence: str = "",
    flow: str = "",
    blend_steps: int | None = None,
) -> int:
    """Write a manifest of contents and styles, with paths relative to its folder.

    If a sequence is named, the contents are its frames, and `flow` may name the files of flow. With
    `blend_steps`, its rows lead from one style to the others instead (`blend_grid`).
    """
    kind = _Kind(sequence, blend_steps)
    try:
        _check_options(kind, layout, flow)
        if not overwrite and exists(manifest):
            raise LayoutError(
                f"{redacted(manifest)}: the file already exists; choose another name, or add "
                "--overwrite to replace it"
            )
        laid = _laid_out(layout, manifest.parent, kind, flow)
        write_atomic(manifest, laid.text.encode())
    except UserError as error:
        return refuse(terminal, error)
    except (OSError, UnicodeEncodeError) as error:
        return refuse(terminal, LayoutError(f"{redacted(manifest)}: cannot be written: {error}"))
    report_left_out(terminal, laid.seen)
    terminal.say(f"{manifest}: {counted(laid.count, 'row')}, {laid.described}")
    report_doubts(terminal, layout)
    left_out = [asdict(one) for seen in laid.seen for one in seen.left_out]
    terminal.result({"manifest": str(manifest), "rows": laid.count, "left_out": left_out})
    return SUCCESS


def _laid_out(layout: Layout, folder: Place, kind: _Kind, flow: str) -> LaidOut:
    """Return the rows of a manifest in a folder.

    Raises:
        UserError: they cannot be laid out.
    """
    if not kind.option:
        # Otherwise, runs name the results, as they always did for such manifests.
        names_results = bool(layout.recursive or layout.names.text or layout.sweep.varied)
        return lay_out(layout, folder, with_outputs=names_results, styles_are_contents=True)
    contents, styles = (found_pictures(named) for named in (layout.contents, layout.styles))
    _check_blends(kind, layout.styles[0], styles.pictures)
    flows = in_order(find_flows(flow)) if flow else None
    rows = _Rows(folder, contents.pictures, styles.pictures, flows)
    header, *table = rows.table(kind)
    (settings,) = layout.sweep.choices()
    cells = [(*header, *settings), *((*row, *settings.values()) for row in table)]
    return LaidOut(tuple(cells), (contents, styles), rows.described(kind, len(table)))


def _check_options(kind: _Kind, layout: Layout, flow: str) -> None:
    """Refuse options that do not go together."""
    if kind.option and (layout.recursive or layout.pairing != "all" or layout.names.text):
        raise LayoutError(
            f"{kind.option}: its rows have an order and names of their own; remove --recursive, "
            "--pairing and --names"
        )
    if kind.option and layout.sweep.varied:
        raise LayoutError(
            f"{kind.option}: found several values ({layout.sweep}); expected one value of each "
            "setting, and a manifest for each of them"
        )
    if flow and not kind.sequence:
        raise LayoutError("--flow: only a sequence has flow; add --sequence NAME, or remove --flow")
    if kind.sequence and kind.blend_steps is not None:
        raise LayoutError(
            "--blend-steps: the frames of a sequence have one style; remove --sequence or "
            "--blend-steps"
        )


@dataclass(frozen=True)
class _Rows:
    """The rows of a manifest in a folder that are frames or blends of these pictures.

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
        return self._frames(kind.sequence)

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
        return f"{counted(contents, 'photograph')} x {blends}{counted(len(self.styles), 'style')}"

    def _cell(self, path: Place) -> str:
        return cell_of(self.folder, path)


def _check_blends(kind: _Kind, styles: str, found: Sequence[Place]) -> None:
    """Refuse too few or too many styles for blends."""
    count = len(found)
    if kind.blend_steps is not None and not FEWEST_STYLES <= count <= MOST_STYLES:
        raise LayoutError(
            f"{styles}: found {count} styles; --blend-steps needs {FEWEST_STYLES} to {MOST_STYLES}"
        )
