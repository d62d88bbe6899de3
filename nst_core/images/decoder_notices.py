"""Messages of Pillow and libtiff about damaged files, collected for each picture, not printed.

Pillow warns through `warnings.warn` and its loggers; libtiff prints to standard error. None of
these names the file, and `warnings.catch_warnings` is not thread-safe. So this module
redirects all three: inside `gathered()`, they become notes about the picture that this thread is
decoding. Outside of it, for other users of Pillow in this process, warnings and log lines work as
usual.
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
    """Collect the notes that this thread makes in the meantime, each of them once.

    Yields:
        The list to which they are added: clauses such as "its ICC profile is ignored".
    """
    notes: list[str] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


def note(clause: str) -> None:
    """Add a note about the picture that is being decoded; no effect outside `gathered`."""
    notes = _notes.get()
    if notes is not None and clause not in notes:
        notes.append(clause)


class _Warnings(ModuleType):
    """The replacement of `warnings` in Pillow's modules."""

    def warn(
        self,
        message: Warning | str,
        category: type[Warning] | None = None,
        stacklevel: int = 1,
        source: Any = None,
    ) -> None:
        """Make a note inside `gathered`, or else warn as usual."""
        if _notes.get() is None:
            warnings.warn(message, category, stacklevel + 1, source)
        # Large pictures are refused by our own limit instead.
        elif category is not Image.DecompressionBombWarning:
            note(f"parts of it are damaged ({' '.join(str(message).split()).rstrip('. ')})")

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)


def _is_for_others(_: logging.LogRecord) -> bool:
    """Drop what Pillow's loggers report about our pictures, because an error reports it, too."""
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
    # If Pillow was built without libtiff, or hides it, nothing is printed anyway.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(_LIBTIFF_HANDLER)


_lead_here()
