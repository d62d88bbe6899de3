"""The format of records, by which an older version recognizes what a newer one wrote."""

from pydantic import BaseModel

from tasks.store.file_reference import NewerRecordError

FORMAT = 1
"""The format of the records that this version writes and reads. A later version that changes what a
field means, or leaves one out, must raise this number and write it as a field `version`; a record
without that field has format 1."""


class _Version(BaseModel):
    version: int = 1


def refuse_newer(text: bytes | str) -> None:
    """Refuse a record whose fields may mean something else in the version that wrote it.

    Raises:
        NewerRecordError: it has a higher format than this version knows.
    """
    try:
        found = _Version.model_validate_json(text).version
    except ValueError:
        return  # the checks of the record itself say what is wrong
    if found > FORMAT:
        raise NewerRecordError(
            f"a newer version of nst-batch wrote this record (found format {found}, expected at "
            f"most {FORMAT})"
        )
