"""Every error of ours can be sent to another process, by `pickle` and as Dask sends it.

Dask installs tblib's way to pickle errors for the whole process. It makes an error by
`cls.__new__(cls, *args)`, which a class refuses if a built-in error that has a `__new__` of its
own, such as `MemoryError`, is among its bases but not the first.
"""

import importlib
import inspect
import io
import pickle
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import flows
import nst_core
import tasks

pickling_support = pytest.importorskip("tblib.pickling_support")

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "AbandonedError": (),
    "DeviceFailedError": ("GPU:0", "InternalError: lost"),
    "LeaseHeldError": ("process 4711 of anna on gpu1", 12.5),
    "NewerTableError": (7,),
}
"""What an error is made with if one text is not enough."""


def modules(package: ModuleType) -> list[ModuleType]:
    """Return all modules of a package except scripts and the earlier import path `stylize`."""
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    # That path replaces the function of this name in the public API, which other tests look at.
    names = [module.name for module in found if module.name != "nst_core.stylize"]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


ERRORS = sorted(
    {
        each
        for package in (nst_core, tasks, flows)
        for module in modules(package)
        for each in vars(module).values()
        if inspect.isclass(each)
        and issubclass(each, BaseException)
        and each.__module__ == module.__name__
    },
    key=lambda each: each.__qualname__,
)


def sent_as_dask_does(error: BaseException) -> BaseException:
    """Return an error that was pickled by tblib and read again."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.dispatch_table = {type(error): pickling_support.pickle_exception}
    pickler.dump(error)
    received: BaseException = pickle.loads(file.getvalue())
    return received


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__qualname__)
def test_an_error_arrives_with_its_kind_and_its_message(kind: type[BaseException]) -> None:
    error = kind(*ARGUMENTS.get(kind.__name__, ("a: found b; expected c",)))
    for received in (pickle.loads(pickle.dumps(error)), sent_as_dask_does(error)):
        assert type(received) is kind
        assert str(received) == str(error)
        assert vars(received) == vars(error)


def test_all_errors_are_found() -> None:
    names = {kind.__name__ for kind in ERRORS}
    assert {"NotEnoughMemoryError", "WriteError", "ManifestError", "ServerError"} <= names
