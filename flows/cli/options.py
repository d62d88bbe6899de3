"""The options of commands: those of a run, made from `tasks.request`, and shared ones."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import Group, Parameter, Token, validators
from pydantic import SkipValidation, ValidationError
from pydantic_core import ErrorDetails

from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.storage.places import Place, place, redacted
from nst_core.transfer.presets import DEFAULT_PRESET
from tasks.option import Option, options_of
from tasks.option_types import Group as OfRequest
from tasks.request import CheckRequest
from tasks.row import expected_by

if TYPE_CHECKING:
    from nst_core.networks.store import WeightStore

ROW_OPTIONS = ("manifest", "output", "settings", "weights", "cache", "max_pixels")
"""The fields of a request that matter for its rows alone, and not for how and where they run."""

WHAT = Group.create_ordered(OfRequest.WHAT)
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


def as_typed(_: object, tokens: Sequence[Token]) -> str:
    """Return what was typed, for a request to read and check."""
    return tokens[0].value


PATH_OR_URL, TEXT = "PATH|URL", "TEXT"
"""How help shows the types of values that Python's types would show in a way foreign to users."""

PlaceOption = Annotated[Place, Parameter(converter=to_place, metavar=PATH_OR_URL)]
TextOption = Annotated[str, Parameter(metavar=TEXT)]


def described(name: str) -> Parameter:
    """Return the help of a request's option, for commands that have the same option."""
    option = next(each for each in options_of(CheckRequest) if each.name == name)
    return Parameter(help=option.field.description, show_default=lambda _: option.default)


Cache = Annotated[PlaceOption | None, described("cache")]
WeightsPath = Annotated[Path | None, described("weights")]
Flag = Parameter(negative="", show_default=False)
Json = Annotated[bool, Flag, Parameter(help="print the result as JSON")]
OutputJson = Annotated[Json, Parameter(group=OUTPUT)]
"""The same as `Json`, for commands whose options are in groups."""


def _number(help_: str, limits: validators.Number) -> Parameter:
    return Parameter(help=help_, validator=limits, show_default="{:g}".format)


Side = Annotated[int, _number("longest side, in pixels", validators.Number(gte=16))]
Seconds = Annotated[
    float, _number("seconds until the result of a row appears", validators.Number(gt=0, lte=600))
]
BlendSteps = Annotated[int, Parameter(validator=validators.Number(gte=2, lte=32))]
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
                request = _request(model, typed | {"manifest": manifest})
            except ValidationError as error:
                return refuse(Terminal(), UserError(_faults_of(error)))
            return command(request, **given)

        own = list(inspect.signature(command).parameters.values())[1:]
        # Cyclopts reads the options from here.
        parameters = sorted([*map(_parameter, options), *own], key=lambda each: each.kind)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def _request(model: type[CheckRequest], typed: Mapping[str, Any]) -> CheckRequest:
    """Return a request from what was typed, by the names of its fields and settings."""
    fields = {name: value for name, value in typed.items() if name in model.model_fields}
    settings = {name: value for name, value in typed.items() if name not in fields}
    return model.model_validate({**fields, "settings": settings})


def _parameter(option: Option) -> inspect.Parameter:
    """Return an option as a parameter of a function, with the text that help shows for it."""
    hint = option.field.annotation
    is_flag = bool in (hint, *get_args(hint))
    shown = Parameter(
        group=GROUPS[option.group],
        help=option.field.description,
        alias="-o" if option.name == "output" else None,
        converter=None if is_flag else as_typed,
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
    """Return the type that help shows for an option; None for the name of its Python type."""
    if option.is_place:
        return PATH_OR_URL
    return TEXT if _is_text(option.field.annotation) else None


def _is_text(hint: object) -> bool:
    return hint is str or any(map(_is_text, get_args(hint)))


def _faults_of(error: ValidationError) -> str:
    """Return what is wrong with the options of a request, with one line for each error."""
    return "\n".join(map(_fault, error.errors()))


def _fault(fault: ErrorDetails) -> str:
    reason = fault.get("ctx", {}).get("error")
    if isinstance(reason, UserError):
        return str(reason)
    # In `loc`, the name of a setting follows `settings`.
    name = str(fault["loc"][fault["loc"][0] == "settings"]).replace("_", "-")
    return f"--{name}: found {redacted(str(fault['input']))!r}; {expected_by(fault['msg'])}"
