"""Folders of previews: they are never mixed with the results of a batch."""

from nst_core.errors import UserError
from nst_core.storage.files import exists, write_atomic
from nst_core.storage.places import Place
from tasks.store.output_folder import INTERNAL, OutputFolder


class PreviewFolderError(UserError):
    """An output folder has results of the other kind; the message says what to do."""


def is_of_previews(output: OutputFolder) -> bool:
    """Return whether a folder is one of previews.

    Raises:
        OSError: the storage does not answer.
    """
    return exists(_mark(output))


def check_apart(output: OutputFolder, *, is_preview: bool) -> None:
    """Refuse results for a folder of previews, and previews for a folder with results.

    Raises:
        PreviewFolderError: the folder is of the other kind.
        OSError: the storage does not answer.
    """
    if is_preview and exists(output.summary()) and not is_of_previews(output):
        raise PreviewFolderError(
            f"{output}: found the results of a batch; expected a folder for previews only; choose "
            "another output folder"
        )
    if not is_preview and is_of_previews(output):
        raise PreviewFolderError(
            f"{output}: found previews; expected a folder without them; choose another output "
            "folder for results"
        )


def keep_apart(output: OutputFolder, *, is_preview: bool) -> None:
    """Do the same, and mark a folder of previews, so that no results come to it.

    Raises:
        PreviewFolderError: the folder is of the other kind.
        OSError: the storage does not answer, or the folder cannot be written to.
    """
    check_apart(output, is_preview=is_preview)
    if is_preview:
        write_atomic(_mark(output), b"")


def _mark(output: OutputFolder) -> Place:
    return output.root / INTERNAL / "previews"
