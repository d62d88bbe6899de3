"""The options of commands: those of a run, made from `tasks.request`, and shared ones."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import Group, Parameter, Token, validators
from pydantic import SkipValidation, ValidationError
from pydantic_core import ErrorDetails

from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.places import Place, place, redacted
from nst_core.transfer.allowed import expected_by
from nst_core.transfer.presets import DEFAULT_PRESET
from tasks.option import Option, options_of, schemas_of
from tasks.option_types import Group as OfRequest
from tasks.request import CheckRequest

if TYPE_CHECKING:
    from nst_core.networks.store import WeightStore

ROW_OPTIONS = ("manifest", "output", "settings", "weights", "cache", "max_pixels")
"""The fields of a request that matter for its rows alone, and not for how and where they run."""

WHAT = Group.create_ordered(OfRequest.WHAT)
LAYOUT = Group.create_ordered(
    "Which photographs get which styles",
    help="For photographs with --style, not for a manifest. A setting may then also have several "
    "values, such as --style-weight 1,3,10: every picture is made with each of them.",
)
OFTEN = Group.create_ordered(OfRequest.OFTEN)
LOOK = Group.create_ordered(
    OfRequest.LOOK,
    help="These settings apply to all rows, but a row's own cells take precedence. The defaults "
    f"are those of the preset {DEFAULT_PRESET}; `nst-batch presets` shows the other presets.",
)
WHEN = Group.create_ordered("When it runs")
WHERE = Group.create_ordered(OfRequest.WHERE)
OUTPUT = Group.create_ordered(OfRequest.OUTPUT)
GROUPS = {
    OfRequest.WHAT: WHAT,
    OfRequest.OFTEN: OFTEN,
    OfRequest.LOOK: LOOK,
    OfRequest.WHERE: WHERE,
    OfRequest.OUTPUT: OUTPUT,
}

Command = Callable[..., int]


def to_place(_: object, tokens: Sequence[Token]) -> Place:
    """Return the place that was typed."""
    return place(tokens[0].value)


def to_places(_: object, tokens: Sequence[Token]) -> tuple[Place, ...]:
    """Return the places that were typed."""
    return tuple(place(token.value) for token in tokens)


def all_typed(_: object, tokens: Sequence[Token]) -> tuple[str | bool, ...]:
    """Return everything that was typed for an option that may be repeated."""
    return tuple(
        token.implicit_value if isinstance(token.implicit_value, bool) else token.value
        for token in tokens
    )


def as_typed(_: object, tokens: Sequence[Token]) -> str:
    """Return what was typed, for a request to read and check."""
    return tokens[0].value


FILE, FOLDER, NUMBER, TEXT = "FILE", "FOLDER", "NUMBER", "TEXT"
"""How help shows the types of values, in the words of users; files and folders may be URLs."""

FileOption = Annotated[Place, Parameter(converter=to_place, metavar=FILE)]
FolderOption = Annotated[Place, Parameter(converter=to_place, metavar=FOLDER)]
TextOption = Annotated[str, Parameter(metavar=TEXT)]


def described(name: str) -> Parameter:
    """Return the help of a request's option, for commands that have the same option."""
    option = next(each for each in options_of(CheckRequest) if each.name == name)
    return Parameter(help=option.field.description, show_default=lambda _: option.default)


Cache = Annotated[FolderOption | None, described("cache")]
WeightsPath = Annotated[Path | None, described("weights"), Parameter(metavar=f"{FILE}|{FOLDER}")]
Flag = Parameter(negative="", show_default=False)
Json = Annotated[bool, Flag, Parameter(help="print the result as JSON")]
OutputJson = Annotated[Json, Parameter(group=OUTPUT)]
"""The same as `Json`, for commands whose options are in groups."""
Verbose = Annotated[
    bool, Flag, Parameter(group=OUTPUT, help="show the logs of Prefect and TensorFlow")
]
Quiet = Annotated[
    bool, Flag, Parameter(name=["--quiet", "-q"], group=OUTPUT, help="print nothing but errors")
]
DryRun = Annotated[
    bool, Flag, Parameter(group=WHAT, help="only show what would run, as `nst-batch plan` does")
]
ShowRows = Annotated[bool, Flag, Parameter(group=OUTPUT, help="also show every row")]


def _number(help_: str, limits: validators.Number) -> Parameter:
    return Parameter(help=help_, validator=limits, show_default="{:g}".format, metavar=NUMBER)


Side = Annotated[int, _number("longest side, in pixels", validators.Number(gte=16))]
Seconds = Annotated[
    float, _number("seconds until the result of a row appears", validators.Number(gt=0, lte=600))
]
BlendSteps = Annotated[int, Parameter(metavar=NUMBER, validator=validators.Number(gte=2, lte=32))]
Fps = Annotated[float, _number("frames per second of a film", validators.Number(gt=0, lte=50))]


def weight_store(weights: Path | None, cache: Place | None) -> "WeightStore":
    """Return the places that are searched for weights."""
    # Help does not need this module, which reads files.
    from nst_core.networks.store import WeightStore

    return WeightStore.of_user(weights, cache)


