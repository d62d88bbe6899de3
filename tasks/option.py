"""The options of a request, one by one: for help, documents, and the flow's docstring."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import TextWrapper
from typing import Any, TypeVar

from pydantic.fields import FieldInfo

from nst_core.storage.places import Place, PlaceField
from nst_core.transfer.file_settings import FileSettings
from nst_core.transfer.presets import DEFAULT_PRESET, PRESETS, Overrides
from tasks.option_types import Group, Shown
from tasks.request import BatchRequest, CheckRequest

Function = TypeVar("Function", bound=Callable[..., object])


OFTEN_WANTED = ("preset", "size", "style_weight", "strength", "color", "format")
"""The settings that most people look for, in a group of their own before all others."""


@dataclass(frozen=True)
class Option:
    """One option of a run: a field of a request, or one of its settings.

    Attributes:
        name: the field's name.
        group: the group in which help and documents show it.
        field: the field itself.
        default: what applies if the option is not given; empty if the description says this, if
            the option is required, or if nothing happens without it.
    """

    name: str
    group: Group
    field: FieldInfo
    default: str = ""

    @property
    def is_place(self) -> bool:
        """Whether its value is a path or a URL."""
        return self.field.annotation in (Place, PlaceField | None)


def options_of(request: type[CheckRequest]) -> Iterator[Option]:
    """Yield every option of a request, with its settings one by one in the place of `settings`."""
    for name, field in request.model_fields.items():
        shown = next(each for each in field.metadata if isinstance(each, Shown))
        if name == "settings":
            yield from _settings(shown.group)
        else:
            is_open = field.default is None or field.is_required()
            default = "" if is_open else _written(field.default)
            yield Option(name, shown.group, field, shown.unless_given or default)


def _settings(of_look: Group) -> Iterator[Option]:
    defaults = {"preset": DEFAULT_PRESET, **PRESETS[DEFAULT_PRESET].model_dump()}
    # The defaults of layers are the encoder's, not the preset's, and their descriptions say so.
    of_the_encoder = {"content_layers": "", "style_layers": ""}
    for name, field in Overrides.model_fields.items():
        default = (defaults | of_the_encoder)[name]
        group = Group.OUTPUT if name in FileSettings.model_fields else of_look
        group = Group.OFTEN if name in OFTEN_WANTED else group
        yield Option(name, group, field, "" if default is None else _written(default))


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def schemas_of(request: type[CheckRequest]) -> dict[str, Mapping[str, Any]]:
    """Return the JSON schemas of all fields of a request, and of its settings, by name."""
    schema = request.model_json_schema()
    return {**schema["properties"], **schema["$defs"]["Overrides"]["properties"]}


def without_empty(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flow's parameters without those that mean nothing: empty texts, and 0 for none."""
    fields = BatchRequest.model_fields
    return {
        name: value
        for name, value in parameters.items()
        if fields[name].default is not None or value not in ("", 0)
    }


def with_arguments(function: Function) -> Function:
    """Add the fields of `BatchRequest` to a function's docstring, as its arguments.

    The Prefect UI shows the descriptions of a flow's parameters from there.
    """
    wrap = TextWrapper(96, initial_indent="    ", subsequent_indent="        ").fill
    lines = [f"{name}: {text}" for name, text in _arguments()]
    function.__doc__ = "\n".join([function.__doc__ or "", "", "Args:", *map(wrap, lines)])
    return function


def _arguments() -> Iterator[tuple[str, str]]:
    for name, field in BatchRequest.model_fields.items():
        shown = next(each for each in field.metadata if isinstance(each, Shown))
        default = f"; if not given: {shown.unless_given}" if shown.unless_given else ""
        yield name, f"{field.description}{default}."
