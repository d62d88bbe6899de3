"""`nst-batch manifest`: all pairs of two sets of pictures."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

from flows.cli.exit_codes import SUCCESS, UNUSABLE
from flows.cli.terminal import Terminal
from nst_core.storage.files import exists, write_atomic
from nst_core.storage.places import Place, as_seen_from, redacted
from tasks.store.csv_cells import harmless_path, to_csv
from tasks.store.picture_folders import NOT_TEXT, SUFFIXES, Found, find_pictures


def write_pairs(
    terminal: Terminal, contents: str, styles: str, manifest: Place, *, overwrite: bool = False
) -> int:
    """Write a manifest that pairs all contents and styles, with paths relative to its folder."""
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
    rows = [
        tuple(harmless_path(as_seen_from(manifest.parent, picture)) for picture in (content, style))
        for content in found[contents].pictures
        for style in found[styles].pictures
    ]
    try:
        write_atomic(manifest, to_csv([("content", "style"), *rows]).encode())
    except (OSError, UnicodeEncodeError) as error:
        terminal.fail(f"{redacted(manifest)}: cannot be written: {error}")
        return UNUSABLE
    terminal.say(
        f"{manifest}: {len(rows)} rows, {len(found[contents].pictures)} contents x "
        f"{len(found[styles].pictures)} styles"
    )
    left_out = [asdict(one) for seen in found.values() for one in seen.left_out]
    terminal.result({"manifest": str(manifest), "rows": len(rows), "left_out": left_out})
    return SUCCESS


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
