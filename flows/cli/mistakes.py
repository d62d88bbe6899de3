"""What is wrong with a command line, in our words: an error, and a hint where there is one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from cyclopts import App, validators
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from flows.cli.terminal import as_error
from nst_core.errors import UserError
from nst_core.transfer.allowed import SWITCH, nearest, one_of

if TYPE_CHECKING:
    from cyclopts.argument import Argument

PROGRAM = "nst-batch"


def explained(error: CycloptsError) -> str:
    """Return what is wrong with a command line, as lines that begin with `error:` or `hint:`."""
    match error:
        case UnknownOptionError():
            wrong, hint = _unknown_option(error)
        case UnknownCommandError():
            wrong, hint = _unknown_command(error)
        case MissingArgumentError():
            wrong, hint = _missing(error)
        case UnusedCliTokensError():
            wrong, hint = _too_many(error)
        case CoercionError() | ValidationError() if error.argument is not None:
            wrong, hint = _wrong_value(error, error.argument)
        case _:
            wrong, hint = str(error), ""
    return as_error(wrong) + (f"\nhint: {hint}" if hint else "")


FOLDERS = ("folder", "CSV file")
"""How the help of places begins, which has no article."""


def _too_many(error: UnusedCliTokensError) -> tuple[str, str]:
    typed = (error.unused_tokens or [""])[0]
    # That module imports this one.
    from flows.cli.app import app

    command = app
    for name in error.command_chain or ():
        command = command[name]
    named = [each for each in command.assemble_argument_collection() if each.index is not None]
    if not named:
        return f"{_command(error)} takes no names; found {typed!r}", _help(error)
    is_of_files = any(not get_args(each.hint) or Path in get_args(each.hint) for each in named)
    hint = "put quotes around names and globs: the shell splits or expands them"
    return f"{typed!r} is one argument too many", hint if is_of_files else _help(error)


def _command(error: CycloptsError) -> str:
    return " ".join([PROGRAM, *(error.command_chain or ())])


def _help(error: CycloptsError) -> str:
    return f"`{_command(error)} --help` shows the options and an example"


def _unknown_option(error: UnknownOptionError) -> tuple[str, str]:
    typed = (error.token.keyword or error.token.value).partition("=")[0]
    wrong = f"{typed}: {_command(error)} has no such option"
    names = [name for one in error.argument_collection if one.parse for name in one.names]
    if near := _nearest_option(typed, names):
        return wrong, f"did you mean {near}?"
    elsewhere = [name for name, options in _options_of_commands() if typed in options]
    if elsewhere:
        return wrong, f"{typed} is an option of {PROGRAM} {', '.join(elsewhere)}"
    return wrong, _help(error)


def _nearest_option(typed: str, names: Sequence[str]) -> str:
    """Return the option that is most like what was typed; the dashes do not count."""
    by_name = {name.lstrip("-"): name for name in names if name.startswith("--")}
    near = nearest(typed.lstrip("-").replace("_", "-"), list(by_name))
    return by_name.get(near, "")


def _options_of_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield the commands with the names of their options."""
    # That module imports this one.
    from flows.cli.app import app

    for name in app:
        if not name.startswith("-") and app[name].default_command is not None:
            arguments = app[name].assemble_argument_collection()
            yield name, [option for argument in arguments for option in argument.names]


def _unknown_command(error: UnknownCommandError) -> tuple[str, str]:
    typed = (error.unused_tokens or [""])[0]
    names = _commands(error.app)
    near = nearest(typed, names)
    hint = f"did you mean {near}?" if near else f"the commands are {', '.join(names)}"
    hint = f"{PROGRAM} --help" if typed == "help" else hint
    whole = " ".join([*(error.command_chain or ()), typed])
    return f"there is no command {whole!r}", hint


def _commands(app: App | None) -> list[str]:
    return sorted(name for name in app or () if not name.startswith("-"))


def _missing(error: MissingArgumentError) -> tuple[str, str]:
    assert error.argument is not None
    what = (error.argument.parameter.help or "").partition(";")[0]
    what = f"a {what}" if what.startswith(FOLDERS) else what
    expected = f"; expected {what}" if what else ""
    if error.keyword:
        return f"{error.keyword}: found nothing after it{expected}", _help(error)
    return f"{error.argument.name} is missing{expected}", _help(error)


def _wrong_value(error: CoercionError | ValidationError, argument: "Argument") -> tuple[str, str]:
    token = getattr(error, "token", None) or (argument.tokens or (None,))[0]
    typed = token.value if token is not None else ""
    name = (token.keyword if token is not None else "") or argument.name
    if isinstance(error.__cause__, UserError):
        return f"{name}: {error.__cause__}", ""
    choices = [value for value in get_args(argument.hint) if isinstance(value, str)]
    if choices:
        near = nearest(typed, choices)
        return _found(name, typed, f"expected {one_of(choices)}"), near and f"did you mean {near}?"
    if argument.hint is bool or bool in get_args(argument.hint):
        off = next((each for each in argument.names if each.startswith("--no-")), "")
        plain = f"or just {name}{f' or {off}' if off else ''}"
        return _found(name, typed, f"{SWITCH}, {plain}"), ""
    if {int, float}.isdisjoint((argument.hint, *get_args(argument.hint))):
        return f"{name}: {error}", ""
    return _found(name, typed, f"expected {_number(argument)}"), ""


def _found(name: str, typed: str, expected: str) -> str:
    return f"{name}: found {typed!r}; {expected}"


def _number(argument: "Argument") -> str:
    """Return the numbers that an option takes, such as `a number above 0, at most 50`."""
    kinds = (argument.hint, *get_args(argument.hint))
    text = "a whole number" if int in kinds else "a number"
    words = {"gt": " above", "gte": " from", "lt": ", below", "lte": ", at most"}
    limits: Any = argument.parameter.validator or ()
    for limit in limits:
        if isinstance(limit, validators.Number):
            known = ((word, getattr(limit, key)) for key, word in words.items())
            text += "".join(f"{word} {value:g}" for word, value in known if value is not None)
    return text
