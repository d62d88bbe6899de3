"""A storage in memory that shares no code with the storages of the product."""

import errno
import hashlib
import io
import time
from typing import ClassVar

from upath import UPath

from nst_core.storage.answers import Listed, Stat


class MemoryStorage:
    """Files in a dictionary, by URL; their tags are MD5 digests, as on S3 in most cases."""

    reads_at_once: ClassVar = 2
    files: ClassVar[dict[str, bytes]] = {}
    times: ClassVar[dict[str, float]] = {}

    def _found(self, path: UPath) -> bytes:
        if str(path) not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return self.files[str(path)]

    def open(self, path: UPath, *, regular: bool = False) -> io.BytesIO:  # noqa: ARG002
        return io.BytesIO(self._found(path))

    def stat(self, path: UPath) -> Stat:
        data = self._found(path)
        return Stat(len(data), hashlib.md5(data).hexdigest())

    def listing(self, folder: UPath) -> dict[str, Listed]:
        root = f"{str(folder).rstrip('/')}/"
        # Other threads may write at the same time.
        return {
            name.removeprefix(root): Listed(len(data), self.times.get(name))
            for name, data in self.files.copy().items()
            if name.startswith(root)
        }

    def find(self, named: UPath) -> list[UPath]:
        return [named / name for name in self.listing(named) if "/" not in name]

    def write(self, path: UPath, data: bytes) -> str:
        self.times[str(path)] = time.time()
        self.files[str(path)] = data
        return self.stat(path).tag

    def flush(self, folder: UPath) -> None:
        """Do nothing: memory does not survive a power failure."""

    def move(self, path: UPath, free: UPath) -> None:
        self.files[str(free)] = self._found(path)
        del self.files[str(path)]

    def remove(self, path: UPath) -> None:
        self.files.pop(str(path), None)

    def probe(self, folder: UPath) -> None:
        """Do nothing, because every folder can be written to."""
