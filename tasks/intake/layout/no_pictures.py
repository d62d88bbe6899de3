"""Why a name that was typed leads to no pictures, and what to do about it."""

from nst_core.storage.local import is_folder
from nst_core.storage.places import place, redacted
from tasks.store.picture_folders import SUFFIXES, Found, pictures_below, shown

OF_FOLDERS_BELOW = "name those folders, or a glob in quotes such as '{}/**/*.jpg'"
"""What to do if pictures are in folders below a folder, and there is no option for that."""


def why_nothing(named: str, found: Found, advice: str = OF_FOLDERS_BELOW) -> str:
    """Return what is wrong with a name that leads to no pictures.

    Args:
        named: a path, a URL, a folder or a glob.
        found: the files that it leads to, which are no pictures.
        advice: what to do if there are pictures in folders below it; if it is empty, nobody looks.
    """
    where, name = place(named), redacted(named)
    below, is_all = pictures_below(where) if advice and is_folder(where) else (0, True)
    if below:
        return (
            f"{name}: no pictures directly in this folder, but {'' if is_all else 'at least '}"
            f"{below} in folders below it; {advice.format(name)}"
        )
    extensions = " ".join(sorted(SUFFIXES))
    if [one.path for one in found.left_out] == [shown(where)]:
        (one,) = found.left_out
        if one.why == where.suffix.lower():
            return (
                f"{name} is not a picture (expected a file with one of the extensions {extensions})"
            )
        return f"{name}: {one.why}; expected a picture"
    return f"{name}: no pictures; expected a folder or a glob of {extensions} files"
