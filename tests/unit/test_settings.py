"""Settings: presets, precedence, and what is refused."""

import pytest
from pydantic import ValidationError

from nst_core.networks import CATALOGUE
from nst_core.settings import PRESETS, Overrides, Settings, parse_layer_weights, resolve


def test_later_choices_win_and_none_chooses_nothing() -> None:
    settings = resolve({"size": 100, "steps": 7}, {"size": 200, "steps": None})
    assert (settings.size, settings.steps) == (200, 7)


def test_the_last_preset_is_what_all_start_from() -> None:
    settings = resolve({"preset": "draft", "size": 99}, {"preset": "fine"})
    assert settings == PRESETS["fine"].model_copy(update={"size": 99})


def test_nothing_said_is_the_standard_preset() -> None:
    assert resolve() == PRESETS["standard"] == Settings()


def test_overrides_have_every_setting_and_a_preset() -> None:
    assert set(Overrides.model_fields) == {"preset", *Settings.model_fields}
    assert all(value is None for value in Overrides().model_dump().values())


def test_cells_of_a_manifest_are_read_as_text() -> None:
    settings = resolve({"size": "64", "enlarge": "yes", "tv_weight": "1e-3", "seed": "5"})
    assert (settings.size, settings.enlarge, settings.tv_weight, settings.seed) == (
        64,
        True,
        1e-3,
        5,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content_weight", -1),
        ("style_weight", float("nan")),
        ("tv_weight", float("inf")),
        ("size", 15),
        ("steps", 0),
        ("octaves", "many"),
        ("preset", "best"),
        ("start", "elsewhere"),
        ("optimizer", "sgd"),
        ("seed", 2**31),
        ("no_such_setting", 1),
        ("style_layers", "relu1_1:much"),
        ("style_layers", "relu1_1:-1"),
        ("style_layers", "relu1_1:0"),
        ("style_layers", "relu1_1 relu1_1"),
        ("style_layers", " "),
    ],
)
def test_nonsense_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        resolve({name: value})
    assert [error["loc"][0] for error in raised.value.errors()] == [name]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().size = 3  # type: ignore[misc]


def test_layer_weights() -> None:
    assert parse_layer_weights("relu1_1:1, relu2_1:0.5 relu3_1") == {
        "relu1_1": 1,
        "relu2_1": 0.5,
        "relu3_1": 1,
    }
    settings = Settings(style_layers="relu1_1:3 relu2_1")
    assert settings.style_layer_weights == {"relu1_1": 0.75, "relu2_1": 0.25}


def test_ways_to_write_the_same_layers_are_equal() -> None:
    assert Settings(style_layers="relu1_1, relu2_1:1.0") == Settings(
        style_layers="relu1_1:1 relu2_1"
    )


@pytest.mark.parametrize("encoder", CATALOGUE)
def test_layers_are_the_encoders_own_unless_said(encoder: str) -> None:
    network = CATALOGUE[encoder]
    settings = resolve({"encoder": encoder})
    assert (
        settings.content_layer_weights.keys() == parse_layer_weights(network.content_layers).keys()
    )
    assert settings.style_layer_weights.keys() == parse_layer_weights(network.style_layers).keys()
    said = resolve({"encoder": encoder, "style_layers": "x"})
    assert said.style_layers == "x:1"
    assert said.content_layers == settings.content_layers


def test_a_preset_names_the_layers_of_its_own_encoder() -> None:
    assert resolve({"preset": "article"}).content_layers == "conv4_2:1"
    assert resolve({"preset": "gatys"}).content_layers == "relu4_2:1"
    assert resolve({"preset": "gatys", "encoder": "alexnet"}).content_layers == "relu4:1"


def test_layer_weights_sum_to_one_unless_the_recipe_sums_over_layers() -> None:
    text = "relu1_1:3 relu2_1"
    for normalization in ("relative", "mean", "article", "gatys"):
        settings = resolve({"style_layers": text, "normalization": normalization})
        assert settings.style_layer_weights == {"relu1_1": 0.75, "relu2_1": 0.25}
    summed = resolve({"style_layers": text, "normalization": "neural-style"})
    assert summed.style_layer_weights == {"relu1_1": 3, "relu2_1": 1}


def test_presets_of_others_are_taken_to_the_letter() -> None:
    article = PRESETS["article"]
    assert (article.encoder, article.pooling, article.optimizer) == ("vgg16", "average", "adam")
    assert (article.content_weight, article.style_weight, article.tv_weight) == (1, 1000, 0)
    assert article.learning_rate * 255 == pytest.approx(1)
    for name in ("article", "gatys", "neural-style"):
        preset = PRESETS[name]
        assert preset.normalization == name
        assert (preset.gram, preset.match_colors, preset.clip) == ("raw", False, "end")
        assert (preset.octaves, preset.tolerance) == (1, 0)


def test_a_settings_object_survives_json() -> None:
    for settings in PRESETS.values():
        assert Settings.model_validate_json(settings.model_dump_json()) == settings
