"""Garbage collection while many modules are imported."""

import gc
import sys
import weakref

import pytest

from flows.process.imports import many_imports


class Knot:
    """An object that only a garbage collection removes."""

    def __init__(self) -> None:
        self.own = self


def test_imports_are_not_collected_and_earlier_garbage_is() -> None:
    earlier, frozen = weakref.ref(Knot()), gc.get_freeze_count()
    try:
        with many_imports():
            assert not gc.isenabled()
            assert earlier() is None
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


def test_a_failed_import_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "missing_module", None)
    try:
        with pytest.raises(ImportError), many_imports():
            __import__("missing_module")
        assert gc.isenabled()
    finally:
        gc.unfreeze()
