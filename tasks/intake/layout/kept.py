"""The manifest that a run from photographs keeps in its output folder, `manifest.csv`.

A run replaces it only if a run wrote it exactly as it is; `.nst-batch/manifests` has the digests of
what runs wrote. `.nst-batch/names.json` has all names that runs ever gave to rows there.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import astuple

from nst_core.storage.files import exists, read_kept, write_atomic
from nst_core.storage.places import Place, is_on_web, join, redacted
from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.numbering import Kept, Wanted
from tasks.store.csv_cells import read_records
from tasks.store.output_folder import OutputFolder
from tasks.store.output_names import checked_output

MOST_BYTES = 10**6
"""The largest list of digests that is read; it has two lines."""


def what_is_kept(output: OutputFolder) -> Kept:
    """Return the rows of the manifest in an output folder, and all names that runs gave there.

    Raises:
        LayoutError: the manifest is not as a run wrote it, so nothing may replace it; or the list
            of names is damaged.
        OSError: one of the two cannot be read.
    """

    def is_there(content: str) -> bool:
        try:
            return exists(join(output.root, content))
        except (OSError, ValueError):
            # If in doubt, no result is replaced.
            return True

    return Kept(_rows(output), _names(output), is_there)


def _rows(output: OutputFolder) -> list[Wanted]:
    data = _kept(output)
    if data is None:
        return []
    if _digest(data) not in _digests(output):
        raise LayoutError(
            f"{redacted(output.manifest)}: this manifest was edited, or comes from elsewhere, and "
            "is not replaced; to run it as it is, name it instead of the photographs, without "
            "--style; to lay out the rows again, rename or remove it, or choose another output "
            "folder"
        )
    _, records = read_records(data.decode(), lambda _: True)
    header, *rows = (record.cells for record in records)
    at = [header.index(column) for column in ("content", "style", "output")]
    return [Wanted(*(cells[index] for index in at)) for cells in rows]


def _names(output: OutputFolder) -> list[Wanted]:
    try:
        rows = [Wanted(*map(str, each)) for each in json.loads(read_kept(output.given_names))]
        for row in rows:
            checked_output(row.name)
        return rows
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise LayoutError(
            f"{redacted(output.given_names)}: expected the names that earlier runs gave to results "
            f"({error}); restore the file, or remove it, and the names are given anew"
        ) from error


def is_laid_out(manifest: Place, data: bytes) -> bool:
    """Return whether a run from photographs wrote a manifest, exactly as it is.

    Args:
        manifest: where it is.
        data: what the file contains.
    """
    output = OutputFolder(manifest.parent)
    if is_on_web(manifest) or manifest != output.manifest:
        return False
    try:
        return _digest(data) in _digests(output)
    except OSError:
        # Only the words of messages depend on it.
        return False


def keep(output: OutputFolder, text: str, rows: Iterable[Wanted]) -> None:
    """Write a manifest and the names of its rows, after `what_is_kept` has shown that this may be.

    Args:
        output: the output folder, which must exist.
        text: the manifest.
        rows: its rows.

    Raises:
        LayoutError: see `what_is_kept`.
        OSError: a file cannot be written.
    """
    data, before = text.encode(), _kept(output)
    if data == before:
        return
    names = [astuple(row) for row in dict.fromkeys((*_names(output), *rows))]
    write_atomic(output.given_names, json.dumps(names, ensure_ascii=False).encode())
    # The run may be killed before the second of these writes, and neither manifest is an edited one
    # then.
    digests = [_digest(each) for each in (data, before) if each is not None]
    write_atomic(output.manifest_digests, "\n".join(digests).encode())
    write_atomic(output.manifest, data)


def _kept(output: OutputFolder) -> bytes | None:
    try:
        return read_kept(output.manifest)
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise LayoutError(
            f"the output folder {output} is a file, or below a file; choose another folder "
            "(--output)"
        ) from error


def _digests(output: OutputFolder) -> list[str]:
    try:
        return read_kept(output.manifest_digests, MOST_BYTES).decode("ascii", "replace").split()
    except FileNotFoundError:
        return []


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
