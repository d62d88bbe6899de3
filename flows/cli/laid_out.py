"""The rows that a command works on: those of a manifest, or of one that is laid out for it."""

from collections.abc import Iterable
from pathlib import Path

from flows.cli.layout_options import Asked
from flows.cli.terminal import Terminal
from nst_core.storage.files import exists
from nst_core.storage.local import on_disk
from nst_core.storage.places import Place, redacted
from nst_core.transfer.allowed import counted
from tasks.intake.layout.kept import keep, what_is_kept
from tasks.intake.layout.layout import LaidOut, Layout, lay_out
from tasks.intake.layout.numbering import Kept, Wanted
from tasks.intake.layout.pictures import Seen
from tasks.intake.manifest import Manifest, manifest_of, understand_manifest
from tasks.store.output_folder import MANIFEST, OutputFolder
from tasks.store.picture_folders import NOT_TEXT, by_reason


def manifest_asked_for(asked: Asked, terminal: Terminal) -> Manifest:
    """Return the manifest; if its rows are laid out, say so, and write nothing.

    Raises:
        UserError: the manifest cannot be read, or the rows cannot be laid out.
        OSError: the output folder cannot be read.
    """
    request, layout, _ = asked
    if layout is None:
        return understand_manifest(request.manifest, request.settings)
    output = request.output_folder
    # No path leads from a folder that does not exist to its neighbors.
    is_there = output is not None and not (on_disk(output.root) and not exists(output.root))
    manifest = request.manifest if is_there else Path.cwd() / MANIFEST
    laid = laid_out_for(layout, manifest, output, terminal)
    return manifest_of(manifest, laid.text)


def laid_out_for(
    layout: Layout, manifest: Place, output: OutputFolder | None, terminal: Terminal
) -> LaidOut:
    """Lay out the rows of the manifest in an output folder, and say so; nothing is written.

    Args:
        layout: what to lay out.
        manifest: where the manifest will be.
        output: the output folder, which may not exist, or not be chosen yet.
        terminal: where to say it.

    Raises:
        UserError: the rows cannot be laid out, or the manifest that is there is not a run's own.
        OSError: that manifest cannot be read.
    """
    kept = what_is_kept(output) if output else Kept()
    laid = lay_out(layout, manifest.parent, kept=kept, output=output)
    report_laid_out(terminal, laid, kept.rows)
    report_doubts(terminal, layout)
    return laid


def keep_laid_out(laid: LaidOut, output: OutputFolder) -> None:
    """Write the manifest of rows into an output folder, which must exist.

    Raises:
        UserError: the manifest that is there is not a run's own, or another run is writing to the
            folder.
        OSError: the manifest cannot be written.
    """
    with output.lock():
        what_is_kept(output)
        keep(output, laid.text, laid.named)


def report_laid_out(terminal: Terminal, laid: LaidOut, kept: Iterable[Wanted]) -> None:
    """Say what was understood: the files that were left out, and the rows."""
    report_left_out(terminal, laid.seen)
    before, now = set(kept), set(laid.named)
    new = f", {len(now - before)} new" if before and now - before else ""
    terminal.say(f"{laid.described}: {counted(laid.count, 'row')}{new}")
    if gone := len(before - now):
        leave, their = ("leaves", "its") if gone == 1 else ("leave", "their")
        terminal.say(
            f"{counted(gone, 'row')} {leave} the page and the table, because this command does not "
            f"name {their} style, photograph or settings, or {their} files are gone; no picture is "
            "removed. To add to what is there, name everything again, and what is new; for other "
            "results, choose another --output"
        )


def report_doubts(terminal: Terminal, layout: Layout) -> None:
    """Say which values may mean something else than they say."""
    for doubt in layout.sweep.doubts:
        terminal.say(doubt)


def report_left_out(terminal: Terminal, seen: Iterable[Seen]) -> None:
    """Print how many files were left out, by reason; list names that no manifest can contain."""
    for named, found in (item for each in seen for item in each.found.items()):
        if found.left_out:
            terminal.say(f"{redacted(named)}: left out: {by_reason(found.left_out)}")
        for one in found.left_out:
            if one.why == NOT_TEXT:
                terminal.fail(f"{one.path}: left out: its name is not UTF-8; rename the file")
