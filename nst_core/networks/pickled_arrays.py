"""Read dictionaries of arrays from pickles without unpickling them.

A pickle is a program: Python's unpickler calls whatever the file names. This module instead
interprets, on plain data, the few instructions that pickles of NumPy arrays consist of, and refuses
all others. It looks up names only in its own table, and it imports, calls, sets or hashes nothing
that a file chooses. NumPy's own unpickling is not used either: arrays are made from raw bytes,
after a check that their number fits the shape. (A `pickle.Unpickler` with a restricted `find_class`
would still hash nested values, and deep nesting ends the process.)
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

from nst_core.errors import UserError

NUMBERS = ("b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
OBJECTS = ("O", "O4", "O8")


class WeightsError(UserError):
    """Weights cannot be obtained or used; the message says what to do."""


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """A pickle has an instruction or a name that pickles of arrays do not have."""


def read_pickled_arrays(path: Path) -> dict[str, list[NDArray[Any]]]:
    """Read a dictionary that `np.save` wrote to a `.npy` file: layer name -> arrays, e.g. [W, b].

    It may have been written by Python 2 or 3. The arrays keep the type and byte order of the file.

    Raises:
        WeightsError: the file cannot be read, is damaged, or contains anything else.
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
    """Read and check the header; NumPy's own reader would evaluate it as Python."""
    magic, version = file.read(6), file.read(2)
    size = int.from_bytes(file.read(2 if version == b"\1\0" else 4), "little")
    header = file.read(min(size, 65536))
    if magic != b"\x93NUMPY" or len(header) != size:
        raise ValueError("it is no NumPy file, or ends in its header")
    if b"'descr': '|O" not in header or b"'shape': ()" not in header:
        raise ValueError("it holds a plain array")


# The names in a file and what they stand for.


@dataclass(frozen=True, eq=False)
class _Name:
    """A name that a pickle may use; `make` is called with the arguments in the pickle."""

    make: Callable[..., Any]


@dataclass(eq=False)
class _DType:
    """A data type whose byte order may be set later."""

    code: str
    order: str = "|"

    def build(self, state: Any) -> None:
        """Set the state that `numpy.dtype` pickles; in plain types, all further parts are None."""
        _version, self.order, *parts = state[:5]
        if parts != [None, None, None] or self.order not in ("<", ">", "|"):
            raise ValueError("it has an array of no plain numbers")


@dataclass(eq=False)
class _Array:
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


def _new_array(kind: Any, *_: Any) -> _Array:
    if kind is not _NDARRAY:
        raise ValueError("it has an array of an unknown kind")
    return _Array()


def _array_of_bytes(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> _Array:
    return _Array(shape, dtype, order, data)


def _never(*_: Any) -> None:
    raise ValueError("it makes an array the wrong way")


def _latin1(text: Any, encoding: Any) -> bytes:
    """Return bytes, from the form in which Python 3 writes them for Python 2."""
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
    """The state while a pickle is interpreted; `outer` contains the stacks below the marks."""

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
        """Pop all items above the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def top(self, *kinds: type) -> Any:
        """Return the topmost item, which must be of one of these types."""
        if type(self.stack[-1]) not in kinds:
            raise ValueError("it has a value in the wrong place")
        return self.stack[-1]


def _nothing(_state: _State, _argument: Any) -> None:
    """Do nothing: the protocol number and the frames are not needed."""


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
    """Return what a pickle describes, with arrays as `_Array`."""
    state = _State()
    for instruction, argument, _ in pickletools.genops(io.BytesIO(pickle)):
        if instruction.name not in _INSTRUCTIONS:
            raise _Refused(f"has the instruction {instruction.name}")
        _INSTRUCTIONS[instruction.name](state, argument)
    (content,) = state.stack
    return content


# Making arrays from what the pickle describes.


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


def _array(rebuilt: Any) -> NDArray[Any]:
    if not isinstance(rebuilt, _Array):
        raise ValueError("it has an item that is no array")
    # An array that the pickle refers to a thousand times must not be copied a thousand times.
    rebuilt.made = _made(rebuilt) if rebuilt.made is None else rebuilt.made
    return rebuilt.made


def _made(rebuilt: _Array) -> NDArray[Any]:
    if _text(rebuilt.dtype.code) not in NUMBERS:
        kind = f"{rebuilt.dtype.code[:9]!r}"
        raise ValueError(f"it has an array of {kind}, which are no plain numbers")
    if any(type(side) is not int or side < 0 for side in rebuilt.shape):
        raise ValueError("it has an array of an impossible shape")
    dtype, data = np.dtype(rebuilt.dtype.order + rebuilt.dtype.code), _bytes(rebuilt.data)
    expected = math.prod(rebuilt.shape) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(f"it has {len(data)} bytes for an array of {expected}")
    return np.frombuffer(data, dtype).reshape(rebuilt.shape, order=rebuilt.order)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it has a name that is no text")
    return value


def _bytes(value: Any) -> bytes:
    """Return bytes; Python 2's `str` was read as Latin-1, in which each byte is a character."""
    data = value.encode("latin1") if isinstance(value, str) else value
    if not isinstance(data, bytes | bytearray):
        raise ValueError("it has an array without bytes")
    return bytes(data)
