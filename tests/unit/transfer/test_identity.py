"""Keys cover everything that changes a pixel, and nothing else."""

import pytest

from nst_core.transfer.file_settings import FileSettings
from nst_core.transfer.identity import (
    ALPHA,
    file_key,
    frame_facts,
    row_key,
    row_seed,
    style_key,
)
from nst_core.transfer.octaves import octave_shapes, style_sides
from nst_core.transfer.settings import Settings

ENCODER = "e" * 64


@pytest.mark.parametrize(
    "choices",
    [
        {"content_weight": 9},
        {"content_measure": "self-similarity"},
        {"steps": 1},
        {"seed": 4},
        {"style_layers": "relu1_1:2"},
    ],
)
def test_settings_that_do_not_affect_the_targets_share_them(choices: dict[str, object]) -> None:
    base = Settings(style_layers="relu1_1")
    other = Settings.model_validate(base.model_dump() | choices)
    assert style_key("a" * 64, base, ENCODER) == style_key("a" * 64, other, ENCODER)


@pytest.mark.parametrize(
    "choices",
    [
        {"size": 100},
        {"octaves": 1},
        {"style_scale": 0.5},
        {"style_layers": "relu2_1"},
        {"gram": "raw"},
        {"style_measure": "moments"},
        {"style_measure": "gram moments"},
    ],
)
def test_settings_that_change_the_targets_change_their_key(choices: dict[str, object]) -> None:
    base = Settings(style_layers="relu1_1")
    other = Settings.model_validate(base.model_dump() | choices)
    assert style_key("a" * 64, base, ENCODER) != style_key("a" * 64, other, ENCODER)


def test_other_pictures_and_encoders_have_other_keys() -> None:
    settings = Settings()
    keys = {
        style_key("a" * 64, settings, ENCODER),
        style_key("b" * 64, settings, ENCODER),
        style_key("a" * 64, settings, "f" * 64),
    }
    assert len(keys) == 3


OTHER_VALUES = {
    "strength": 0.5,
    "size": 100,
    "enlarge": True,
    "style_scale": 0.5,
    "style_rotations": 2,
    "content_weight": 9.0,
    "style_weight": 9.0,
    "tv_weight": 9.0,
    "temporal_weight": 9.0,
    "tv_kind": "l1",
    "normalize_gradients": True,
    "content_layers": "relu1_1:1",
    "style_layers": "relu1_1:1",
    "normalization": "mean",
    "gram": "raw",
    "style_measure": "moments",
    "content_measure": "self-similarity",
    "match_colors": False,
    "color": "content",
    "color_match": "pca",
    "color_space": "content",
    "start": "noise",
    "start_noise": 2.0,
    "start_blend": 0.5,
    "beta_2": 0.5,
    "best_of_every": 2,
    "clip": "end",
    "optimizer": "adam",
    "learning_rate": 0.5,
    "learning_rate_decay": "cosine",
    "learning_rate_end": 0.5,
    "average": 0.9,
    "carry_state": True,
    "steps": 3,
    "octaves": 1,
    "tolerance": 0.5,
    "seed": 3,
    "keep_alpha": True,
    "precision": "bfloat16",
}


def test_every_setting_is_in_the_key_of_a_row() -> None:
    # The encoder and its pooling are in the key of the styles, by the encoder's fingerprint, and so
    # are the weights of the styles. The settings of masks are there only if there is a mask.
    of_styles = {"encoder", "pooling", "style_blend", "style_mix"}
    of_masks = {"mask_feather", "alpha_mask"}
    # The settings of files are in the keys of files.
    of_files = set(FileSettings.model_fields)
    assert set(OTHER_VALUES) | of_styles | of_masks | of_files == set(Settings.model_fields)
    base, previous = Settings(), frame_facts("c")
    keys = {row_key("a", "b", base, previous=previous)}
    for name, value in OTHER_VALUES.items():
        assert getattr(base, name) != value
        keys.add(row_key("a", "b", base.model_copy(update={name: value}), previous=previous))
    assert len(keys) == len(OTHER_VALUES) + 1
    keys |= {row_key("z", "b", base, previous=previous), row_key("a", "z", base, previous=previous)}
    assert len(keys) == len(OTHER_VALUES) + 3


def test_only_the_key_of_a_frame_covers_what_only_frames_have() -> None:
    base, heavy = Settings(), Settings(temporal_weight=9)
    assert row_key("a", "b", base) == row_key("a", "b", heavy)
    keys = {
        row_key("a", "b", settings, previous=previous)
        for settings in (base, heavy)
        for previous in ({}, frame_facts("c"), frame_facts("d"), frame_facts("c", "f" * 64))
    }
    assert len(keys) == 7


