"""One stylization from end to end at thumbnail size."""

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_core.images.resize import resize
from nst_core.images.write import encode_png
from nst_core.networks import loading
from nst_core.networks.forward import current_device
from nst_core.networks.loading import load_encoder
from nst_core.transfer.colors.colors import match_colors
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import Targets, loss_terms
from nst_core.transfer.optimization.compiled import compile_for
from nst_core.transfer.optimization.optimization import NotFiniteError
from nst_core.transfer.optimizers import optimizers
from nst_core.transfer.optimizers.adam import Adam
from nst_core.transfer.optimizers.descent import Evaluation, answered
from nst_core.transfer.optimizers.lbfgs import Lbfgs
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import content_targets, style_targets
from nst_core.transfer.stylize import Iterate, finish, iterates, stylize
from tests.encoders import random_pixels

QUICK = Settings(size=40, steps=12, octaves=1, tolerance=0, match_colors=False)


def smooth_pixels(height: int, width: int, seed: int) -> np.ndarray:
    return resize(random_pixels(6, 6, seed), height, width)


COMPACT = load_encoder("compact")
CONTENT, STYLE = smooth_pixels(30, 40, 1), smooth_pixels(40, 32, 2)


def losses_at(pixels: np.ndarray, settings: Settings) -> dict[str, float]:
    """Compute the losses of one picture without the optimization."""
    encoder = COMPACT
    height, width = pixels.shape[:2]
    targets = style_targets(encoder, STYLE, settings)
    wanted = content_targets(
        encoder, resize(CONTENT, height, width), tuple(settings.content_layer_weights)
    )
    terms = loss_terms(
        encoder,
        settings.normalization,
        pixels,
        Targets(wanted, dict(targets.grams[-1]), dict(targets.centers[-1])),
        loss_weights(settings),
    )
    return {"total": float(terms.total)} | {
        name: float(terms.terms[name]) for name in ("content", "style", "tv")
    }


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_reported_losses_are_those_of_the_saved_pixels(optimizer: str) -> None:
    settings = QUICK.model_copy(update={"optimizer": optimizer, "tv_weight": 0.1})
    outcome = stylize(CONTENT, STYLE, settings)
    expected = losses_at(outcome.pixels.astype(np.float32) / 255, settings)
    for name, value in expected.items():
        assert getattr(outcome.losses, name) == pytest.approx(value, rel=1e-4)
    assert outcome.losses.total < 0.8 * outcome.start_losses.total
    assert outcome.pixels.dtype == np.uint8
    assert outcome.pixels.shape == (30, 40, 3)


def test_the_start_loss_is_that_of_the_content() -> None:
    outcome = stylize(CONTENT, STYLE, QUICK)
    assert outcome.start_losses.total == pytest.approx(losses_at(CONTENT, QUICK)["total"], rel=1e-4)
    assert outcome.start_losses.content == pytest.approx(0, abs=1e-6)


def test_the_start_has_the_colors_of_the_style() -> None:
    settings = QUICK.model_copy(update={"match_colors": True})
    targets = style_targets(COMPACT, STYLE, settings)
    start = next(iterates(COMPACT, CONTENT, targets, settings, seed=0))
    np.testing.assert_array_equal(start.pixels, match_colors(CONTENT, targets.colors))
    assert start.losses.content == pytest.approx(0, abs=1e-6)


def test_losses_fall_and_pictures_grow_from_octave_to_octave() -> None:
    settings = Settings(size=64, steps=20, octaves=2, tolerance=0)
    seen: list[Iterate] = []
    content = smooth_pixels(64, 64, 1)
    outcome = stylize(content, STYLE, settings, on_iterate=seen.append)
    assert [(iterate.octave, iterate.step) for iterate in seen] == [
        *((1, 0), (1, 10), (1, 20)),
        *((2, 20), (2, 30), (2, 40)),
    ]
    assert [iterate.pixels.shape[0] for iterate in seen] == [32] * 3 + [64] * 3
    for octave in (seen[:3], seen[3:]):
        totals = [iterate.losses.total for iterate in octave]
        assert totals == sorted(totals, reverse=True)
    shares = [iterate.work_done for iterate in seen]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert (outcome.steps, outcome.stop_reason) == (40, "steps")
    assert outcome.evaluations == seen[-1].evaluations >= 42


