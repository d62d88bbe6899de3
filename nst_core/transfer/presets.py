"""Presets: the settings to start from, and what a user may choose instead."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
)

from nst_core.transfer.file_settings import FileSettings
from nst_core.transfer.setting_types import one_type
from nst_core.transfer.settings import Settings

PresetName = Literal["draft", "standard", "fine", "article", "gatys", "neural-style"]

DEFAULT_PRESET: PresetName = "standard"

_PUBLISHED_RECIPE: Mapping[str, Any] = {
    "gram": "raw",
    "match_colors": False,
    "octaves": 1,
    "tolerance": 0,
    "clip": "end",
}
"""What the recipes that others published have in common."""

PRESET_CHOICES: Mapping[PresetName, Mapping[str, Any]] = {
    "draft": {"size": 256, "steps": 40, "octaves": 2},
    "standard": {},
    "fine": {"size": 768, "steps": 150, "octaves": 4, "tolerance": 3e-4},
    "article": {
        **_PUBLISHED_RECIPE,
        "encoder": "vgg16",
        "pooling": "average",
        "content_layers": "conv4_2",
        "style_layers": "conv1_1 conv2_1 conv3_1 conv4_1 conv5_1",
        "normalization": "article",
        "content_weight": 1,
        "style_weight": 1000,
        "tv_weight": 0,
        "start": "gray",
        "start_noise": 1,
        "optimizer": "adam",
        "learning_rate": 1 / 255,
        "beta_2": 0.999,
        "best_of_every": 5,
        "steps": 1000,
    },
    "gatys": {
        **_PUBLISHED_RECIPE,
        "encoder": "vgg19-normalized",
        "pooling": "average",
        "normalization": "gatys",
        "content_weight": 1,
        "style_weight": 3e8,
        "tv_weight": 0,
        "start": "gray",
        "start_noise": 1,
        "steps": 500,
    },
    "neural-style": {
        **_PUBLISHED_RECIPE,
        "encoder": "vgg19",
        "normalization": "neural-style",
        "content_weight": 5,
        "style_weight": 100,
        "tv_weight": 1e-3,
        "start": "gray",
        "start_noise": 1e-3,
        "steps": 1000,
    },
}
"""What each preset chooses; docs/recipes.md gives the sources of the last three."""

PRESETS: Mapping[PresetName, Settings] = MappingProxyType(
    {name: Settings.model_validate(choices) for name, choices in PRESET_CHOICES.items()}
)

presets = PRESETS
"""The name of `PRESETS` in the public API, `nst_core.presets`."""


def _with_one_type_each(schema: dict[str, Any]) -> None:
    """Change a JSON schema so that forms have one input for each setting."""
    schema["properties"] = {name: one_type(each) for name, each in schema["properties"].items()}


class _Choices(BaseModel):
    """What `Overrides` is besides its fields; in JSON, it has only what is chosen."""

    model_config = ConfigDict(**Settings.model_config, json_schema_extra=_with_one_type_each)

    @model_serializer(mode="wrap")
    def _without_none_in_json(
        self, dump: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        if info.mode != "json":
            return values
        return {name: value for name, value in values.items() if value is not None}


def _overrides_model() -> type[BaseModel]:
    """Create the model of what a user may choose: a preset and all `Settings`, each optional."""
    fields: dict[str, Any] = {}
    # The settings of files come last: people look for those of the look first.
    of_files = FileSettings.model_fields
    of_look = {name: each for name, each in Settings.model_fields.items() if name not in of_files}
    for name, field in {**of_look, **of_files}.items():
        optional = Field(None, description=field.description)
        constrained = Annotated[field.annotation, Field(), *field.metadata]  # type: ignore[name-defined]
        fields[name] = (constrained | None, optional)
    preset: Any = (PresetName | None, Field(None, description="the settings to start from"))
    return create_model(
        "Overrides", __base__=_Choices, __module__=__name__, preset=preset, **fields
    )


if TYPE_CHECKING:
    Overrides: TypeAlias = BaseModel
else:
    Overrides = _overrides_model()
"""What a user may choose: a preset and any of the settings; None means the preset's value."""


@cache
def setting_schemas() -> Mapping[str, Mapping[str, Any]]:
    """Return the JSON schemas of `preset` and of all settings, by name."""
    properties: Mapping[str, Mapping[str, Any]] = Overrides.model_json_schema()["properties"]
    return MappingProxyType(properties)


def resolve(*choices: BaseModel | Mapping[str, Any]) -> Settings:
    """Return settings from choices of increasing precedence, based on the last preset among them.

    Args:
        choices: `Overrides`, or mappings with its field names; None values choose nothing.

    Raises:
        pydantic.ValidationError: `Overrides` does not allow a name or value.
    """
    values: dict[str, Any] = {}
    for choice in choices:
        overrides = choice if isinstance(choice, Overrides) else Overrides.model_validate(choice)
        values = _combined(values, overrides.model_dump(exclude_none=True))
    preset: PresetName = values.pop("preset", DEFAULT_PRESET)
    return Settings.model_validate(_combined(PRESET_CHOICES[preset], values))


def _combined(values: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return all these values; a later one of `match_colors` also replaces an earlier `color`."""
    is_replaced = "match_colors" in later and "color" not in later
    kept = {name: value for name, value in values.items() if name != "color" or not is_replaced}
    return {**kept, **later}
