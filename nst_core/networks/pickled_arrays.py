"""Dictionaries of arrays out of pickles, without unpickling.

A pickle is a program: Python's unpickler calls whatever it names. Here the few instructions that
pickles of NumPy arrays consist of are followed on plain data: names are looked up in a table of
this module and nowhere else, nothing of a file's choosing is imported, called, set or hashed, and
any other instruction is refused. NumPy's own unpickling is not used either: arrays are made of raw
bytes once their count fits the shape. (A `pickle.Unpickler` with a restricted `find_class` would
still hash what a file nests, and deep enough that ends the process.)
"""

import io
import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = ("b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
OBJECTS = ("O", "O4", "O8")


class WeightsError(Exception):
    """Weights that cannot be had or used; the message says what to do."""


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """An instruction or a name that pickles of arrays do not have."""


def read_pickled_arrays(path: Path) -> dict[str, list[NDArray[Any]]]:
    """Read a `.npy` file of `np.save` with a dictionary: layer name -> arrays, such as [W, b].

    Written by Python 2 or 3. Arrays have the type and byte order that they are stored with.

    Raises:
        WeightsError: the file cannot be read, is damaged, or holds anything else.
    """
    try:
        with Path(path).open("rb") as file:
            _check_header(file)
            content = _follow(file.read())
        return _dictionary(content)
    except OSError as error:
        raise WeightsError(
            f"{path}: expected a file that can be read, but the system says '{error.strerror}'. "
            "Check the path and its permissions."
        ) from error
    except _Refused as refused:
        raise WeightsError(
            f"{path}: its pickle {refused}, and only NumPy arrays are expected. Unpickled as "
            "usual, it could run any code; nothing of it was run. Get the file from its authors."
        ) from refused
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = error if isinstance(error, ValueError) else "its parts do not fit together"
        raise WeightsError(
            f"{path}: expected a dictionary of lists of arrays, as np.save writes it, which cannot "
            f"be read: {reason}. It may be another file, damaged or cut short: get it again."
        ) from error


def _check_header(file: io.BufferedReader) -> None:
    """Read up to the pickle; NumPy's own reader would evaluate the header as Python."""
    magic, version = file.read(6), file.read(2)
    size = int.from_bytes(file.read(2 if version == b"\1\0" else 4), "little")
    header = file.read(min(size, 65536))
    if magic != b"\x93NUMPY" or len(header) != size:
        raise ValueError("it is no NumPy file, or ends in its header")
    if b"'descr': '|O" not in header or b"'shape': ()" not in header:
        raise ValueError("it holds a plain array")


# What the file's names stand for.


@dataclass(frozen=True, eq=False)
class _Name:
    """What a pickle may name; `make` takes what the pickle gives to it."""

    make: Callable[..., Any]


@dataclass(eq=False)
class _DType:
    """A type that may still get its byte order."""

    code: str
    order: str = "|"

    def build(self, state: Any) -> None:
        """Take the state that `numpy.dtype` pickles; none but plain types have further parts."""
        _version, self.order, *parts = state[:5]
        if parts != [None, None, None] or self.order not in ("<", ">", "|"):
            raise ValueError("it has an array of no plain numbers")


@dataclass(eq=False)
class _Array:
    """An array as the pickle tells it, or its beginning."""

    shape: Any = None
    dtype: Any = None
    order: Any = "C"
    data: Any = None
    made: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        """Take the state that `numpy.ndarray` pickles."""
        self.shape, self.dtype, fortran, self.data = state[-4:]
        self.order = "F" if fortran else "C"


def _new_array(kind: Any, *_: Any) -> _Array:
    if kind is not _NDARRAY:
        raise ValueError("it has an array of an unknown kind")
    return _Array()


def _array_of_bytes(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> _Array:
    return _Array(shape, dtype, order, data)


def _never(*_: Any) -> None:
    raise ValueError("it makes an array the wrong way")


def _latin1(text: Any, encoding: Any) -> bytes:
    """Bytes as Python 3 writes them for Python 2."""
    if encoding != "latin1":
        raise ValueError("it has bytes of an unknown encoding")
    return _bytes(text)


_NDARRAY = _Name(_never)

_NAMES: Mapping[tuple[str, str], _Name] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Name(lambda code, *_: _DType(code)),
    ("numpy.core.multiarray", "_reconstruct"): _Name(_new_array),
    ("numpy._core.multiarray", "_reconstruct"): _Name(_new_array),
    ("numpy.core.numeric", "_frombuffer"): _Name(_array_of_bytes),
    ("numpy._core.numeric", "_frombuffer"): _Name(_array_of_bytes),
    ("_codecs", "encode"): _Name(_latin1),
}


# The instructions.


@dataclass
class _State:
    """What following a pickle works on; `outer` has the stacks below the marks."""

    stack: list[Any] = field(default_factory=list)
    outer: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def take(self, count: int) -> list[Any]:
        """Pop the topmost items."""
        if count > len(self.stack):
            raise ValueError("it lacks a value")
        cut = len(self.stack) - count
        items = self.stack[cut:]
        del self.stack[cut:]
        return items

    def take_to_mark(self) -> list[Any]:
        """Pop all down to the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def top(self, *kinds: type) -> Any:
        """The topmost item, which must be of one of these types."""
        if type(self.stack[-1]) not in kinds:
            raise ValueError("it has a value in the wrong place")
        return self.stack[-1]


def _nothing(_state: _State, _argument: Any) -> None:
    """Protocol and frames tell nothing that is needed."""


def _push(state: _State, argument: Any) -> None:
    state.stack.append(argument)


def _mark(state: _State, _: Any) -> None:
    state.outer.append(state.stack)
    state.stack = []


def _tuple(state: _State, _: Any) -> None:
    items = state.take_to_mark()
    state.stack.append(tuple(items))


def _memoize(state: _State, _: Any) -> None:
    state.memo[len(state.memo)] = state.stack[-1]


def _put(state: _State, number: int) -> None:
    state.memo[number] = state.stack[-1]


def _get(state: _State, number: int) -> None:
    state.stack.append(state.memo[number])


def _append(state: _State, _: Any) -> None:
    items = state.take(1)
    state.top(list).extend(items)


def _appends(state: _State, _: Any) -> None:
    items = state.take_to_mark()
    state.top(list).extend(items)


def _set_item(state: _State, _: Any) -> None:
    _fill(state, state.take(2))


def _set_items(state: _State, _: Any) -> None:
    _fill(state, state.take_to_mark())


def _fill(state: _State, items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        state.top(dict)[_text(key)] = value


def _global(state: _State, argument: str) -> None:
    module, _, name = argument.partition(" ")
    state.stack.append(_named(module, name))


def _stack_global(state: _State, _: Any) -> None:
    module, name = state.take(2)
    state.stack.append(_named(_text(module), _text(name)))


def _named(module: str, name: str) -> _Name:
    if (module, name) not in _NAMES:
        raise _Refused(f"names {f'{module}.{name}'[:100]!r}")
    return _NAMES[module, name]


def _reduce(state: _State, _: Any) -> None:
    arguments = state.top(tuple)
    state.take(1)
    name = state.top(_Name)
    state.stack[-1] = name.make(*arguments)


def _build(state: _State, _: Any) -> None:
    argument = state.top(tuple)
    state.take(1)
    state.top(_Array, _DType).build(argument)


_INSTRUCTIONS: Mapping[str, Callable[[_State, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _push),
    **dict.fromkeys(("SHORT_BINSTRING", "BINSTRING", "SHORT_BINUNICODE", "BINUNICODE"), _push),
    **dict.fromkeys(("BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), _push),
    "BYTEARRAY8": _push,
    "NONE": lambda state, _: state.stack.append(None),
    "NEWTRUE": lambda state, _: state.stack.append(True),
    "NEWFALSE": lambda state, _: state.stack.append(False),
    "EMPTY_DICT": lambda state, _: state.stack.append({}),
    "EMPTY_LIST": lambda state, _: state.stack.append([]),
    "EMPTY_TUPLE": lambda state, _: state.stack.append(()),
    "TUPLE1": lambda state, _: state.stack.append(tuple(state.take(1))),
    "TUPLE2": lambda state, _: state.stack.append(tuple(state.take(2))),
    "TUPLE3": lambda state, _: state.stack.append(tuple(state.take(3))),
    "TUPLE": _tuple,
    "MARK": _mark,
    "MEMOIZE": _memoize,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _get),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
    "STOP": _nothing,
}


def _follow(pickle: bytes) -> Any:
    """What a pickle describes, arrays as `_Array`."""
    state = _State()
    for instruction, argument, _ in pickletools.genops(io.BytesIO(pickle)):
        if instruction.name not in _INSTRUCTIONS:
            raise _Refused(f"has the instruction {instruction.name}")
        _INSTRUCTIONS[instruction.name](state, argument)
    (content,) = state.stack
    return content


# From what the pickle describes to arrays.


def _dictionary(content: Any) -> dict[str, list[NDArray[Any]]]:
    if not isinstance(content, _Array) or content.dtype.code not in OBJECTS:
        raise ValueError("it has no dictionary")
    (layers,) = content.data
    return {
        _text(name): [_array(item) for item in _items(arrays)] for name, arrays in layers.items()
    }


def _items(arrays: Any) -> Any:
    if not isinstance(arrays, list | tuple):
        raise ValueError("it has an entry that is no list")
    return arrays


def _array(told: Any) -> NDArray[Any]:
    if not isinstance(told, _Array):
        raise ValueError("it has an item that is no array")
    # What the pickle refers to a thousand times must not be copied as often.
    told.made = _made(told) if told.made is None else told.made
    return told.made


def _made(told: _Array) -> NDArray[Any]:
    if _text(told.dtype.code) not in NUMBERS:
        raise ValueError(f"it has an array of {told.dtype.code[:9]!r}, which are no plain numbers")
    if any(type(side) is not int or side < 0 for side in told.shape):
        raise ValueError("it has an array of an impossible shape")
    dtype, data = np.dtype(told.dtype.order + told.dtype.code), _bytes(told.data)
    expected = math.prod(told.shape) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(f"it has {len(data)} bytes for an array of {expected}")
    return np.frombuffer(data, dtype).reshape(told.shape, order=told.order)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it has a name that is no text")
    return value


def _bytes(value: Any) -> bytes:
    """Python 2's `str` is read as Latin-1, in which each byte is a character."""
    data = value.encode("latin1") if isinstance(value, str) else value
    if not isinstance(data, bytes | bytearray):
        raise ValueError("it has an array without bytes")
    return bytes(data)
