"""Settings of a stylization: one frozen, validated object, and the presets to start from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    create_model,
    model_validator,
)

from nst_core.networks import CATALOGUE
from nst_core.networks.topology import Pooling

EncoderName = Literal[
    "compact", "vgg16", "vgg19", "vgg16-normalized", "vgg19-normalized", "alexnet"
]
PresetName = Literal["draft", "standard", "fine", "article", "gatys", "neural-style"]
Start = Literal["content", "noise", "gray", "style"]
OptimizerName = Literal["lbfgs", "adam"]
Normalization = Literal["relative", "mean", "article", "gatys", "neural-style"]
GramKind = Literal["centered", "raw"]
Clip = Literal["always", "end"]

DEFAULT_ENCODER: EncoderName = "compact"
DEFAULT_PRESET: PresetName = "standard"

SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-15, 1e15
"""Limits of nonzero weights of losses and layers, because weighted losses are summed in float32."""

_RANGE = f"0, or a number from {SMALLEST_WEIGHT:g} to {LARGEST_WEIGHT:g}".replace("e+", "e")


def parse_layer_weights(text: str) -> dict[str, float]:
    """Parse `relu1_1:1 relu2_1:0.5` to layer name -> weight; a name alone has weight 1.

    Raises:
        ValueError: no layer, a layer named twice, or a weight that is not a number or out of range.
    """
    weights: dict[str, float] = {}
    for item in text.replace(",", " ").split():
        name, _, weight = item.partition(":")
        if not name:
            raise ValueError(f"{item!r} names no layer (expected, for example, relu1_1:0.5)")
        if name in weights:
            raise ValueError(f"layer {name!r} is named twice")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise ValueError(
                f"{weight!r} is not a number (expected, for example, {name}:0.5)"
            ) from None
    if not weights:
        raise ValueError("expected layers such as 'relu3_2' or 'relu1_1:1 relu2_1:0.5'")
    if not all(map(_is_weight, weights.values())) or not any(weights.values()):
        raise ValueError(f"layer weights must be {_RANGE}, and at least one must be above 0")
    return {name: _plain_zero(weight) for name, weight in weights.items()}


def _is_weight(weight: float) -> bool:
    return weight == 0 or SMALLEST_WEIGHT <= weight <= LARGEST_WEIGHT


def _plain_zero(number: float) -> float:
    """Turn -0 into 0, so that a row has the same key however it is written."""
    return number + 0.0


def _weight(number: float) -> float:
    if not _is_weight(number):
        raise ValueError(f"expected {_RANGE}")
    return _plain_zero(number)


def _canonical_layer_weights(text: str) -> str:
    return " ".join(f"{name}:{weight:.12g}" for name, weight in parse_layer_weights(text).items())


LayerWeights = Annotated[str, AfterValidator(_canonical_layer_weights)]
Number = Annotated[float, AfterValidator(_plain_zero)]
Weight = Annotated[
    float,
    AfterValidator(_weight),
    # JSON Schema cannot express the gap above 0, so `allowed` describes it for the documents.
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": LARGEST_WEIGHT, "allowed": _RANGE}),
]


class Settings(BaseModel):
    """Everything besides the two pictures that changes a single pixel of the result.

    Field names are the manifest's column names, the command line's options and the flow's
    parameters. Whatever does not change pixels (where files go, how many rows run at once) is not
    a setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: int = Field(512, ge=16, le=8192, description="longest side of the result, in pixels")
    enlarge: bool = Field(False, description="enlarge pictures that are smaller than size")
    style_scale: Number = Field(
        1.0, ge=0.1, le=4.0, description="longest side of the style picture as a share of size"
    )
    content_weight: Weight = Field(0.05, description="weight of the content loss")
    style_weight: Weight = Field(1.0, description="weight of the style loss")
    tv_weight: Weight = Field(0.5, description="weight of the total variation loss")
    content_layers: LayerWeights = Field(
        CATALOGUE[DEFAULT_ENCODER].content_layers,
        description="layers of the content loss, with weights; if empty, the encoder's defaults",
    )
    style_layers: LayerWeights = Field(
        CATALOGUE[DEFAULT_ENCODER].style_layers,
        description="layers of the style loss, with weights; if empty, the encoder's defaults",
    )
    normalization: Normalization = Field(
        "relative",
        description="formula of the losses; relative: squared error divided by the target's "
        "square; mean: mean squared error; the others: as in the recipe of that name",
    )
    gram: GramKind = Field(
        "centered",
        description="Gram matrices: centered (of activations minus the style's mean) or raw",
    )
    match_colors: bool = Field(
        True, description="first give the content the style's mean color and color covariance"
    )
    start: Start = Field(
        "content",
        description="what the optimization starts from; gray: the network's mean color with noise",
    )
    start_noise: Number = Field(
        1.0, ge=0, le=255, description="standard deviation of a gray start's noise, in 8-bit levels"
    )
    optimizer: OptimizerName = Field("lbfgs", description="L-BFGS or Adam")
    learning_rate: Number = Field(
        0.02, ge=1e-9, le=1, description="step size of Adam on pixels from 0 to 1; L-BFGS has none"
    )
    beta_2: Number = Field(0.99, gt=0, le=0.999999, description="decay of Adam's second moment")
    best_of_every: int = Field(
        1, ge=1, le=1000, description="steps between Adam's checks for the best picture so far"
    )
    clip: Clip = Field(
        "always", description="keep pixels between 0 and 1 at every step, or only at the end"
    )
    steps: int = Field(60, ge=1, le=10_000, description="optimizer steps at each octave")
    octaves: int = Field(
        3, ge=1, le=6, description="number of sizes, each twice the one before, up to size"
    )
    tolerance: Number = Field(
        1e-3,
        ge=0,
        lt=1,
        description="an octave ends when 20 steps lower the loss by less than this share; 0: never",
    )
    seed: int | None = Field(
        None, ge=0, lt=2**31, description="seed of the noise; if empty, derived from the row"
    )
    keep_alpha: bool = Field(False, description="give the result the content's transparency")
    encoder: EncoderName = Field(DEFAULT_ENCODER, description="the feature network")
    pooling: Pooling = Field(
        "trained", description="the encoder's pooling: as it was trained, all average, or all max"
    )

    @model_validator(mode="before")
    @classmethod
    def _take_layers_of_the_encoder(cls, values: Any) -> Any:
        encoder = values.get("encoder", DEFAULT_ENCODER) if isinstance(values, Mapping) else None
        if not isinstance(encoder, str) or encoder not in CATALOGUE:
            return values  # the fields themselves reject it
        network = CATALOGUE[encoder]
        layers = {"content_layers": network.content_layers, "style_layers": network.style_layers}
        return layers | values

    @property
    def content_layer_weights(self) -> dict[str, float]:
        """Content layers with weights that sum to 1 (unless the normalization is a plain sum)."""
        return self._layer_weights(self.content_layers)

    @property
    def style_layer_weights(self) -> dict[str, float]:
        """Style layers with weights that sum to 1 (unless the normalization is a plain sum)."""
        return self._layer_weights(self.style_layers)

    def _layer_weights(self, text: str) -> dict[str, float]:
        weights = parse_layer_weights(text)
        return weights if self.normalization == "neural-style" else _sum_to_one(weights)


def _sum_to_one(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


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


def _overrides_model() -> type[BaseModel]:
    """Create the model of what a user may choose: a preset and all `Settings`, each optional."""
    fields: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        optional = Field(None, description=field.description)
        constrained = Annotated[field.annotation, Field(), *field.metadata]  # type: ignore[name-defined]
        fields[name] = (constrained | None, optional)
    preset: Any = (PresetName | None, Field(None, description="the settings to start from"))
    return create_model(
        "Overrides", __config__=Settings.model_config, __module__=__name__, preset=preset, **fields
    )


if TYPE_CHECKING:
    Overrides: TypeAlias = BaseModel
else:
    Overrides = _overrides_model()
"""What a user may choose: a preset and any of the settings; None means the preset's value."""


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
        values |= overrides.model_dump(exclude_none=True)
    preset: PresetName = values.pop("preset", DEFAULT_PRESET)
    return Settings.model_validate({**PRESET_CHOICES[preset], **values})
