"""Lists of the style targets that active runs need now, so that a prune leaves them alone."""

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nst_core.storage.held_files import create_held, is_held, remove_unless_held

logger = logging.getLogger("nst_batch.styles_in_use")

_LIST = re.compile(r"[0-9a-f]{16}\.keys")


@dataclass(frozen=True)
class StylesInUse:
    """The lists in a folder, one for each active run, which are locked as long as the run lives.

    Attributes:
        folder: where they are; None for a cache in object storage, which `prune` cannot examine.
    """

    folder: Path | None

    @contextmanager
    def of_a_run(self) -> Iterator[Callable[[str], None]]:
        """Keep a list of the styles that a run needs, as long as the context lasts.

        A cache that cannot be written is used without a list.

        Yields:
            A function that adds a style by its key.
        """
        if self.folder is None:
            yield lambda _: None
            return
        folder = self.folder
        self.remove_stale()
        try:
            folder.mkdir(exist_ok=True, mode=0o700)
            path, descriptor = create_held(lambda: folder / f"{secrets.token_hex(8)}.keys")
        except OSError as error:
            logger.debug(
                "%s: this run cannot list the styles that it uses: %s", folder, error.strerror
            )
            yield lambda _: None
            return
        try:
            yield lambda key: _add(descriptor, key)
        finally:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)

    def keys(self) -> set[str]:
        """Return the keys of the styles that runs on this machine need now."""
        keys: set[str] = set()
        for path in self._lists():
            with suppress(OSError):
                if is_held(path):
                    keys.update(path.read_text().split())
        return keys

    def remove_stale(self) -> None:
        """Remove the lists of runs that were killed."""
        for path in self._lists():
            with suppress(OSError):
                remove_unless_held(path)

    def _lists(self) -> list[Path]:
        with suppress(OSError):
            if self.folder:
                return [path for path in self.folder.iterdir() if _LIST.fullmatch(path.name)]
        return []


def _add(descriptor: int, key: str) -> None:
    # If the disk is full, a prune may remove this one style, and a row then computes it again.
    with suppress(OSError):
        os.write(descriptor, f"{key}\n".encode())
