"""What the arguments of a command are: a manifest, or photographs."""

import glob
from collections.abc import Sequence
from pathlib import PurePosixPath

from nst_core.storage.files import exists
from nst_core.storage.local import is_folder
from nst_core.storage.places import may_be_url, place, redacted
from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.sweep import option_of
from tasks.store.picture_folders import SUFFIXES

MANIFEST_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods", ".parquet"})
"""The suffixes of files that are manifests, and never photographs."""


def check_manifest(inputs: Sequence[str], layout_options: Sequence[str]) -> str:
    """Return the manifest that the arguments without any style name.

    Args:
        inputs: the arguments.
        layout_options: the names of options that were given for photographs.

    Raises:
        LayoutError: they are no manifest; the message says what to do.
    """
    if not inputs:
        raise LayoutError(
            "found neither a manifest nor photographs; expected a manifest such as night.csv, or "
            "photographs with --style PICTURE"
        )
    photographs = next(filter(_is_of_photographs, inputs), "")
    if photographs or len(inputs) > 1:
        what = "a manifest is expected, and only one" if not photographs else _kind_of(photographs)
        raise LayoutError(
            f"{redacted(photographs or inputs[1])}: {what}; to stylize photographs, add --style "
            "PICTURE"
        )
    if layout_options:
        raise LayoutError(
            f"--{option_of(layout_options[0])}: {redacted(inputs[0])} is taken for a manifest, "
            "because there is no --style, and the rows of a manifest are laid out already; remove "
            "the option, or add --style PICTURE to stylize photographs"
        )
    return inputs[0]


def check_photographs(inputs: Sequence[str], styles: Sequence[str]) -> None:
    """Refuse arguments that are no photographs although there is a style.

    Raises:
        LayoutError: there are none, or one is a manifest; the message says what to do.
    """
    if not inputs or not styles:
        missing = "photographs: files, folders or globs" if not inputs else "--style PICTURE"
        raise LayoutError(f"expected {missing}")
    _check_expanded(inputs, styles)
    for named in inputs:
        if PurePosixPath(named).suffix.lower() in MANIFEST_SUFFIXES and not is_folder(place(named)):
            raise LayoutError(
                f"{redacted(named)}: this is a manifest, whose rows name their styles; remove "
                "--style, or name photographs instead"
            )


def _check_expanded(inputs: Sequence[str], styles: Sequence[str]) -> None:
    """Refuse photographs that the shell has made of a glob after `--style`, but for its first file.

    Such files are in the folder of a style, and in that of no other photograph.
    """
    of_styles = {PurePosixPath(style).parent for style in styles if _is_file_of_picture(style)}
    beside = [
        named
        for named in inputs
        if _is_file_of_picture(named) and PurePosixPath(named).parent in of_styles
    ]
    if beside and len(beside) < len(inputs):
        folder = PurePosixPath(beside[0]).parent
        raise LayoutError(
            f"{redacted(beside[0])}: it would be a photograph, although it is in the folder of a "
            "style; the shell replaces a glob by the names of files, of which only the first "
            f"belongs to --style; put quotes around it (--style '{folder}/*.jpg'), or name the "
            f"folder (--style {folder}); to stylize this picture, too, do so in a run of its own"
        )


def _is_file_of_picture(named: str) -> bool:
    return PurePosixPath(named).suffix.lower() in SUFFIXES and not glob.has_magic(named)


def _is_of_photographs(named: str) -> bool:
    return bool(_kind_of(named))


def _kind_of(named: str) -> str:
    """Return why a name means photographs and no manifest; empty if it may be a manifest."""
    where = place(named)
    if is_folder(where):
        return "this is a folder, and a manifest is expected"
    # The question mark of a signed URL is no wildcard.
    if glob.has_magic(named) and not may_be_url(named) and not exists(where):
        return "this is a glob, and a manifest is expected"
    is_picture = PurePosixPath(named).suffix.lower() in SUFFIXES
    return "this is a picture, and a manifest is expected" if is_picture else ""
