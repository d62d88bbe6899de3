"""Color-coded masks: regions by color, and each with the statistics of its own style."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nst_core.networks.loading import load_encoder
from nst_core.transfer.masks.mask_colors import as_color, as_text, nearest
from nst_core.transfer.masks.masks import MaskError, Regions
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.guidance import Guidance
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.styles.targets import StyleTargets
from nst_core.transfer.stylize import stylize
from tests import reference
from tests.encoders import random_pixels, tiny_encoder
from tests.pictures import write_picture
from tests.unit.intake.test_mask_rows import HEADER, faults_of, jobs_of, write_mask
from tests.unit.transfer.test_masks import area_mean, guided_gram, guided_terms, settings_of

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
SHAPE = (26, 33)


def halves(height: int, width: int, left: tuple[int, ...], right: tuple[int, ...]) -> np.ndarray:
    """Return a mask with two colors, uint8 (height, width, 3)."""
    mask = np.empty((height, width, 3), np.uint8)
    mask[:, : width // 2], mask[:, width // 2 :] = left, right
    return mask


def painted(scale: int = 1) -> Image.Image:
    """Return a mask of four colors on black, with smooth borders if the scale is above 1."""
    image = Image.new("RGB", (160 * scale, 120 * scale))
    draw = ImageDraw.Draw(image)

    def box(*corners: int) -> list[int]:
        return [corner * scale for corner in corners]

    draw.rectangle(box(0, 0, 79, 119), RED)
    draw.rectangle(box(80, 0, 159, 59), GREEN)
    draw.ellipse(box(90, 70, 150, 110), BLUE)
    # Between red and green, a smooth border is of this color, too.
    draw.ellipse(box(20, 20, 60, 60), (128, 128, 0))
    return image.resize((160, 120), Image.Resampling.LANCZOS) if scale > 1 else image


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("quality", [None, 90, 60])
def test_each_flat_color_is_a_region_and_black_is_none(scale: int, quality: int | None) -> None:
    image = painted(scale)
    regions = Regions.of(as_jpeg(image, quality) if quality else image)
    plain = np.asarray(painted())
    assert len(regions.colors) == 4
    assert regions.weights.shape == (120, 160, 4)
    for index, color in enumerate(regions.colors):
        original = nearest(color, [RED, GREEN, BLUE, (128, 128, 0)])
        expected = (plain == np.array(original)).all(axis=-1)
        # Only pixels at borders may belong to the region next to them.
        assert (regions.weights[..., index] != expected).mean() < 0.012
    assert set(np.unique(regions.weights)) == {0, 1}
    # No thin line of the color between two regions is along their border.
    olive = next(
        index for index, color in enumerate(regions.colors) if nearest(color, [(128, 128, 0)])
    )
    assert not regions.weights[:15, 70:90, olive].any()


def test_colors_are_the_same_within_a_tolerance() -> None:
    assert nearest((250, 9, 7), [GREEN, RED]) == RED
    assert nearest((255, 40, 20), [RED]) == RED
    assert nearest((255, 60, 0), [RED, GREEN]) is None
    assert nearest(RED, []) is None
    assert as_color(as_text((1, 20, 255))) == (1, 20, 255)


def test_a_mask_of_too_many_colors_or_of_a_picture_is_refused() -> None:
    hues = [(level, 255 - level, 128 * (level % 2)) for level in range(0, 250, 31)]
    stripes = np.array(hues, np.uint8)[None].repeat(16, axis=0).repeat(20, axis=1)
    assert len(Regions.of(stripes[:, :160]).colors) == 8
    with pytest.raises(MaskError, match="mask: found more than 8 colors; expected a gray mask"):
        Regions.of(stripes)
    with pytest.raises(MaskError, match="found no region"):
        Regions.of(random_pixels(40, 40))


def test_a_small_region_is_refused_by_its_color() -> None:
    mask = halves(100, 100, RED, RED)
    mask[40:44, 40:44] = BLUE
    with pytest.raises(MaskError, match=r"region #0000ff \(blue\) that covers 0.16% of it"):
        Regions.of(mask)
    mask[40:46, 40:46] = BLUE
    assert Regions.of(mask).shares == pytest.approx((0.9964, 0.0036))


def test_the_style_has_targets_of_each_region_which_are_read_back() -> None:
    style, settings = random_pixels(30, 32, 1), settings_of(size=32, style_measure="gram moments")
    mask = halves(30, 32, RED, BLUE)
    targets = style_targets(tiny_encoder(), style, settings, mask)
    assert set(targets.regions) == {RED, BLUE}
    white = np.uint8(255) * (mask[..., :1] == 255)
    alone = style_targets(tiny_encoder(), style, settings, white[..., 0])
    assert targets.regions[RED].to_bytes() == alone.to_bytes()
    read = StyleTargets.from_bytes(targets.to_bytes())
    assert read.to_bytes() == targets.to_bytes()
    assert read.regions[BLUE].to_bytes() == targets.regions[BLUE].to_bytes()
    assert targets.regions[RED].to_bytes() != targets.regions[BLUE].to_bytes()
    other = style_targets(tiny_encoder(), style[::-1], settings, mask)
    mixed = targets.with_colors_of(other)
    assert mixed.regions[RED].colors is other.regions[RED].colors
    assert mixed.regions[RED].grams is targets.regions[RED].grams


@pytest.mark.parametrize("measure", ["gram", "moments"])
def test_the_style_loss_is_the_sum_over_regions_by_their_shares(measure: str) -> None:
    """Each region is compared with the region of the style of the same color, or a near one."""
    settings = settings_of(style_measure=measure)
    style = random_pixels(30, 32, 1)
    targets = style_targets(tiny_encoder(), style, settings, halves(30, 32, BLUE, RED))
    content_mask = halves(*SHAPE, (250, 5, 5), (5, 5, 250))
    terms, _ = guided_terms(settings, content_mask, targets)
    total, relative = 0.0, dict.fromkeys(settings.style_layer_weights, 0.0)
    for color in (RED, BLUE):
        part = (np.abs(content_mask - np.array(color)).max(axis=-1) < 9).astype(np.float32)
        alone, _ = guided_terms(settings, part, targets.regions[color])
        total += float(alone.terms["style"])
        for layer, loss in alone.style_layers.items():
            relative[layer] += part.mean() * float(loss)
    assert float(terms.terms["style"]) == pytest.approx(total, rel=1e-5)
    for layer, loss in relative.items():
        assert float(terms.style_layers[layer]) == pytest.approx(loss, rel=1e-4)


def test_without_a_style_mask_every_region_takes_the_whole_style() -> None:
    settings = settings_of()
    targets = style_targets(tiny_encoder(), random_pixels(30, 32, 1), settings)
    content = random_pixels(*SHAPE)
    guidance = Guidance.of(content, halves(*SHAPE, RED, GREEN), targets, settings, SHAPE)
    assert guidance is not None
    assert guidance.styles == (targets, targets)


def test_colors_that_do_not_match_are_refused() -> None:
    content, style, settings = random_pixels(*SHAPE), random_pixels(30, 32, 1), settings_of()
    mask = halves(30, 32, RED, BLUE)
    with pytest.raises(MaskError, match=r"style_mask: found the regions #.*no content_mask"):
        stylize(content, style, settings, style_mask=mask)
    with pytest.raises(MaskError, match=r"content_mask: found a region #00ff00 \(green\)"):
        stylize(
            *(content, style, settings),
            content_mask=halves(*SHAPE, GREEN, RED),
            style_mask=mask,
        )


def test_rows_have_faults_that_name_colors(tmp_path: Path) -> None:
    for name, seed in (("c.png", 1), ("s.png", 2)):
        write_picture(tmp_path / name, seed)
    for name, colors in (("rb", (RED, BLUE)), ("rg", (RED, GREEN)), ("white", ((255,) * 3,) * 2)):
        write_mask(tmp_path / f"{name}.png", halves(36, 48, *colors) / 255)
    assert HEADER[3:] == ("content_mask", "style_mask")
    (fault,) = faults_of(tmp_path, "rg.png", "rb.png")
    assert fault.column == "content_mask"
    assert "found a region #00ff00 (green), which style_mask lacks" in fault.expected
    assert {"#ff0000 (red)", "#0000ff (blue)"} == {*fault.expected.split(": ")[1].split(", ")}
    (fault,) = faults_of(tmp_path, "", "rb.png")
    assert fault.column == "style_mask"
    assert "no content_mask" in fault.expected
    both, alone, plain = jobs_of(tmp_path, ("rb.png", "rb.png"), ("rb.png", ""), ("", ""))
    assert (both.content.mask.regions, both.style_mask.regions) == (2, 2)
    assert (alone.content.mask.regions, alone.style_mask.regions) == (2, 0)
    assert (
        plain.styles[0].key == alone.styles[0].key,
        both.styles[0].key == alone.styles[0].key,
    ) == (True, False)
    assert len({both.key, alone.key, plain.key}) == 3
    (fault,) = faults_of(tmp_path, "white.png", "rb.png")
    assert "#ffffff (white), which style_mask lacks" in fault.expected


def textures(side: int) -> np.ndarray:
    """Return a style whose left half has fine stripes, and whose right half has soft blotches."""
    draw = np.random.default_rng(5)
    style = np.empty((side, side, 3), np.float32)
    style[:, : side // 2] = 0.5 + 0.45 * np.sin(np.arange(side)[:, None, None] * 1.6)
    coarse = draw.uniform(0, 1, (side // 8, side // 16, 3)).repeat(8, axis=0).repeat(8, axis=1)
    style[:, side // 2 :] = coarse
    return style


def relative_loss(pixels: np.ndarray, part: np.ndarray, wanted: StyleTargets) -> float:
    """Return the mean relative loss of a part of a picture against a style, in float64."""
    encoder = load_encoder("compact")
    seen = reference.activations(encoder, pixels.astype(np.float64))
    losses = []
    for layer, target in wanted.grams[-1].items():
        weights = area_mean(part, *seen[layer].shape[:2])
        found = guided_gram(seen[layer], wanted.centers[-1][layer].astype(np.float64), weights)
        losses.append(((found - target) ** 2).sum() / (target.astype(np.float64) ** 2).sum())
    return float(np.mean(losses))


@pytest.mark.nights
def test_each_region_becomes_more_like_its_own_style_than_like_the_other() -> None:
    settings = Settings(
        size=64, octaves=1, steps=25, content_weight=0.002, tv_weight=0, mask_feather=0, seed=1
    )
    encoder, style = load_encoder("compact"), textures(64)
    content = np.kron(random_pixels(8, 8, 3), np.ones((8, 8, 1), np.float32))
    mask = halves(64, 64, RED, BLUE)
    outcome = stylize(
        *(content, style, settings), content_mask=mask[:, ::-1].copy(), style_mask=mask
    )
    targets = style_targets(encoder, style, settings, mask)
    left = np.zeros((64, 64), np.float32)
    left[:, :32] = 1
    # The content's left half is blue, and so gets the style's right half.
    for part, own, other in ((left, BLUE, RED), (1 - left, RED, BLUE)):
        pixels = outcome.pixels / 255
        mine = relative_loss(pixels, part, targets.regions[own])
        assert mine < relative_loss(pixels, part, targets.regions[other]) / 3
        assert mine < 0.5
