"""Settings: presets, precedence, and what is refused."""

import json

import pytest
from pydantic import ValidationError

from nst_core.networks import CATALOGUE
from nst_core.transfer.identity import row_key, style_key
from nst_core.transfer.presets import PRESETS, Overrides, resolve
from nst_core.transfer.setting_types import parse_layer_weights
from nst_core.transfer.setting_versions import FIRST_SETTINGS
from nst_core.transfer.settings import Settings


def test_later_choices_win_and_none_is_no_choice() -> None:
    settings = resolve({"size": 100, "steps": 7}, {"size": 200, "steps": None})
    assert (settings.size, settings.steps) == (200, 7)


def test_the_last_preset_is_the_base_of_all_choices() -> None:
    settings = resolve({"preset": "draft", "size": 99}, {"preset": "fine"})
    assert settings == PRESETS["fine"].model_copy(update={"size": 99})


def test_the_standard_preset_is_the_default() -> None:
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
        ("size", 8193),
        ("size", "originally"),
        ("steps", 0),
        ("octaves", "many"),
        ("preset", "best"),
        ("start", "elsewhere"),
        ("start_blend", 1.01),
        ("mask_feather", 0.6),
        ("optimizer", "sgd"),
        ("strength", 1.1),
        ("strength", -0.1),
        ("average", 1),
        ("learning_rate_decay", "linear"),
        ("learning_rate_end", 0),
        ("color", "gray"),
        ("tv_kind", "l3"),
        ("color_match", "best"),
        ("seed", 2**31),
        ("no_such_setting", 1),
        ("style_layers", "relu1_1:much"),
        ("style_layers", "relu1_1:-1"),
        ("style_layers", "relu1_1:0"),
        ("style_layers", "relu1_1 relu1_1"),
        ("style_layers", " "),
        ("style_layers", "relu1_1:1e308 relu2_1:1e308"),
        ("content_layers", "relu1_1:1e-320"),
        ("style_measure", "grams"),
        ("style_measure", "gram moments gram"),
        ("style_measure", "gram:0"),
        ("style_measure", ":1"),
        ("style_measure", ""),
        ("content_weight", 1e300),
        ("style_weight", "1e-320"),
        ("tv_weight", 5e-324),
        ("learning_rate", 1e-320),
        ("beta_2", 0.99999999999),
    ],
)
def test_invalid_values_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        resolve({name: value})
    assert [error["loc"][0] for error in raised.value.errors()] == [name]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().size = 3  # type: ignore[misc]


def test_layer_weights_are_parsed_and_normalized() -> None:
    assert parse_layer_weights("relu1_1:1, relu2_1:0.5 relu3_1") == {
        "relu1_1": 1,
        "relu2_1": 0.5,
        "relu3_1": 1,
    }
    settings = Settings(style_layers="relu1_1:3 relu2_1")
    assert settings.style_layer_weights == {"relu1_1": 0.75, "relu2_1": 0.25}


@pytest.mark.parametrize("name", ["content_weight", "style_weight", "tv_weight"])
@pytest.mark.parametrize("value", [1e300, 1e-320, -1])
def test_a_weight_out_of_range_is_refused_with_the_allowed_range(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match="expected 0, or a number from 1e-15 to 1e15"):
        resolve({name: value})


def test_the_largest_and_smallest_layer_weights_sum_to_one() -> None:
    settings = resolve({"style_layers": "relu1_1:1e15 relu2_1:1e15 relu3_1:1e-15"})
    assert settings.style_layer_weights == {
        "relu1_1": 0.5,
        "relu2_1": 0.5,
        "relu3_1": pytest.approx(5e-31),
    }


def test_minus_zero_is_zero_in_every_number() -> None:
    zeros = [name for name, field in Settings.model_fields.items() if field.annotation is float]
    above_zero = ("style_scale", "learning_rate", "learning_rate_end", "beta_2")
    zeros = [name for name in zeros if name not in above_zero]
    assert {"content_weight", "style_weight", "tv_weight", "start_noise", "tolerance"} <= {*zeros}
    signed = resolve(dict.fromkeys(zeros, "-0"), {"style_layers": "relu1_1:-0 relu2_1"})
    plain = resolve(dict.fromkeys(zeros, 0), {"style_layers": "relu1_1:0 relu2_1"})
    assert signed.model_dump_json() == plain.model_dump_json()
    targets = style_key("a" * 64, plain, "b" * 64)
    assert row_key("c" * 64, targets, signed) == row_key("c" * 64, targets, plain)


