"""The values of which pickled NumPy arrays consist, as plain data.

A pickle names the functions and types that make its values. Only the names in `NAMES` are known,
and each stands for one of our functions, which records its arguments. No other name is looked up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class KnownName:
    """A name that a pickle may use; `make` is called with the arguments in the pickle."""

    make: Callable[..., Any]


@dataclass(eq=False)
class PickledType:
    """A data type whose byte order may be set later."""

    code: str
    order: str = "|"

    def build(self, state: Any) -> None:
        """Set the state that `numpy.dtype` pickles; for plain types, all further parts are None."""
        _version, self.order, *parts = state[:5]
        if parts != [None, None, None] or self.order not in ("<", ">", "|"):
            raise ValueError("it has an array that is not of plain numbers")


@dataclass(eq=False)
class PickledArray:
    """An array as the pickle describes it, possibly still incomplete."""

    shape: Any = None
    dtype: Any = None
    order: Any = "C"
    data: Any = None
    made: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        """Set the state that `numpy.ndarray` pickles."""
        self.shape, self.dtype, fortran, self.data = state[-4:]
        self.order = "F" if fortran else "C"


def _new_array(kind: Any, *_: Any) -> PickledArray:
    if kind is not _NDARRAY:
        raise ValueError("it has an array of an unknown kind")
    return PickledArray()


def _array_of_bytes(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> PickledArray:
    return PickledArray(shape, dtype, order, data)


def _never(*_: Any) -> None:
    raise ValueError("it creates an array in the wrong way")


def _latin1(text: Any, encoding: Any) -> bytes:
    """Return bytes, from the form in which Python 3 writes them for Python 2."""
    if encoding != "latin1":
        raise ValueError("it has bytes of an unknown encoding")
    return as_bytes(text)


_NDARRAY = KnownName(_never)

NAMES: Mapping[tuple[str, str], KnownName] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): KnownName(lambda code, *_: PickledType(code)),
    ("numpy.core.multiarray", "_reconstruct"): KnownName(_new_array),
    ("numpy._core.multiarray", "_reconstruct"): KnownName(_new_array),
    ("numpy.core.numeric", "_frombuffer"): KnownName(_array_of_bytes),
    ("numpy._core.numeric", "_frombuffer"): KnownName(_array_of_bytes),
    ("_codecs", "encode"): KnownName(_latin1),
}


def as_text(value: Any) -> str:
    """Return a name as it is.

    Raises:
        ValueError: it is not text.
    """
    if not isinstance(value, str):
        raise ValueError("it has a name that is not text")
    return value


def as_bytes(value: Any) -> bytes:
    """Return bytes; Python 2's `str` was read as Latin-1, in which each byte is a character.

    Raises:
        ValueError: it is neither bytes nor text.
    """
    data = value.encode("latin1") if isinstance(value, str) else value
    if not isinstance(data, bytes | bytearray):
        raise ValueError("it has an array without bytes")
    return bytes(data)
