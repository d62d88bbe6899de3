"""`nst-batch manifest`: all pairs of two sets of pictures."""

import csv
import glob
import io
from collections.abc import Iterator
from pathlib import Path

from upath import UPath

from flows.exit_codes import SUCCESS, UNUSABLE
from flows.terminal import Terminal
from nst_core.files import ask_storage, write_whole
from nst_core.places import Place, as_seen_from, place

ENDINGS = {
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
    *(".avif", ".jp2"),
}


def write_pairs(terminal: Terminal, contents: str, styles: str, manifest: Place) -> int:
    """Write a manifest with a row for each content and style, paths relative to its folder."""
    try:
        found = {name: find_pictures(name) for name in (contents, styles)}
    except OSError as error:
        terminal.fail(f"{error.filename}: cannot be read: {error.strerror}")
        return UNUSABLE
    for name, pictures in found.items():
        if not pictures:
            endings = " ".join(sorted(ENDINGS))
            terminal.fail(f"{name}: no pictures; expected a folder or a glob of {endings} files")
            return UNUSABLE
    rows = [
        (as_seen_from(manifest.parent, content), as_seen_from(manifest.parent, style))
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


def find_pictures(named: str) -> list[Place]:
    """The pictures in a folder, or those that a glob (with `**` too) names, sorted by path.

    Raises:
        OSError: an object storage cannot be asked.
        PlaceError: an address cannot be used.
    """
    folder = place(named)
    found = _in_folder(folder, named) if isinstance(folder, Path) else _in_storage(folder)
    return sorted(
        (
            picture
            for picture in found
            if picture.suffix.lower() in ENDINGS and not picture.name.startswith(".")
        ),
        key=str,
    )


def _in_folder(folder: Path, named: str) -> Iterator[Place]:
    found = folder.iterdir() if folder.is_dir() else map(Path, glob.iglob(named, recursive=True))  # noqa: PTH207 - takes absolute globs
    return (picture for picture in found if picture.is_file())


def _in_storage(folder: UPath) -> Iterator[Place]:
    """An address with wildcards is a glob, any other a folder."""
    if any(wildcard in folder.path for wildcard in "*?["):
        names = ask_storage(folder, lambda storage, key: list(storage.glob(key)))
    else:
        names = ask_storage(folder, lambda storage, key: list(storage.find(key, maxdepth=1)))
    return (place(folder.fs.unstrip_protocol(name)) for name in names)