def test_the_same_inputs_give_the_same_result() -> None:
    first, second = (stylize(CONTENT, STYLE, QUICK) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.losses == second.losses


def test_noise_depends_only_on_its_seed() -> None:
    targets = style_targets(COMPACT, STYLE, QUICK)
    settings = QUICK.model_copy(update={"start": "noise", "steps": 1})
    first, same, other = (
        next(iterates(COMPACT, CONTENT, targets, settings, seed=seed)).pixels for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).mean() > 0.2


def test_a_style_start_fills_the_shape_without_stretching() -> None:
    targets = style_targets(COMPACT, STYLE, QUICK)
    settings = QUICK.model_copy(update={"start": "style"})
    start = next(iterates(COMPACT, CONTENT, targets, settings, seed=0, style=STYLE)).pixels
    scaled = resize(STYLE, 50, 40)
    np.testing.assert_allclose(start, scaled[10:40], atol=1e-6)
    with pytest.raises(ValueError, match="no style picture"):
        next(iterates(COMPACT, CONTENT, targets, settings, seed=0))


def test_a_plateau_ends_an_octave() -> None:
    settings = QUICK.model_copy(update={"steps": 500, "tolerance": 0.5})
    outcome = stylize(CONTENT, STYLE, settings)
    assert outcome.stop_reason == "plateau"
    assert outcome.steps < 500


def test_pictures_are_only_enlarged_on_request() -> None:
    small = smooth_pixels(20, 24, 3)
    assert stylize(small, STYLE, QUICK).pixels.shape == (20, 24, 3)
    enlarged = QUICK.model_copy(update={"enlarge": True})
    assert stylize(small, STYLE, enlarged).pixels.shape == (33, 40, 3)


def test_a_picture_too_small_for_the_layers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"5 x 40 pixels.* at least 16 on each side"):
        stylize(smooth_pixels(40, 5, 1), STYLE, QUICK)


def test_style_pictures_may_be_tiny() -> None:
    outcome = stylize(CONTENT, smooth_pixels(3, 2, 5), QUICK)
    assert np.isfinite(outcome.losses.total)


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="no layer 'relu9_9'"):
        stylize(CONTENT, STYLE, QUICK.model_copy(update={"style_layers": "relu9_9:1"}))


def test_a_start_without_a_finite_loss_is_refused() -> None:
    targets = style_targets(COMPACT, STYLE, QUICK)
    (grams,) = targets.grams
    lost = {layer: gram * np.float32("nan") for layer, gram in grams.items()}
    with pytest.raises(NotFiniteError, match="lower the weights"):
        finish(iterates(COMPACT, CONTENT, replace(targets, grams=(lost,)), QUICK, seed=0))


def test_a_picture_in_another_form_gives_the_same_result() -> None:
    content, style = (np.rint(pixels * 255).astype(np.uint8) for pixels in (CONTENT, STYLE))
    settings = QUICK.model_copy(update={"steps": 3, "start": "style"})
    as_before = stylize(
        content.astype(np.float32) / np.float32(255),
        style.astype(np.float32) / np.float32(255),
        settings,
    )
    for other_content, other_style in (
        (content, Image.fromarray(style)),
        (np.dstack([content, np.full_like(content[..., 0], 255)]), style),
    ):
        outcome = stylize(other_content, other_style, settings)
        np.testing.assert_array_equal(outcome.pixels, as_before.pixels)
        assert outcome.losses.total == as_before.losses.total
    assert as_before.losses.total < 1


@pytest.mark.parametrize("name", ["content", "style"])
def test_pixels_out_of_range_are_refused_before_anything_else(name: str) -> None:
    pictures = {"content": CONTENT, "style": STYLE}
    levels = pictures[name] * 255
    with pytest.raises(ValueError, match=rf"^{name}: found float32 values from .* 0 to 1"):
        stylize(**(pictures | {name: levels}), weights=Path("not there"))
    if name == "style":
        with pytest.raises(ValueError, match=r"^style: found float32 values"):
            style_targets(COMPACT, levels, QUICK)
        return
    steps = iterates(COMPACT, levels, style_targets(COMPACT, STYLE, QUICK), QUICK, seed=0)
    with pytest.raises(ValueError, match=r"^content: found float32 values"):
        next(steps)


