"""What Pillow and libtiff say of damaged files: kept from the terminal, gathered by picture.

Pillow warns through `warnings.warn` and through its loggers, libtiff by printing to standard error.
None of these names the file, and `warnings.catch_warnings` is not safe in several threads. So the
three are led here instead: inside `gathered()` they become notes of the picture that this thread is
decoding; outside of it, for other users of Pillow in this process, warnings and log lines are what
they always were.
"""

import contextlib
import ctypes
import logging
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, _imaging

_notes: ContextVar[list[str] | None] = ContextVar("notes", default=None)


@contextlib.contextmanager
def gathered() -> Iterator[list[str]]:
    """Gather the notes that this thread makes meanwhile, each of them once.

    Yields:
        The list that they are added to: clauses such as "its ICC profile is ignored".
    """
    notes: list[str] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


def note(clause: str) -> None:
    """Say something about the picture that is being decoded; without effect outside `gathered`."""
    notes = _notes.get()
    if notes is not None and clause not in notes:
        notes.append(clause)


class _Warnings(ModuleType):
    """What Pillow's modules find under the name `warnings`."""

    def warn(
        self,
        message: Warning | str,
        category: type[Warning] | None = None,
        stacklevel: int = 1,
        source: Any = None,
    ) -> None:
        """Make a note, or warn as always."""
        if _notes.get() is None:
            warnings.warn(message, category, stacklevel + 1, source)
        # Our own limit decides about large pictures.
        elif category is not Image.DecompressionBombWarning:
            note(f"parts of it are damaged ({' '.join(str(message).split()).rstrip('. ')})")

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)


def _is_for_others(_: logging.LogRecord) -> bool:
    """A filter of Pillow's loggers: what they tell of our pictures is told by an error as well."""
    return _notes.get() is None


def _note_libtiff_error(*_: int) -> None:
    note("parts of it are damaged (libtiff reports errors)")


_LIBTIFF_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
    _note_libtiff_error
)


def _lead_here() -> None:
    for module in (Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin):
        setattr(module, "warnings", _Warnings("warnings"))  # noqa: B010 - not ours to declare
        logging.getLogger(module.__name__).addFilter(_is_for_others)
    # Where Pillow was built without libtiff, or hides it, nothing is printed either.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(_LIBTIFF_HANDLER)


_lead_here()
