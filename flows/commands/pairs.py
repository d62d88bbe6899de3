"""`nst-batch manifest`: all pairs of two sets of pictures."""

import csv
import glob
import io
import os
from pathlib import Path

from flows.exit_codes import SUCCESS, UNUSABLE
from flows.terminal import Terminal
from nst_core.files import write_whole

ENDINGS = {
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
    *(".avif", ".jp2"),
}


def write_pairs(terminal: Terminal, contents: str, styles: str, manifest: Path) -> int:
    """Write a manifest with a row for each content and style, paths relative to its folder."""
    found = {name: find_pictures(name) for name in (contents, styles)}
    for name, pictures in found.items():
        if not pictures:
            endings = " ".join(sorted(ENDINGS))
            terminal.fail(f"{name}: no pictures; expected a folder or a glob of {endings} files")
            return UNUSABLE
    folder = manifest.parent.resolve()
    rows = [
        (_relative(content, folder), _relative(style, folder))
        for content in found[contents]
        for style in found[styles]
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("content", "style"), *rows])
    try:
        write_whole(manifest, text.getvalue().encode())
    except (OSError, UnicodeEncodeError) as error:
        terminal.fail(f"{manifest}: cannot be written: {error}")
        return UNUSABLE
    terminal.say(
        f"{manifest}: {len(rows)} rows, {len(found[contents])} contents x "
        f"{len(found[styles])} styles"
    )
    terminal.result({"manifest": str(manifest), "rows": len(rows)})
    return SUCCESS


def _relative(picture: Path, folder: Path) -> str:
    return os.path.relpath(picture.parent.resolve() / picture.name, folder)


def find_pictures(place: str) -> list[Path]:
    """The pictures in a folder, or those that a glob (with `**` too) names, sorted by path."""
    path = Path(place)
    found = path.iterdir() if path.is_dir() else map(Path, glob.iglob(place, recursive=True))  # noqa: PTH207 - takes absolute globs
    return sorted(
        picture
        for picture in found
        if picture.suffix.lower() in ENDINGS
        and picture.is_file()
        and not picture.name.startswith(".")
    )