def test_one_graph_is_used_for_all_shapes_and_weights() -> None:
    compile_for.cache_clear()
    # Encoders are then loaded again, as after any change of a weight file.
    loading._encoder.cache_clear()
    for height, width, weight in ((40, 32, 0.1), (24, 40, 0.1), (40, 39, 0.5), (17, 40, 0.7)):
        settings = QUICK.model_copy(update={"steps": 1, "content_weight": weight})
        stylize(smooth_pixels(height, width, 1), STYLE, settings)
    compiled = compile_for(
        *(COMPACT, Lbfgs(), "relative", current_device()),
        tv_kind="l2",
        bfloat16=False,
        rematerialize=False,
        grid=None,
    )
    for function in (compiled.start, compiled.advance, compiled.measure):
        assert function.traced.experimental_get_tracing_count() == 1


def _break_after(monkeypatch: pytest.MonkeyPatch, evaluations: int, larger_than: float) -> None:
    """Make Adam's value not finite after some evaluations while its step size is above a bound."""
    import tensorflow as tf

    class Breaking(Adam):
        def stepping(self, state):  # type: ignore[no-untyped-def]
            part = super().stepping(state)
            evaluation = yield next(part)
            breaks = (state.evaluations >= evaluations) & (state.step_size > larger_than)
            value = tf.where(breaks, float("nan"), evaluation.value)
            broken = Evaluation(value, evaluation.gradient, evaluation.terms)
            return answered(super().stepping(state), lambda _: broken)

    compile_for.cache_clear()
    monkeypatch.setattr(optimizers, "Adam", Breaking)


@pytest.fixture
def _fresh_graphs():  # type: ignore[no-untyped-def]
    yield
    compile_for.cache_clear()


@pytest.mark.usefixtures("_fresh_graphs")
def test_a_loss_that_is_not_finite_restarts_once_with_a_smaller_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _break_after(monkeypatch, evaluations=5, larger_than=0.01)
    settings = QUICK.model_copy(update={"optimizer": "adam", "steps": 40})
    seen: list[Iterate] = []
    outcome = stylize(CONTENT, STYLE, settings, on_iterate=seen.append)
    assert outcome.recoveries == 1
    assert outcome.stop_reason == "steps"
    totals = [iterate.losses.total for iterate in seen]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < totals[1]


@pytest.mark.nights
@pytest.mark.usefixtures("_fresh_graphs")
def test_a_checkpoint_remembers_that_the_step_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    _break_after(monkeypatch, evaluations=5, larger_than=0.01)
    settings = QUICK.model_copy(update={"optimizer": "adam", "steps": 40})
    targets = style_targets(COMPACT, STYLE, settings)
    seen: list[Iterate] = []
    outcome = finish(iterates(COMPACT, CONTENT, targets, settings, seed=0), seen.append)
    for number in (1, 3):
        rest: list[Iterate] = []
        again = iterates(
            *(COMPACT, CONTENT, targets, settings), seed=0, checkpoint=seen[number - 1].checkpoint()
        )
        assert finish(again, rest.append).recoveries == outcome.recoveries == 1
        assert [each.step for each in rest] == [each.step for each in seen[number:]]
        assert [each.losses for each in rest] == [each.losses for each in seen[number:]]


@pytest.mark.usefixtures("_fresh_graphs")
def test_a_second_divergence_keeps_the_best_iterate(monkeypatch: pytest.MonkeyPatch) -> None:
    _break_after(monkeypatch, evaluations=5, larger_than=0.0)
    settings = QUICK.model_copy(update={"optimizer": "adam", "steps": 40})
    outcome = stylize(CONTENT, STYLE, settings)
    assert (outcome.stop_reason, outcome.recoveries) == ("diverged", 1)
    assert np.isfinite(outcome.losses.total)
    assert outcome.losses.total < outcome.start_losses.total


def test_finish_returns_the_outcome_without_a_listener() -> None:
    targets = style_targets(COMPACT, STYLE, QUICK)
    outcome = finish(iterates(COMPACT, CONTENT, targets, QUICK, seed=0))
    np.testing.assert_array_equal(outcome.pixels, stylize(CONTENT, STYLE, QUICK).pixels)


def test_iterates_and_the_outcome_can_be_shown_and_saved(tmp_path: Path) -> None:
    seen: list[Iterate] = []
    outcome = stylize(CONTENT, STYLE, QUICK.model_copy(update={"steps": 2}), on_iterate=seen.append)
    for number, value in enumerate((*seen, outcome)):
        path = tmp_path / f"{number}.png"
        value.save(path)
        assert path.read_bytes() == encode_png(value.pixels)
        np.testing.assert_array_equal(np.asarray(value.image), np.asarray(Image.open(path)))
    with pytest.raises(FrozenInstanceError):
        outcome.steps = 0  # type: ignore[misc]
