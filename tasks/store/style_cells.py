"""The text of a cell that names styles: pictures or folders, separated by semicolons."""

from collections.abc import Iterator

from nst_core.storage.files import exists
from nst_core.storage.local import is_file
from nst_core.storage.places import Place, join

SEPARATOR = ";"
MOST_STYLES = 64
"""The most styles of a row; the targets of all are in memory when the row begins."""


def split_styles(folder: Place, cell: str) -> Iterator[str]:
    """Yield the texts of the styles in a cell, without the blanks around them.

    A semicolon separates styles, unless it is in the name of a file that exists.

    Args:
        folder: the folder that relative paths start from.
        cell: the text of the cell.
    """
    parts = cell.split(SEPARATOR)
    if len(parts) == 1 or _is_one(folder, cell):
        yield cell
        return
    begin = 0
    while begin < len(parts):
        ends = range(len(parts), begin + 1, -1) if len(parts) <= MOST_STYLES else ()
        names = ((end, SEPARATOR.join(parts[begin:end]).strip()) for end in ends)
        end = next((end for end, name in names if _is_file_here(folder, name)), begin + 1)
        yield SEPARATOR.join(parts[begin:end]).strip()
        begin = end


def _is_one(folder: Place, cell: str) -> bool:
    """Return whether a whole cell with semicolons names something that exists, wherever it is."""
    try:
        # A storage that lists nothing denies access to what does not exist.
        return cell.count("://") < 2 and exists(join(folder, cell))
    except (OSError, ValueError):
        return False


def _is_file_here(folder: Place, text: str) -> bool:
    """Return whether there is a file of this name on a disk; storages are not asked so often."""
    try:
        return bool(text) and is_file(join(folder, text))
    except (OSError, ValueError):
        return False
