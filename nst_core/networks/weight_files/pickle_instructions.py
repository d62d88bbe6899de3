"""An interpreter for the few instructions that pickles of NumPy arrays consist of.

It never imports, calls, sets or hashes what a file names, and it refuses all other instructions.
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nst_core.networks.weight_files.pickled_values import (
    NAMES,
    KnownName,
    PickledArray,
    PickledType,
    as_text,
)


class RefusedError(Exception):
    """A pickle has an instruction or a name that does not occur in pickles of arrays."""


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
        state.top(dict)[as_text(key)] = value


def _global(state: _State, argument: str) -> None:
    module, _, name = argument.partition(" ")
    state.stack.append(_named(module, name))


def _stack_global(state: _State, _: Any) -> None:
    module, name = state.take(2)
    state.stack.append(_named(as_text(module), as_text(name)))


def _named(module: str, name: str) -> KnownName:
    if (module, name) not in NAMES:
        raise RefusedError(f"names {f'{module}.{name}'[:100]!r}")
    return NAMES[module, name]


def _reduce(state: _State, _: Any) -> None:
    arguments = state.top(tuple)
    state.take(1)
    name = state.top(KnownName)
    state.stack[-1] = name.make(*arguments)


def _build(state: _State, _: Any) -> None:
    argument = state.top(tuple)
    state.take(1)
    state.top(PickledArray, PickledType).build(argument)


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


def interpret(pickle: bytes) -> Any:
    """Return what a pickle describes, with arrays as `PickledArray`.

    Raises:
        RefusedError: it has an instruction or a name that does not occur in pickles of arrays.
        ValueError, LookupError, TypeError, AttributeError: its parts do not fit together.
    """
    state = _State()
    for instruction, argument, _ in pickletools.genops(io.BytesIO(pickle)):
        if instruction.name not in _INSTRUCTIONS:
            raise RefusedError(f"has the instruction {instruction.name}")
        _INSTRUCTIONS[instruction.name](state, argument)
    (content,) = state.stack
    return content
