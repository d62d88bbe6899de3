"""How to stylize: one frozen, validated object, and the named presets that users start from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

EncoderName = Literal["compact"]
PresetName = Literal["draft", "standard", "fine"]
Start = Literal["content", "noise", "style"]
OptimizerName = Literal["lbfgs", "adam"]
Normalization = Literal["relative", "mean"]
GramKind = Literal["centered", "raw"]

DEFAULT_PRESET: PresetName = "standard"


def parse_layer_weights(text: str) -> dict[str, float]:
    """Read `relu1_1:1 relu2_1:0.5` into layer name -> weight; a name alone weighs 1.

    Raises:
        ValueError: no layer, a layer named twice, or a weight that is not a number of 0 or more.
    """
    weights: dict[str, float] = {}
    for item in text.replace(",", " ").split():
        name, _, weight = item.partition(":")
        if name in weights:
            raise ValueError(f"layer {name!r} is named twice")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise ValueError(f"{weight!r} is not a number (expected {name}:0.5, say)") from None
    if not weights:
        raise ValueError("expected layers such as 'relu3_2' or 'relu1_1:1 relu2_1:0.5'")
    if not all(0 <= weight < float("inf") for weight in weights.values()) or not any(
        weights.values()
    ):
        raise ValueError("layer weights must be finite, 0 or more, and at least one above 0")
    return weights


def _canonical_layer_weights(text: str) -> str:
    return " ".join(f"{name}:{weight:.12g}" for name, weight in parse_layer_weights(text).items())


DEFAULT_MAX_PIXELS = 200_000_000
"""Lets the largest cameras through (a 200-megapixel phone: 16320 x 12240) at about 4 GB to load."""

LayerWeights = Annotated[str, AfterValidator(_canonical_layer_weights)]


class Settings(BaseModel):
    """Everything besides the two pictures that changes a single pixel of the result.

    Field names are the manifest's column names, the command line's options and the flow's
    parameters. What does not change pixels (where files go, how many rows run at once) is not here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: int = Field(512, ge=16, le=8192, description="longest side of the result, in pixels")
    enlarge: bool = Field(False, description="enlarge pictures that are smaller than size")
    style_scale: float = Field(
        1.0, ge=0.1, le=4.0, description="longest side of the style picture as a share of size"
    )
    content_weight: float = Field(0.05, ge=0, description="weight of the content loss")
    style_weight: float = Field(1.0, ge=0, description="weight of the style loss")
    tv_weight: float = Field(0.5, ge=0, description="weight of the total variation loss")
    content_layers: LayerWeights = Field("relu3_2:1", description="layers of the content loss")
    style_layers: LayerWeights = Field(
        "relu1_1:1 relu1_2:1 relu2_1:1 relu2_2:1 relu3_1:1 relu3_2:1 relu4_1:1",
        description="layers of the style loss",
    )
    normalization: Normalization = Field(
        "relative",
        description="relative: squared error over the target's square; mean: mean squared error",
    )
    gram: GramKind = Field(
        "centered",
        description="centered: of activations less the style's mean; raw: of activations as such",
    )
    match_colors: bool = Field(
        True, description="first give the content the style's mean color and color covariance"
    )
    start: Start = Field("content", description="the picture that the optimization starts from")
    optimizer: OptimizerName = Field("lbfgs", description="L-BFGS or Adam")
    learning_rate: float = Field(0.02, gt=0, le=1, description="step size of Adam; L-BFGS has none")
    steps: int = Field(60, ge=1, le=10_000, description="optimizer steps at each octave")
    octaves: int = Field(
        3, ge=1, le=6, description="sizes worked through, each twice the one before, up to size"
    )
    tolerance: float = Field(
        1e-3,
        ge=0,
        lt=1,
        description="an octave ends when 20 steps lower the loss by less than this share; 0: never",
    )
    seed: int | None = Field(
        None, ge=0, lt=2**31, description="seed of a noise start; empty: derived from the row"
    )
    keep_alpha: bool = Field(False, description="give the result the content's transparency")
    encoder: EncoderName = Field("compact", description="the network that sees")

    @property
    def content_layer_weights(self) -> dict[str, float]:
        """Content layers with weights that sum to 1."""
        return _sum_to_one(parse_layer_weights(self.content_layers))

    @property
    def style_layer_weights(self) -> dict[str, float]:
        """Style layers with weights that sum to 1."""
        return _sum_to_one(parse_layer_weights(self.style_layers))


def _sum_to_one(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


PRESETS: Mapping[PresetName, Settings] = {
    "draft": Settings(size=256, steps=40, octaves=2),
    "standard": Settings(),
    "fine": Settings(size=768, steps=150, octaves=4, tolerance=3e-4),
}


def _overrides_model() -> type[BaseModel]:
    """`Settings` with every field optional and a preset in front: what a user may say of a row."""
    fields: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        said = Field(None, description=field.description)
        constrained = Annotated[field.annotation, Field(), *field.metadata]  # type: ignore[name-defined]
        fields[name] = (constrained | None, said)
    preset: Any = (PresetName | None, Field(None, description="the settings to start from"))
    return create_model(
        "Overrides", __config__=Settings.model_config, __module__=__name__, preset=preset, **fields
    )


if TYPE_CHECKING:
    Overrides: TypeAlias = BaseModel
else:
    Overrides = _overrides_model()
"""What a user may say: a preset and any of the settings; None means: as the preset has it."""


def resolve(*choices: BaseModel | Mapping[str, Any]) -> Settings:
    """Settings from choices of rising precedence; the last preset named is what all start from.

    Args:
        choices: `Overrides`, or mappings of their field names; None values choose nothing.

    Raises:
        pydantic.ValidationError: a name or value that `Overrides` does not admit.
    """
    said: dict[str, Any] = {}
    for choice in choices:
        overrides = choice if isinstance(choice, Overrides) else Overrides.model_validate(choice)
        said |= overrides.model_dump(exclude_none=True)
    preset: PresetName = said.pop("preset", DEFAULT_PRESET)
    return PRESETS[preset].model_copy(update=said)


def preset_names() -> tuple[str, ...]:
    """The presets, from quick to fine."""
    return get_args(PresetName)
