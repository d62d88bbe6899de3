"""The manifest that a run from photographs keeps in its output folder, `manifest.csv`.

A run replaces it only if a run wrote it exactly as it is; `.nst-batch/manifests` has the digests of
what runs wrote.
"""

import hashlib

from nst_core.storage.files import read_kept, write_atomic
from nst_core.storage.places import redacted
from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.naming import Wanted
from tasks.store.csv_cells import read_records
from tasks.store.output_folder import OutputFolder

MOST_BYTES = 10**6
"""The largest list of digests that is read; it has two lines."""


def kept_rows(output: OutputFolder) -> list[Wanted]:
    """Return the rows of the manifest that earlier runs keep, with their names.

    Raises:
        LayoutError: the manifest is not as a run wrote it, so nothing may replace it.
        OSError: it cannot be read.
    """
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


def keep(output: OutputFolder, text: str) -> None:
    """Write the manifest; `kept_rows` has shown that the one that it replaces is a run's own.

    Raises:
        OSError: it cannot be written.
    """
    data, before = text.encode(), _kept(output)
    if data == before:
        return
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


def _digests(output: OutputFolder) -> list[str]:
    try:
        return read_kept(output.manifest_digests, MOST_BYTES).decode("ascii", "replace").split()
    except FileNotFoundError:
        return []


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