@pytest.mark.parametrize(
    ("choices", "style", "row"),
    [
        ({}, "4d55a26f0b56a278", "430239eb002c2012"),
        ({"preset": "draft"}, "3d13e1a8fc510ae1", "977e645407425ba8"),
        ({"preset": "fine"}, "21660e6e5a9f9f71", "81c9282599317c54"),
        ({"preset": "article"}, "06c02badcd4a503e", "f6ca5757eda476ce"),
        ({"preset": "gatys"}, "6d148cb3ea9b836a", "785c60dbbc67dc76"),
        ({"preset": "neural-style"}, "6d148cb3ea9b836a", "43ca745ef794b1a9"),
        (
            {
                "content_weight": 0,
                "tv_weight": 1e-3,
                "style_layers": "relu1_1:1 relu2_1:0.5",
                "seed": 7,
            },
            "ad5c70ef7514fc9e",
            "7d07611d051717f1",
        ),
        (
            {
                "encoder": "vgg19",
                "style_layers": "conv1_1 conv3_1:0.25",
                "content_weight": 1e-5,
                "style_weight": 1e8,
                "optimizer": "adam",
                "learning_rate": 0.05,
            },
            "35df19c6808e72a1",
            "1bebeb3997fa93ed",
        ),
    ],
)
def test_keys_are_those_of_earlier_versions(
    choices: dict[str, object], style: str, row: str
) -> None:
    """Otherwise, every row of a finished folder would be made again."""
    settings = resolve(choices)
    targets = style_key("ab" * 32, settings, "f" * 64)
    assert targets.startswith(style)
    assert row_key("cd" * 32, targets, settings).startswith(row)


def test_spellings_of_the_same_layers_are_equal() -> None:
    assert Settings(style_layers="relu1_1, relu2_1:1.0") == Settings(
        style_layers="relu1_1:1 relu2_1"
    )


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("gram", "gram"),
        ("gram:5", "gram"),
        ("gram, moments:0", "gram"),
        ("moments:0.50 gram", "gram:1 moments:0.5"),
    ],
)
def test_style_losses_have_one_form_and_weights_that_sum_to_one(text: str, canonical: str) -> None:
    settings = Settings(style_measure=text)
    assert settings.style_measure == canonical
    assert settings == Settings(style_measure=canonical)
    assert sum(settings.style_loss_weights.values()) == pytest.approx(1)
    assert settings.style_loss_weights["gram"] == pytest.approx(2 / 3 if "0.5" in text else 1)


def test_an_unknown_style_loss_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValidationError, match=r"no style loss is called 'grams'; expected gram, "):
        resolve({"style_measure": "grams"})


@pytest.mark.parametrize("encoder", CATALOGUE)
def test_the_default_layers_are_those_of_the_encoder(encoder: str) -> None:
    network = CATALOGUE[encoder]
    settings = resolve({"encoder": encoder})
    assert (
        settings.content_layer_weights.keys() == parse_layer_weights(network.content_layers).keys()
    )
    assert settings.style_layer_weights.keys() == parse_layer_weights(network.style_layers).keys()
    chosen = resolve({"encoder": encoder, "style_layers": "x"})
    assert chosen.style_layers == "x:1"
    assert chosen.content_layers == settings.content_layers


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


def test_presets_follow_published_recipes_exactly() -> None:
    article = PRESETS["article"]
    assert (article.encoder, article.pooling, article.optimizer) == ("vgg16", "average", "adam")
    assert (article.content_weight, article.style_weight, article.tv_weight) == (1, 1000, 0)
    assert article.learning_rate * 255 == pytest.approx(1)
    for name in ("article", "gatys", "neural-style"):
        preset = PRESETS[name]
        assert preset.normalization == name
        assert (preset.gram, preset.match_colors, preset.clip) == ("raw", False, "end")
        assert (preset.octaves, preset.tolerance) == (1, 0)


def test_settings_are_read_back_from_json() -> None:
    for settings in PRESETS.values():
        assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_color_takes_the_place_of_match_colors() -> None:
    assert (Settings().color, Settings(match_colors=False).color) == ("match", "style")
    for color in ("match", "style", "content"):
        for earlier in ({}, {"match_colors": True}, {"match_colors": False}):
            settings = Settings.model_validate({**earlier, "color": color})
            assert settings.match_colors is (color == "match")
            assert Settings.model_validate(settings.model_dump()) == settings


def test_the_later_of_color_and_match_colors_counts() -> None:
    by_row, by_batch = {"match_colors": "no"}, {"color": "content"}
    assert resolve(by_batch, by_row).color == "style"
    assert resolve(by_row, by_batch).color == "content"
    assert resolve({"preset": "article"}, {"color": "match"}) == resolve(
        {"preset": "article", "match_colors": True}
    )
    assert resolve({"preset": "article"}).color == "style"


def test_rows_that_say_color_have_the_keys_of_rows_that_say_match_colors() -> None:
    for color, matched in (("match", True), ("style", False)):
        named, earlier = resolve({"color": color}), resolve({"match_colors": matched})
        assert row_key("c", "s", named) == row_key("c", "s", earlier)
    assert row_key("c", "s", resolve({"color": "content"})) != row_key(
        "c", "s", resolve({"color": "style"})
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_json_has_only_the_settings_of_version_0_1_0_unless_others_are_used(preset: str) -> None:
    settings = resolve({"preset": preset})
    assert json.loads(settings.model_dump_json()).keys() == FIRST_SETTINGS
    used = resolve({"preset": preset, "color": "content"})
    assert json.loads(used.model_dump_json()).keys() == FIRST_SETTINGS | {"color"}
    assert Settings.model_validate_json(used.model_dump_json()) == used
