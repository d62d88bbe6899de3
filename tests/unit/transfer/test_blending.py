"""Several styles, and styles of several pictures: against NumPy in float64, by their properties."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from nst_core.networks.forward import activations
from nst_core.transfer.colors.colors import blended_distribution
from nst_core.transfer.pictures.before_and_after import prepared_content
from nst_core.transfer.pictures.start import Pictures, starting_picture
from nst_core.transfer.settings import Settings
from nst_core.transfer.style_losses.costs import COSTS
from nst_core.transfer.style_losses.losses import STYLE_LOSSES
from nst_core.transfer.style_losses.neighbors import MOST_COLUMNS
from nst_core.transfer.style_losses.wasserstein import barycenter
from nst_core.transfer.styles.blending import blended_targets, targets_of
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.styles.style_shares import (
    shares_of_styles,
    start_shares,
    weights_of_styles,
    why_not_mixed,
)
from nst_core.transfer.styles.styles import Blend, Samples
from nst_core.transfer.styles.targets import StyleTargets
from tests.encoders import random_pixels, tiny_encoder
from tests.style_references import REFERENCES, Array, central_moments, quantiles, rows_of
from tests.unit.transfer.test_style_losses import draw_features

ENCODER = tiny_encoder()
LAYERS = ("relu1_1", "relu2_1")
A, B, C = (random_pixels(*shape, seed) for seed, shape in enumerate([(30, 32), (20, 32), (32, 24)]))
EVERY_LOSS = " ".join(COSTS)


def settings_of(**choices: object) -> Settings:
    layers = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1:3"}
    return Settings.model_validate({**layers, "size": 32, "octaves": 2, **choices})


def of_style(style: object, *, to_blend: bool = True, **choices: object) -> StyleTargets:
    return style_targets(ENCODER, style, settings_of(**choices), to_blend=to_blend)


def as_doubles(array: object) -> Array:
    return np.asarray(array, np.float64)


@pytest.mark.parametrize("gram", ["centered", "raw"])
def test_a_blend_of_one_style_is_that_style_to_the_bit(gram: str) -> None:
    settings = settings_of(gram=gram, style_measure=EVERY_LOSS, style_blend="7")
    blend = targets_of(ENCODER, Blend([A]), settings)
    assert blend.to_bytes() == style_targets(ENCODER, A, settings).to_bytes()
    assert targets_of(ENCODER, Samples([A]), settings).to_bytes() == blend.to_bytes()


@pytest.mark.parametrize("weights", ["1;0", "0;1", "1e15;1"])
def test_a_style_that_has_all_the_weight_stays_as_it_is(weights: str) -> None:
    choices = {"style_measure": EVERY_LOSS, "style_blend": weights}
    blend = targets_of(ENCODER, Blend([A, B]), settings_of(**choices))
    assert blend.to_bytes() == of_style(B if weights == "0;1" else A, **choices).to_bytes()


def test_targets_from_files_are_blended_like_those_that_were_just_computed() -> None:
    choices = {"style_measure": EVERY_LOSS, "style_blend": "1;3"}
    own = [of_style(style, **choices) for style in (A, B)]
    read = [StyleTargets.from_bytes(one.to_bytes()) for one in own]
    shares = shares_of_styles(settings_of(**choices), 2)
    blended = [blended_targets(targets, shares) for targets in (own, read)]
    assert blended[0].to_bytes() == blended[1].to_bytes()


def test_a_style_blended_with_itself_is_that_style() -> None:
    choices = {"style_measure": EVERY_LOSS, "style_blend": "1;3"}
    blend = targets_of(ENCODER, Blend([A, A]), settings_of(**choices))
    alone = of_style(A, **choices)
    for octave in (0, 1):
        for layer in LAYERS:
            for blended, own in (
                (blend.grams[octave][layer], alone.grams[octave][layer]),
                (blend.centers[octave][layer], alone.centers[octave][layer]),
                *(
                    (blend.others[octave][name][layer][part], array)
                    for name, layers in alone.others[octave].items()
                    for part, array in layers[layer].items()
                    if part != "columns"
                ),
            ):
                np.testing.assert_allclose(blended, own, atol=2e-5 * np.abs(own).max())
            # There may be fewer neighbors, or some of them twice, but no others.
            columns, own = (
                {row.tobytes() for row in of.reshape(-1, of.shape[-1])}
                for of in (
                    each.others[octave]["neighbors"][layer]["columns"] for each in (blend, alone)
                )
            )
            assert columns <= own
    np.testing.assert_allclose(blend.colors.covariance, alone.colors.covariance, atol=1e-7)


def test_gram_matrices_centers_and_colors_are_weighted_means() -> None:
    settings = settings_of(style_blend="1; 2; 5")
    blend = targets_of(ENCODER, Blend([A, B, C]), settings)
    own = [of_style(style) for style in (A, B, C)]
    for octave in (0, 1):
        for layer in LAYERS:
            for name in ("grams", "centers"):
                found = getattr(blend, name)[octave][layer]
                each = [as_doubles(getattr(one, name)[octave][layer]) for one in own]
                np.testing.assert_allclose(
                    found, np.average(each, 0, [1, 2, 5]), rtol=1e-5, atol=1e-7
                )
    for part in ("mean", "covariance"):
        each = [as_doubles(getattr(one.colors, part)) for one in own]
        np.testing.assert_allclose(
            getattr(blend.colors, part), np.average(each, 0, [1, 2, 5]), rtol=1e-5, atol=1e-7
        )


def blended_features(name: str, *styles: Array, shares: tuple[float, ...]) -> dict[str, Array]:
    """Return the target of a blend of styles with these features at one layer."""
    loss = STYLE_LOSSES[name]
    each = [
        loss.to_blend(samples, 0) if loss.to_blend else loss.targets(samples[0])
        for samples in ([{"layer": tf.constant(of, tf.float32)}] for of in styles)
    ]
    arrays = [tf.nest.map_structure(lambda tensor: tensor.numpy(), one) for one in each]
    return dict(loss.blended(arrays, {"layer": shares})["layer"])


def test_one_dimensional_distributions_are_blended_by_their_quantiles() -> None:
    first, second = draw_features(16, 12, 1), draw_features(8, 20, 2)
    found = blended_features("histogram", first, second, shares=(0.25, 0.75))
    for channel in range(5):
        wanted = 0.25 * quantiles(rows_of(first)[:, channel])
        wanted += 0.75 * quantiles(rows_of(second)[:, channel])
        np.testing.assert_allclose(found["quantiles"][channel], wanted, rtol=1e-4, atol=1e-5)
    found = blended_features("sliced", first, second, shares=(0.25, 0.75))
    directions = as_doubles(found["directions"])
    np.testing.assert_allclose(directions @ directions.T, np.eye(5), atol=1e-5)
    for direction, row in zip(directions, found["quantiles"], strict=True):
        wanted = 0.25 * quantiles(rows_of(first) @ direction)
        wanted += 0.75 * quantiles(rows_of(second) @ direction)
        np.testing.assert_allclose(row, wanted, rtol=1e-4, atol=1e-5)


def test_styles_along_different_directions_are_not_blended() -> None:
    loss = STYLE_LOSSES["sliced"]
    targets = [loss.targets({"layer": tf.constant(of, tf.float32)}) for of in (A, B)]
    arrays = [tf.nest.map_structure(lambda tensor: tensor.numpy(), one) for one in targets]
    with pytest.raises(ValueError, match="different directions"):
        loss.blended(arrays, {"layer": (0.5, 0.5)})


def test_moments_are_weighted_means() -> None:
    first, second = draw_features(16, 12, 1), draw_features(8, 20, 2)
    found = blended_features("moments", first, second, shares=(0.25, 0.75))
    wanted = 0.25 * np.stack(central_moments(first, first))
    wanted += 0.75 * np.stack(central_moments(second, second))
    np.testing.assert_allclose(found["moments"], wanted, rtol=1e-3, atol=1e-5)
    means = [rows_of(of).mean(axis=0) for of in (first, second)]
    np.testing.assert_allclose(found["center"], 0.25 * means[0] + 0.75 * means[1], rtol=1e-4)


def covariances(*seeds: int) -> list[Array]:
    return [
        np.cov(rows_of(draw_features(16, 12, seed)), rowvar=False) + 0.01 * np.eye(5)
        for seed in seeds
    ]


def test_two_normal_distributions_blend_along_the_geodesic_between_them() -> None:
    first, second = covariances(1, 2)
    root = scipy.linalg.sqrtm(first)
    inverse = np.linalg.inv(root)
    mapping = 0.75 * np.eye(5) + 0.25 * inverse @ scipy.linalg.sqrtm(root @ second @ root) @ inverse
    np.testing.assert_allclose(
        barycenter([first, second], [0.75, 0.25]), mapping @ first @ mapping, rtol=1e-5, atol=1e-6
    )


def test_a_barycenter_of_normal_distributions_solves_its_equation() -> None:
    given, shares = covariances(1, 2, 3), [0.2, 0.3, 0.5]
    found = barycenter(given, shares)
    root = scipy.linalg.sqrtm(found)
    total = sum(
        share * scipy.linalg.sqrtm(root @ one @ root)
        for one, share in zip(given, shares, strict=True)
    )
    np.testing.assert_allclose(total, found, rtol=1e-4, atol=1e-5)


def test_the_wasserstein_target_of_a_blend_has_the_root_of_the_barycenter() -> None:
    first, second = draw_features(16, 12, 1), draw_features(8, 20, 2)
    found = blended_features("wasserstein", first, second, shares=(0.25, 0.75))
    noisy = []
    for of in (first, second):
        covariance = np.cov(rows_of(of), rowvar=False, bias=True)
        noisy.append(covariance + 1e-3 * np.trace(covariance) / 5 * np.eye(5))
    root = as_doubles(found["root"])
    np.testing.assert_allclose(root @ root, barycenter(noisy, [0.25, 0.75]), rtol=1e-3, atol=1e-4)
    flat = blended_features("wasserstein", first, np.ones((4, 4, 5)), shares=(0.25, 0.75))
    assert np.isfinite(flat["root"]).all()


def test_neighbors_are_drawn_from_each_style_by_its_share() -> None:
    first, second = draw_features(32, 32, 1), draw_features(16, 32, 2)
    found = blended_features("neighbors", first, second, shares=(0.25, 0.75))
    again = blended_features("neighbors", first, second, shares=(0.25, 0.75))
    for name, array in found.items():
        np.testing.assert_array_equal(array, again[name])
    own = [
        STYLE_LOSSES["neighbors"].targets({"layer": tf.constant(of, tf.float32)})
        for of in (first, second)
    ]
    columns = [one["layer"]["columns"].numpy().reshape(-1, 5) for one in own]
    drawn = [
        sum(
            row.tobytes() in {each.tobytes() for each in of}
            for row in found["columns"].reshape(-1, 5)
        )
        for of in columns
    ]
    # The second style has 32 of them, which are three quarters.
    assert drawn == [11, 32]
    assert sum(drawn) <= MOST_COLUMNS
    means = [of.mean(axis=0) for of in map(as_doubles, columns)]
    center = 0.25 * means[0] + 0.75 * means[1]
    np.testing.assert_allclose(found["center"], center, rtol=1e-4)
    power = sum(
        share * ((as_doubles(of) - center) ** 2).sum(axis=1).mean()
        for share, of in zip((0.25, 0.75), columns, strict=True)
    )
    assert float(found["scale"]) == pytest.approx(1 / np.sqrt(power), rel=1e-4)


def test_different_styles_at_different_scales() -> None:
    settings = settings_of(style_mix="octaves", style_measure="gram moments")
    own = [of_style(style, style_measure="gram moments") for style in (A, B)]
    mixed = targets_of(ENCODER, Blend([A, B]), settings)
    for octave, style in enumerate(own):
        for layer in LAYERS:
            np.testing.assert_array_equal(mixed.grams[octave][layer], style.grams[octave][layer])
            np.testing.assert_array_equal(
                mixed.others[octave]["moments"][layer]["moments"],
                style.others[octave]["moments"][layer]["moments"],
            )
    np.testing.assert_array_equal(mixed.colors.mean, own[1].colors.mean)
    mixed = targets_of(ENCODER, Blend([A, B]), settings_of(style_mix="layers"))
    for octave in (0, 1):
        for layer, style in (("relu2_1", own[0]), ("relu1_1", own[1])):
            np.testing.assert_array_equal(mixed.grams[octave][layer], style.grams[octave][layer])
            np.testing.assert_array_equal(
                mixed.centers[octave][layer], style.centers[octave][layer]
            )


def test_an_octave_between_two_styles_is_a_blend_of_both() -> None:
    shares = shares_of_styles(Settings(style_mix="octaves", octaves=3), 2)
    assert [octave["relu1_1"] for octave in shares.octaves] == [(1, 0), (0.5, 0.5), (0, 1)]
    assert shares.colors == (0, 1)
    shares = shares_of_styles(Settings(style_mix="octaves", octaves=4, style_blend="1;3"), 2)
    assert [octave["relu1_1"] for octave in shares.octaves] == [(1, 0), (0, 1), (0, 1), (0, 1)]
    settings = Settings(style_mix="layers", style_blend="0.5;0.25;0.25")
    layers = shares_of_styles(settings, 3).octaves[0]
    assert [*layers] == [
        *("relu4_1", "relu3_2", "relu3_1", "relu2_2", "relu2_1", "relu1_2", "relu1_1")
    ]
    for of_layer in layers.values():
        assert sum(of_layer) == pytest.approx(1)
    total = np.mean([*layers.values()], axis=0)
    np.testing.assert_allclose(total, [0.5, 0.25, 0.25])
    for before, after in pairwise(layers.values()):
        # The first style never gains, and the last one never loses.
        assert before[0] >= after[0]
        assert before[2] <= after[2]
    assert start_shares(settings, 3) == (1, 0, 0)


def test_weights_are_normalized_and_counted() -> None:
    assert weights_of_styles(Settings(style_blend="1; 3"), 2) == (0.25, 0.75)
    assert weights_of_styles(Settings(), 4) == (0.25,) * 4
    thirds = weights_of_styles(Settings(), 3)
    text = "; ".join(f"{weight:.12g}" for weight in thirds)
    assert weights_of_styles(Settings(style_blend=text), 3) == thirds
    with pytest.raises(ValueError, match="found 2 weights for 3 styles; expected one for each"):
        weights_of_styles(Settings(style_blend="1;3"), 3)
    with pytest.raises(ValueError, match="found 2 weights for 1 style;"):
        targets_of(ENCODER, Blend([A]), settings_of(style_blend="1;3"))
    with pytest.raises(ValueError, match="found 2 weights for 1 style;"):
        targets_of(ENCODER, A, settings_of(style_blend="1;3"))
    with pytest.raises(ValueError, match="style_mix: it has 3 styles for 2 octaves"):
        targets_of(ENCODER, Blend([A, B, C]), settings_of(style_mix="octaves"))


@pytest.mark.parametrize(
    ("choices", "count", "expected"),
    [
        ({"style_mix": "octaves", "octaves": 1}, 2, "2 styles for 1 octave;"),
        ({"style_mix": "octaves", "octaves": 2}, 2, ""),
        ({"style_mix": "layers", "style_layers": "relu1_1 relu2_1"}, 3, "3 styles for 2 layers;"),
        ({"style_mix": "layers", "style_measure": "gram neighbors"}, 2, "all layers of a style"),
        ({"style_mix": "octaves", "style_measure": "gram neighbors"}, 2, ""),
        ({"style_mix": "layers", "style_measure": "gram neighbors"}, 1, ""),
        ({"octaves": 1}, 9, ""),
    ],
)
def test_what_cannot_be_put_together(choices: dict[str, object], count: int, expected: str) -> None:
    found = "".join(why_not_mixed(Settings.model_validate(choices), count))
    assert expected in found
    assert bool(expected) == bool(found)


def pooled_features(name: str, *pictures: Array) -> dict[str, tf.Tensor]:
    samples = [{"layer": tf.constant(of, tf.float32)} for of in pictures]
    return STYLE_LOSSES[name].pooled(samples)["layer"]


@pytest.mark.parametrize("name", ["moments", "wasserstein", "histogram", "sliced", "neighbors"])
def test_pictures_of_one_style_are_one_distribution(name: str) -> None:
    """Pictures of one size are like one picture that consists of them."""
    first, second = draw_features(16, 16, 1), draw_features(16, 16, 2) + 0.5
    both, picture = np.concatenate([first, second]), draw_features(8, 12, 3)
    loss, target = STYLE_LOSSES[name], {"layer": pooled_features(name, first, second)}
    statistics = {"layer": loss.statistic(tf.constant(picture, tf.float32), target["layer"])}
    if loss.renewed:
        target = loss.renewed(statistics, target, {"layer": tf.constant(1.0)})
    found = float(loss.loss(statistics, target, {"layer": tf.constant(1.0)}))
    if name == "sliced":
        # The directions are those of the first picture's shape.
        drawn = np.random.default_rng((16, 16, 5)).normal(size=(5, 5))
        directions, _ = np.linalg.qr(drawn)
        wanted = REFERENCES["histogram"](picture @ directions.T, both @ directions.T)
    else:
        wanted = REFERENCES[name](picture, both)
    assert found == pytest.approx(wanted, rel=2e-3)


def test_shifted_products_of_several_pictures_are_means_around_the_common_center() -> None:
    first, second = draw_features(16, 12, 1), draw_features(8, 20, 2) + 0.5
    target = pooled_features("shifted-gram", first, second)
    center = (rows_of(first).mean(axis=0) + rows_of(second).mean(axis=0)) / 2
    np.testing.assert_allclose(target["center"], center, rtol=1e-4)
    products = [
        np.einsum("hwi,hwj->ij", of[:, :-2] - center, of[:, 2:] - center)
        / (of.shape[0] * (of.shape[1] - 2))
        for of in (first, second)
    ]
    np.testing.assert_allclose(target["grams"][0], np.mean(products, axis=0), rtol=1e-3, atol=1e-4)


def test_each_picture_of_a_style_weighs_the_same_whatever_its_size_is() -> None:
    found = of_style(Samples([A, B]), to_blend=False)
    for layer in LAYERS:
        features = [
            rows_of(as_doubles(activations(ENCODER, tf.constant(style), LAYERS)[layer]))
            for style in (A, B)
        ]
        center = np.mean([of.mean(axis=0) for of in features], axis=0)
        grams = [(of - center).T @ (of - center) / len(of) for of in features]
        np.testing.assert_allclose(found.centers[1][layer], center, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            found.grams[1][layer], np.mean(grams, axis=0), rtol=1e-3, atol=1e-5
        )
    colors = [rows_of(as_doubles(style)) for style in (A, B)]
    center = np.mean([of.mean(axis=0) for of in colors], axis=0)
    covariance = np.mean([(of - center).T @ (of - center) / len(of) for of in colors], axis=0)
    np.testing.assert_allclose(found.colors.mean, center, rtol=1e-5)
    np.testing.assert_allclose(found.colors.covariance, covariance, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rotations", [2, 4])
def test_a_style_with_rotations_has_the_statistics_of_its_turned_pictures(rotations: int) -> None:
    choices = {"style_measure": "gram moments wasserstein histogram", "octaves": 1}
    found = of_style(A, to_blend=False, style_rotations=rotations, **choices)
    turned = [np.rot90(A, turns) for turns in range(0, 4, 4 // rotations)]
    wanted = of_style(
        Samples([np.ascontiguousarray(each) for each in turned]), to_blend=False, **choices
    )
    assert found.grams[0].keys() == wanted.grams[0].keys()
    for layer in LAYERS:
        np.testing.assert_allclose(
            found.grams[0][layer], wanted.grams[0][layer], rtol=1e-4, atol=1e-6
        )
        assert not np.allclose(
            found.grams[0][layer], of_style(A, octaves=1).grams[0][layer], rtol=1e-3
        )
        for name in ("moments", "wasserstein", "histogram"):
            for part, array in wanted.others[0][name][layer].items():
                np.testing.assert_allclose(
                    found.others[0][name][layer][part], array, rtol=1e-3, atol=1e-5
                )


def test_a_start_from_several_styles_is_their_weighted_mean() -> None:
    settings = settings_of(start="style", style_blend="1;3")
    pictures = Pictures.of(C, Blend([A, Samples([B, C])]), None)
    found = starting_picture(ENCODER, pictures, settings, (24, 32), 0)
    alone = [
        starting_picture(
            ENCODER, Pictures.of(C, one, None), settings_of(start="style"), (24, 32), 0
        )
        for one in (A, B, C)
    ]
    wanted = np.average(as_doubles(alone), 0, [0.25, 0.375, 0.375])
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_histograms_of_several_styles_are_between_theirs() -> None:
    found = blended_distribution([[A], [B, C]], (0.25, 0.75))
    assert found.shape == (64, 64, 3)
    ranks = (np.arange(4096) + 0.5) / 4096
    for band in range(3):
        both = np.concatenate([np.quantile(of[..., band], ranks) for of in map(as_doubles, (B, C))])
        own = np.quantile(as_doubles(A)[..., band], ranks)
        wanted = 0.25 * own + 0.75 * np.sort(both).reshape(-1, 2).mean(axis=1)
        np.testing.assert_allclose(found[..., band].ravel(), wanted, atol=1e-5)
    settings = settings_of(color_match="histogram", style_blend="1;3")
    colors = blended_targets([of_style(A)], shares_of_styles(settings_of(), 1)).colors
    matched = prepared_content(C, [[A], [A]], colors, settings)
    alone = prepared_content(C, [[A]], colors, settings)
    np.testing.assert_allclose(matched, alone, atol=0.01)