def asking(
    model: type[CheckRequest], names: Collection[str] = (), *, without: Collection[str] = ()
) -> Callable[[Command], Command]:
    """Give a command the options of a request, which becomes its first argument.

    The manifest is a positional argument; the other fields, and each of the settings, are options.
    A request that cannot be used is refused before the command begins.

    Args:
        model: the class of the request.
        names: the fields that become options; if empty, all of them.
        without: fields that do not become options.
    """
    asked = set(names or model.model_fields).difference(without)
    options = [
        option
        for option in options_of(model)
        if (option.name if option.name in model.model_fields else "settings") in asked
    ]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(manifest: str, **given: Any) -> int:
            typed = {each.name: given.pop(each.name) for each in options if each.name in given}
            try:
                request = request_of(model, typed | {"manifest": manifest})
            except UserError as error:
                return refuse(Terminal(), error)
            return command(request, **given)

        own = list(inspect.signature(command).parameters.values())[1:]
        return with_parameters(run, [*map(parameter_of, options), *own])

    return decorate


def with_parameters(command: Command, parameters: Sequence[inspect.Parameter]) -> Command:
    """Return a command with these parameters, which become its options."""
    # Cyclopts reads the options from here.
    ordered = sorted(parameters, key=lambda each: each.kind)
    command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    return command


def request_of(model: type[CheckRequest], typed: Mapping[str, Any]) -> CheckRequest:
    """Return a request from what was typed, by the names of its fields and settings.

    Raises:
        UserError: it cannot be used; the message has one line for each error.
    """
    fields = {name: value for name, value in typed.items() if name in model.model_fields}
    settings = {name: value for name, value in typed.items() if name not in fields}
    try:
        return model.model_validate({**fields, "settings": settings})
    except ValidationError as error:
        raise UserError(_faults_of(error, model)) from error


def repeatable(option: Option) -> inspect.Parameter:
    """Return a setting as a parameter that takes several values, as a tuple of what was typed."""
    shown = Parameter(
        group=GROUPS[option.group],
        help=option.field.description,
        converter=all_typed,
        metavar=_metavar_of_several(option),
        negative=f"--no-{option.name.replace('_', '-')}" if is_flag(option) else "",
        show_default=bool(option.default) and (lambda _: option.default),
    )
    hint = next(each for each in get_args(option.field.annotation) if each is not NoneType)
    # Cyclopts recognizes a switch only by the plain type.
    several: Any = tuple[bool, ...] if is_flag(option) else tuple[hint, ...]  # type: ignore[valid-type]
    annotation: Any = Annotated[several, SkipValidation, shown]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.name, kind, default=None, annotation=annotation)


def is_flag(option: Option) -> bool:
    """Return whether an option is a switch, which is on or off."""
    return bool in _kinds(option.field.annotation)


def parameter_of(option: Option) -> inspect.Parameter:
    """Return an option as a parameter of a function, with the text that help shows for it."""
    hint = option.field.annotation
    shown = Parameter(
        group=GROUPS[option.group],
        help=option.field.description,
        alias="-o" if option.name == "output" else None,
        converter=None if is_flag(option) else as_typed,
        metavar=_metavar(option),
        # A setting that a preset switches on can be switched off; other flags are off anyway.
        negative="" if hint is bool else None,
        show_default=bool(option.default) and hint is not bool and (lambda _: option.default),
    )
    is_manifest = option.name == "manifest"
    return inspect.Parameter(
        option.name,
        inspect.Parameter.POSITIONAL_ONLY if is_manifest else inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if option.field.is_required() else None,
        # The request checks the text, so that it can report all errors at once.
        annotation=Annotated[Path if option.is_place else hint, SkipValidation, shown],
    )


def _metavar(option: Option) -> str | None:
    """Return the type that help shows for an option; None if it shows the choices instead."""
    if option.name == "weights":
        return f"{FILE}|{FOLDER}"
    if option.is_place:
        return FILE if option.name == "manifest" else FOLDER
    kinds = _kinds(option.field.annotation)
    return TEXT if str in kinds else NUMBER if kinds & {int, float} else None


def _metavar_of_several(option: Option) -> str:
    """Return the type that help shows for a setting that may have several values."""
    if is_flag(option):
        return ""
    kinds = _kinds(option.field.annotation)
    return TEXT if str in kinds else f"{NUMBER if kinds & {int, float} else 'CHOICE'},..."


def _kinds(hint: object) -> frozenset[type]:
    """Return the types that a hint consists of."""
    if isinstance(hint, type):
        return frozenset((hint,))
    return frozenset().union(*map(_kinds, get_args(hint)))


def _faults_of(error: ValidationError, model: type[CheckRequest]) -> str:
    """Return what is wrong with the options of a request, with one line for each error."""
    schemas = schemas_of(model)
    return "\n".join(_fault(fault, schemas) for fault in error.errors())


def _fault(fault: ErrorDetails, schemas: Mapping[str, Mapping[str, Any]]) -> str:
    reason = fault.get("ctx", {}).get("error")
    if isinstance(reason, UserError):
        return str(reason)
    # In `loc`, the name of a setting follows `settings`.
    name = str(fault["loc"][fault["loc"][0] == "settings"])
    found = redacted(str(fault["input"]))
    return f"--{name.replace('_', '-')}: found {found!r}; {expected_by(fault, schemas[name])}"