def test_masks_are_in_the_keys_and_their_settings_only_with_a_mask() -> None:
    plain, soft = Settings(), Settings(mask_feather=0.1)
    by_alpha = Settings(alpha_mask=True)
    assert {row_key("a", "b", each) for each in (plain, soft, by_alpha)} == {
        row_key("a", "b", plain)
    }
    masked = {row_key("a", "b", plain, mask=mask) for mask in ("", "m", "n", ALPHA)}
    assert len(masked | {row_key("a", "b", soft, mask="m")}) == 5
    assert row_key("a", "b", plain, "m") != row_key("a", "b", plain, mask="m")
    assert row_key("a", "b", plain, mask="m") == row_key("a", "b", by_alpha, mask="m")
    assert len({style_key("a", plain, ENCODER, mask) for mask in ("", "m", ALPHA)}) == 3
    assert style_key("a", plain, ENCODER, "m") == style_key("a", soft, ENCODER, "m")


def test_rotations_masks_and_other_styles_are_in_the_key_of_a_style_only_if_they_matter() -> None:
    choices = (
        Settings(style_measure="sliced"),
        Settings(style_measure="sliced", style_rotations=2),
    )
    keys = {
        style_key("a", settings, ENCODER, mask, to_blend=to_blend)
        for settings in choices
        for mask in ("", "m")
        for to_blend in (False, True)
    }
    assert len(keys) == 8
    plain = Settings()
    assert style_key("a", plain, ENCODER, to_blend=True) == style_key("a", plain, ENCODER)
    assert style_key("a", plain, ENCODER, "m", to_blend=True) == style_key("a", plain, ENCODER, "m")


OTHER_FILES = {
    "format": ["jpeg", "webp", "tiff"],
    "depth": [16],
    "enlarge_result": [True],
    "metadata": ["keep", "none"],
}


def test_the_key_of_a_file_covers_what_changes_its_bytes() -> None:
    assert set(OTHER_FILES) | {"quality"} == set(FileSettings.model_fields)
    others = [
        Settings.model_validate({name: each}) for name in OTHER_FILES for each in OTHER_FILES[name]
    ]
    keys = {file_key(row, settings) for row in ("a", "b") for settings in others}
    assert len(keys) == 2 * len(others)
    assert {len(key) for key in keys} == {64}
    assert file_key("a", Settings()) == "a"
    # All of them have the same pixels, and the same seed.
    assert {row_key("a", "b", each) for each in others} == {row_key("a", "b", Settings())}


def test_the_quality_is_in_the_key_of_a_file_only_if_its_format_has_one() -> None:
    for name, count in (("png", 1), ("tiff", 1), ("jpeg", 2), ("webp", 2)):
        each = [Settings(format=name, quality=quality) for quality in (50, 80)]
        assert len({file_key("a", settings) for settings in each}) == count


def test_the_key_of_a_result_of_version_0_1_0_is_that_of_its_pixels() -> None:
    written = "3f2a"
    assert file_key(written, Settings(quality=1)) == written


class LaterSettings(Settings):
    """Settings with one that version 0.1.0 did not have."""

    softness: float = 1.0


def test_a_setting_that_was_added_later_is_in_the_key_unless_it_has_its_default() -> None:
    assert row_key("a", "b", LaterSettings()) == row_key("a", "b", Settings())
    assert row_key("a", "b", LaterSettings(softness=0.5)) != row_key("a", "b", Settings())


def test_a_row_has_the_seed_it_names_or_one_from_its_key() -> None:
    key = row_key("a", "b", Settings())
    assert row_seed(key, Settings(seed=0)) == 0
    assert row_seed(key, Settings()) == row_seed(key, Settings())
    assert row_seed(key, Settings()) != row_seed(row_key("c", "b", Settings()), Settings())
    assert 0 <= row_seed("f" * 64, Settings()) < 2**31


def test_octaves_halve_the_shape_and_end_with_the_result() -> None:
    assert octave_shapes(384, 512, 3) == {0: (96, 128), 1: (192, 256), 2: (384, 512)}


def test_octaves_that_are_too_small_are_left_out_except_the_last() -> None:
    assert octave_shapes(100, 60, 3) == {2: (100, 60)}
    assert octave_shapes(8, 8, 4) == {3: (8, 8)}


def test_style_sides_follow_size_and_scale() -> None:
    assert style_sides(Settings(size=512, octaves=3)) == (128, 256, 512)
    assert style_sides(Settings(size=512, octaves=2, style_scale=0.5)) == (128, 256)
