"""The style targets that active runs need now, so that `cache prune` leaves them alone."""

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nst_core.storage.held_files import create_held, is_held, remove_unless_held
from nst_core.storage.places import Place
from tasks.store.layout import styles_in_use

logger = logging.getLogger("nst_batch.styles_in_use")

_LIST = re.compile(r"[0-9a-f]{16}\.keys")


@contextmanager
def using_styles(cache: Place) -> Iterator[Callable[[str], None]]:
    """Keep a list of the styles that a run needs in the cache, as long as the context lasts.

    A cache that cannot be written is used without a list, and so is one in object storage, which
    `cache prune` cannot examine.

    Yields:
        A function that adds a style by its key.
    """
    folder = styles_in_use(cache)
    if not isinstance(folder, Path):
        yield lambda _: None
        return
    remove_stale_lists(cache)
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        path, descriptor = create_held(lambda: folder / f"{secrets.token_hex(8)}.keys")
    except OSError as error:
        logger.debug("%s: no list of the styles in use: %s", folder, error.strerror)
        yield lambda _: None
        return
    try:
        yield lambda key: _add(descriptor, key)
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _add(descriptor: int, key: str) -> None:
    # If the disk is full, a prune may remove this one style, and a row then computes it again.
    with suppress(OSError):
        os.write(descriptor, f"{key}\n".encode())


def keys_in_use(cache: Place) -> set[str]:
    """Return the keys of the styles that runs on this machine need now."""
    keys: set[str] = set()
    for path in _lists(cache):
        with suppress(OSError):
            if is_held(path):
                keys.update(path.read_text().split())
    return keys


def remove_stale_lists(cache: Place) -> None:
    """Remove the lists of runs that were killed."""
    for path in _lists(cache):
        with suppress(OSError):
            remove_unless_held(path)


def _lists(cache: Place) -> list[Path]:
    folder = styles_in_use(cache)
    assert isinstance(folder, Path)
    try:
        return [path for path in folder.iterdir() if _LIST.fullmatch(path.name)]
    except OSError:
        return []
