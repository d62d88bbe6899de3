"""Settings of a stylization: one frozen, validated object."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import (
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from nst_core.networks import CATALOGUE
from nst_core.networks.topology import Pooling
from nst_core.transfer.file_settings import FileSettings
from nst_core.transfer.setting_types import (
    LayerWeights,
    Number,
    Rotations,
    Size,
    StyleBlend,
    StyleLosses,
    Weight,
    parse_layer_weights,
    parse_style_losses,
    sum_to_one,
)
from nst_core.transfer.setting_versions import later_defaults_of
from nst_core.transfer.style_losses.costs import COSTS, GRAM

EncoderName = Literal[
    "compact", "vgg16", "vgg19", "vgg16-normalized", "vgg19-normalized", "alexnet"
]
Color = Literal["match", "style", "content"]
ColorSpace = Literal["srgb", "content"]
ColorMatch = Literal["symmetric", "pca", "cholesky", "histogram"]
TvKind = Literal["l2", "l1", "9-point"]
Start = Literal["content", "noise", "gray", "style"]
OptimizerName = Literal["lbfgs", "adam"]
Normalization = Literal["relative", "mean", "article", "gatys", "neural-style"]
GramKind = Literal["centered", "raw"]
Decay = Literal["constant", "exponential", "cosine"]
ContentMeasure = Literal["features", "self-similarity"]
Clip = Literal["always", "end"]
Precision = Literal["tf32", "float32", "bfloat16"]
StyleMix = Literal["blend", "octaves", "layers"]

DEFAULT_ENCODER: EncoderName = "compact"


def _color_of(settings: Mapping[str, Any]) -> Color:
    """Return the color that `match_colors`, the earlier setting, means."""
    return "match" if settings.get("match_colors", True) else "style"


class Settings(FileSettings):
    """Everything besides the two pictures that changes a single byte of a result.

    Field names are the manifest's column names, the command line's options and the flow's
    parameters. Whatever does not change a result (where files go, how many rows run at once) is not
    a setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: Size = Field(512, description="longest side in pixels, or original: the content's own")
    enlarge: bool = Field(False, description="enlarge pictures that are smaller than size")
    style_scale: Number = Field(
        1.0, ge=0.1, le=4.0, description="longest side of the style picture as a share of size"
    )
    style_blend: StyleBlend = Field(
        "",
        description="weights of a row's styles, such as '1; 3'; if empty, all weigh the same",
    )
    style_mix: StyleMix = Field(
        "blend",
        description="how a row's styles are put together: each has its share of everything "
        "(blend), or the first has the coarse octaves and the last the fine ones (octaves), or the "
        "first has the deep layers and the last the shallow ones (layers)",
    )
    style_rotations: Rotations = Field(
        1,
        description="directions in which the style is seen: its own, also turned by 180 degrees "
        "(2), or turned by 90, 180 and 270 degrees (4)",
    )
    strength: Number = Field(
        1.0, ge=0, le=1, description="strength of the style, from 0 (the content as it is) to 1"
    )
    content_weight: Weight = Field(0.05, description="weight of the content loss")
    style_weight: Weight = Field(1.0, description="weight of the style loss")
    tv_weight: Weight = Field(0.5, description="weight of the total variation loss")
    normalize_gradients: bool = Field(
        False,
        description="scale the losses by their gradients, so that the same weights have about the "
        "same effect with every encoder, normalization and style loss",
    )
    tv_kind: TvKind = Field(
        "l2",
        description="kind of total variation: of squares, as the normalization defines it (l2), of "
        "absolute values (l1), or of squares of differences from all eight neighbors (9-point)",
    )
    temporal_weight: Weight = Field(
        10,
        description="weight of the temporal loss, which only the frames of a sequence have that "
        "follow another one: of squared differences from the frame before, moved to this one",
    )
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
    style_measure: StyleLosses = Field(
        GRAM,
        description=f"what the style loss compares: {', '.join(COSTS)}, or several with weights, "
        "such as gram:1 moments:0.5",
    )
    content_measure: ContentMeasure = Field(
        "features",
        description="what the content loss compares: features, or self-similarity (how different "
        "the parts of the picture are from each other)",
    )
    match_colors: bool = Field(
        True, description="earlier form of color: on is match, off is style; color takes precedence"
    )
    color: Color = Field(
        default_factory=_color_of,
        description="match: first give the content the style's colors; style: do not; content: "
        "finally give the result the content's colors, and keep only its lightness",
    )
    color_match: ColorMatch = Field(
        "symmetric",
        description="how colors are matched: by mean and covariance (symmetric, pca or cholesky), "
        "or by histogram",
    )
    color_space: ColorSpace = Field(
        "srgb", description="the space of colors: srgb, or that of the content's ICC profile"
    )
    mask_feather: Number = Field(
        0.01,
        ge=0,
        le=0.5,
        description="how far the borders of the content's mask fade to each side, as a share of "
        "the longest side; 0: hard edges",
    )
    alpha_mask: bool = Field(
        False, description="let transparency be the mask of pictures without another mask"
    )
    start: Start = Field(
        "content",
        description="what the optimization starts from; gray: the network's mean color with noise",
    )
    start_noise: Number = Field(
        1.0, ge=0, le=255, description="standard deviation of a gray start's noise, in 8-bit levels"
    )
    start_blend: Number = Field(
        0.0, ge=0, le=1, description="share of random noise in the start; 0: none, 1: only noise"
    )
    optimizer: OptimizerName = Field("lbfgs", description="L-BFGS or Adam")
    learning_rate: Number = Field(
        0.02, ge=1e-9, le=1, description="step size of Adam on pixels from 0 to 1; L-BFGS has none"
    )
    learning_rate_decay: Decay = Field(
        "constant",
        description="how the learning rate falls during each octave; it changes every 10 steps",
    )
    learning_rate_end: Number = Field(
        0.1, ge=0.001, le=1, description="share of the learning rate that is left at the end"
    )
    average: Number = Field(
        0.0,
        ge=0,
        le=0.9999,
        description="decay of the exponential mean of Adam's iterates, which is then the result; "
        "0: the result is the best iterate",
    )
    carry_state: bool = Field(
        False, description="let Adam continue at the next octave with its moments, resized"
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
    precision: Precision = Field(
        "tf32",
        description="how each step is rounded; tf32: factors to 11 bits on GPUs that can do so, "
        "and elsewhere as float32; float32: to 24 bits; bfloat16: the encoder to 8 bits",
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

    @model_validator(mode="before")
    @classmethod
    def _match_colors_by_color(cls, values: Any) -> Any:
        color = values.get("color") if isinstance(values, Mapping) else None
        if color not in get_args(Color):
            return values  # there is none, or the field itself rejects it
        return {**values, "match_colors": color == "match"}

    @model_serializer(mode="wrap")
    def _without_later_defaults_in_json(
        self, dump: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Leave out of JSON what a version without the later settings would refuse in a record."""
        values: dict[str, Any] = dump(self)
        left_out = self.later_defaults if info.mode == "json" else ()
        return {name: value for name, value in values.items() if name not in left_out}

    @property
    def later_defaults(self) -> frozenset[str]:
        """The names of settings that version 0.1.0 did not have and that have their default."""
        return later_defaults_of(self, match_colors=self.match_colors)

    @property
    def content_layer_weights(self) -> dict[str, float]:
        """Content layers with weights that sum to 1 (unless the normalization is a plain sum)."""
        return self._layer_weights(self.content_layers)

    @property
    def style_layer_weights(self) -> dict[str, float]:
        """Style layers with weights that sum to 1 (unless the normalization is a plain sum)."""
        return self._layer_weights(self.style_layers)

    @property
    def style_loss_weights(self) -> dict[str, float]:
        """Style losses with weights that sum to 1, by name."""
        return sum_to_one(parse_style_losses(self.style_measure))

    @property
    def allows_tf32(self) -> bool:
        """Whether GPUs may round what they multiply in float32 to TF32.

        With `bfloat16`, they may not, either: its targets and Gram matrices are float32.
        """
        return self.precision == "tf32"

    def _layer_weights(self, text: str) -> dict[str, float]:
        weights = parse_layer_weights(text)
        return weights if self.normalization == "neural-style" else sum_to_one(weights)
