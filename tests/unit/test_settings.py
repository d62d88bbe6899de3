"""Settings: presets, precedence, and what is refused."""

import pytest
from pydantic import ValidationError

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


def test_a_settings_object_survives_json() -> None:
    for settings in PRESETS.values():
        assert Settings.model_validate_json(settings.model_dump_json()) == settings
