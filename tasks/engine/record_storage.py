"""Where Prefect stores records: a block that writes them as we write everything else.

Prefect's own blocks open a record in place and never flush it, so a power failure could leave half
of one, or none at all for a picture that counted as done.
"""

from typing import Any, ClassVar

from prefect.filesystems import WritableFileSystem
from pydantic import Field

from nst_core.storage.files import make_durable, read_kept, write_atomic
from nst_core.storage.places import Place, place
from tasks.store.records import MOST_BYTES


class RecordStorage(WritableFileSystem):
    """A folder of records, on a disk or in object storage.

    It contains no credentials; they are those of the user who runs a task.
    """

    _block_type_name: ClassVar[str | None] = "nst-batch records"
    _block_type_slug: ClassVar[str | None] = "nst-batch-records"

    folder: str = Field(description="path or URL of the folder of records")

    def _resolve_path(self, path: str) -> None:
        """Tell Prefect that keys remain as they are; they are not paths in the current folder."""

    def _at(self, key: str) -> Place:
        return place(self.folder) / key

    def read_path(self, path: str, **_: Any) -> bytes:  # type: ignore[override]
        """Return a record's bytes."""
        return read_kept(self._at(path), MOST_BYTES)

    def write_path(self, path: str, content: bytes, **_: Any) -> None:  # type: ignore[override]
        """Write a record; it then survives a power failure."""
        write_atomic(self._at(path), content)
        make_durable(self._at(path))

    async def aread_path(self, path: str) -> bytes:
        """Run `read_path`; records are small, so the event loop waits for them."""
        return self.read_path(path)

    async def awrite_path(self, path: str, content: bytes) -> None:
        """Run `write_path`; records are small, so the event loop waits for them."""
        self.write_path(path, content)
