"""The options of commands that take a manifest, or lay one out from photographs and styles."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter, validators
from pydantic import SkipValidation

from flows.cli.options import (
    FILE,
    FOLDER,
    LAYOUT,
    NUMBER,
    TEXT,
    WHAT,
    Command,
    Flag,
    all_typed,
    as_typed,
    parameter_of,
    repeatable,
    request_of,
    with_parameters,
)
from flows.cli.terminal import Terminal, refuse
from flows.cli.typed import Typed
from nst_core.errors import UserError
from nst_core.storage.places import place
from nst_core.transfer.presets import Overrides
from tasks.intake.layout.inputs import check_manifest, check_photographs
from tasks.intake.layout.layout import Layout
from tasks.intake.layout.naming import DEFAULT_NAMES, Template
from tasks.intake.layout.pairing import Pairing
from tasks.intake.layout.sweep import one_value, read_sweep
from tasks.option import Option, options_of
from tasks.request import CheckRequest
from tasks.store.output_folder import MANIFEST, OutputFolder


class Asked(NamedTuple):
    """What was asked for.

    Attributes:
        request: an instance of the command's class of requests.
        layout: that of the manifest; None if the manifest is a file.
        typed: the places that were named.
    """

    request: Any
    layout: Layout | None = None
    typed: Typed = Typed()


@dataclass(frozen=True)
class _Option:
    """An option of a layout: its type, its default, and how help shows it."""

    hint: Any
    default: Any
    shown: Parameter

    def parameter(self, name: str) -> inspect.Parameter:
        kind = inspect.Parameter.KEYWORD_ONLY
        annotation: Any = Annotated[self.hint, self.shown]
        return inspect.Parameter(name, kind, default=self.default, annotation=annotation)


def _shown(help_: str, **more: Any) -> Parameter:
    return Parameter(group=LAYOUT, help=help_, **more)


STYLE = _Option(
    tuple[str, ...],
    (),
    _shown(
        "style picture; or a folder or glob, each picture of which is a style; or several with "
        "semicolons between them, which are blended; may be repeated",
        converter=all_typed,
        metavar=f"{FILE}|{FOLDER}",
        negative="",
        show_default=False,
    ),
)
LAYOUT_OPTIONS: Mapping[str, _Option] = {
    "recursive": _Option(
        bool, False, Parameter.combine(Flag, _shown("also take pictures in folders of folders"))
    ),
    "pairing": _Option(
        Pairing,
        "all",
        _shown(
            "all: every photograph in every style; zip: the first in the first style, the second "
            "in the second, and so on; random: each in one style"
        ),
    ),
    "pairing_seed": _Option(
        int,
        0,
        _shown(
            "another number draws other random pairs",
            metavar=NUMBER,
            validator=validators.Number(gte=0),
        ),
    ),
    "names": _Option(
        str,
        "",
        _shown(
            "template of the results' names; its fields are {folder}, {content}, {style} and any "
            "setting, such as {style_weight}",
            metavar=TEXT,
            show_default=lambda _: DEFAULT_NAMES,
        ),
    ),
}
"""The options of every command that lays out rows, besides its contents, styles and settings."""

INPUTS = Parameter(
    group=WHAT,
    help="a manifest: a CSV file (a path, or a URL such as s3://bucket/night.csv) with the columns "
    "content and style; or photographs, if --style is given: files, folders and quoted globs",
    converter=as_typed,
)
PHOTOS = Parameter(
    group=WHAT,
    help="folders and quoted globs of photographs, or files",
    converter=as_typed,
)


def setting_parameters() -> list[inspect.Parameter]:
    """Return the parameters for all settings, each with as many values as wanted."""
    return [repeatable(option) for option in options_of(CheckRequest) if _is_setting(option)]


def layout_parameters() -> list[inspect.Parameter]:
    """Return the parameters of a layout, besides its contents and styles."""
    return [option.parameter(name) for name, option in LAYOUT_OPTIONS.items()]


def _is_setting(option: Option) -> bool:
    return option.name in Overrides.model_fields


def asking_for_rows(
    model: type[CheckRequest],
    names: Collection[str] = (),
    *,
    without: Collection[str] = (),
    with_style: bool = False,
) -> Callable[[Command], Command]:
    """Give a command the options of a request and of a layout; `Asked` becomes its first argument.

    Its arguments are a manifest, or photographs if there is a `--style`. What cannot be used is
    refused before the command begins.

    Args:
        model: the class of the request.
        names: the fields of the request that become options; if empty, all of them.
        without: fields that do not become options.
        with_style: the arguments are photographs, and never a manifest.
    """
    fields = [
        option
        for option in options_of(model)
        if not _is_setting(option)
        and option.name != "manifest"
        and option.name in {*(names or model.model_fields)}.difference(without)
    ]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(*inputs: str, **given: Any) -> int:
            own = {name: given.pop(name) for name in list(given) if name in its_own}
            typed = _named(inputs, given)
            try:
                asked = asked_for(model, inputs, given, with_style=with_style)
            except (UserError, OSError) as error:
                return refuse(Terminal(typed=typed), error)
            return command(asked._replace(typed=typed), **own)

        own = list(inspect.signature(command).parameters.values())[1:]
        its_own = {parameter.name for parameter in own}
        options = [
            *(STYLE.parameter("style"), *layout_parameters(), *map(parameter_of, fields)),
            *setting_parameters(),
        ]
        return with_parameters(run, [_inputs(with_style=with_style), *options, *own])

    return decorate


def _inputs(*, with_style: bool) -> inspect.Parameter:
    """Return the arguments of a command as a parameter."""
    return inspect.Parameter(
        "photos" if with_style else "inputs",
        inspect.Parameter.VAR_POSITIONAL,
        annotation=Annotated[Path, SkipValidation, PHOTOS if with_style else INPUTS],
    )


def _named(inputs: tuple[str, ...], given: Mapping[str, Any]) -> Typed:
    """Return the places that a command line names."""
    others = (str(given[name]) for name in ("output", "cache", "weights") if given.get(name))
    return Typed.of([*inputs, *given.get("style", ()), *others])


def asked_for(
    model: type[CheckRequest],
    inputs: tuple[str, ...],
    given: Mapping[str, Any],
    *,
    with_style: bool = False,
) -> Asked:
    """Return what was asked for, from the arguments and options that were typed.

    Raises:
        UserError: the arguments and options cannot be used.
    """
    is_laid_out = bool(given.get("style")) or with_style
    settings = {name: given[name] for name in Overrides.model_fields if given.get(name)}
    fields = {name: value for name, value in given.items() if name in model.model_fields}
    if not is_laid_out:
        used = [name for name in LAYOUT_OPTIONS if name in given]
        manifest = check_manifest(inputs, used)
        typed = {name: one_value(name, texts) for name, texts in settings.items()}
        return Asked(request_of(model, {**fields, **typed, "manifest": manifest}))
    check_photographs(inputs, given.get("style", ()))
    options = {name: given[name] for name in LAYOUT_OPTIONS if name in given}
    layout = layout_of(inputs, given["style"], options, settings)
    output = fields.get("output")
    laid_out = OutputFolder(place(output)).manifest if output else Path.cwd() / MANIFEST
    return Asked(request_of(model, {**fields, "manifest": laid_out}), layout)


def layout_of(
    contents: tuple[str, ...],
    styles: tuple[str, ...],
    options: Mapping[str, Any],
    settings: Mapping[str, tuple[str | bool, ...]],
) -> Layout:
    """Return a layout from what was typed.

    Raises:
        LayoutError: a setting or a template cannot be used.
    """
    return Layout(
        contents=contents,
        styles=styles,
        **{**options, "names": Template(options.get("names", ""))},
        sweep=read_sweep(settings),
    )
