"""`nst-batch manifest`: all pairs of two sets of pictures, or blends of a few styles."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from flows.cli.exit_codes import SUCCESS, UNUSABLE
from flows.cli.terminal import Terminal
from nst_core.storage.files import exists, write_atomic
from nst_core.storage.places import Place, as_seen_from, redacted
from tasks.intake.blend_grid import FEWEST_STYLES, MOST_STYLES, blended_rows
from tasks.store.csv_cells import harmless_path, to_csv
from tasks.store.picture_folders import NOT_TEXT, SUFFIXES, Found, find_pictures
from tasks.store.style_cells import SEPARATOR


def write_pairs(
    terminal: Terminal,
    contents: str,
    styles: str,
    manifest: Place,
    *,
    overwrite: bool = False,
    blend_steps: int | None = None,
) -> int:
    """Write a manifest that pairs all contents and styles, with paths relative to its folder.

    With `blend_steps`, its rows lead from one style to the others instead (`blend_grid`).
    """
    try:
        if not overwrite and exists(manifest):
            terminal.fail(
                f"{redacted(manifest)}: the file already exists; choose another name, or add "
                "--overwrite to replace it"
            )
            return UNUSABLE
        found = {named: find_pictures(named) for named in dict.fromkeys((contents, styles))}
    except OSError as error:
        terminal.fail(f"{error.filename}: cannot be read: {error.strerror}")
        return UNUSABLE
    _report_left_out(terminal, found)
    for named, seen in found.items():
        if not seen.pictures:
            endings = " ".join(sorted(SUFFIXES))
            terminal.fail(f"{named}: no pictures; expected a folder or a glob of {endings} files")
            return UNUSABLE
    count = len(found[styles].pictures)
    if blend_steps is not None and not FEWEST_STYLES <= count <= MOST_STYLES:
        terminal.fail(
            f"{styles}: found {count} styles; --blend-steps needs {FEWEST_STYLES} to {MOST_STYLES}"
        )
        return UNUSABLE
    header, *rows = _table(found[contents].pictures, found[styles].pictures, manifest, blend_steps)
    try:
        write_atomic(manifest, to_csv([header, *rows]).encode())
    except (OSError, UnicodeEncodeError) as error:
        terminal.fail(f"{redacted(manifest)}: cannot be written: {error}")
        return UNUSABLE
    terminal.say(
        f"{manifest}: {len(rows)} rows, {len(found[contents].pictures)} contents x "
        f"{f'{len(rows) // len(found[contents].pictures)} blends of ' if blend_steps else ''}"
        f"{count} styles"
    )
    left_out = [asdict(one) for seen in found.values() for one in seen.left_out]
    terminal.result({"manifest": str(manifest), "rows": len(rows), "left_out": left_out})
    return SUCCESS


def _table(
    contents: Sequence[Place], styles: Sequence[Place], manifest: Place, blend_steps: int | None
) -> list[tuple[str, ...]]:
    """Return the header and the rows of a manifest."""

    def path(picture: Place) -> str:
        return as_seen_from(manifest.parent, picture)

    if blend_steps is None:
        pairs = [(content, style) for content in contents for style in styles]
        return [("content", "style"), *(tuple(map(harmless_path, map(path, it))) for it in pairs)]
    all_styles = harmless_path(f"{SEPARATOR} ".join(map(path, styles)))
    return [
        ("content", "style", "style_blend", "output"),
        *(
            (harmless_path(path(content)), all_styles, weights, output)
            for content, output, weights in blended_rows(contents, styles, blend_steps)
        ),
    ]


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
