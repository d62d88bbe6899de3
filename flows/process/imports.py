"""Imports of many modules at once."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def many_imports() -> Iterator[None]:
    """Collect no garbage while the context lasts, and never look at what is imported in it.

    Imports make hundreds of thousands of objects that stay. Each collection would go through them
    again, which takes a fifth of the time of the largest libraries, and as much afterwards.
    """
    was_enabled = gc.isenabled()
    # What is garbage now would otherwise never be collected.
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
