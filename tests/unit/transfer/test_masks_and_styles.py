"""Masks of rows with several styles: what is refused, and blends that are guided."""

from pathlib import Path

import numpy as np
import pytest

from nst_core.images.resize import fit, resize
from nst_core.networks.forward import activations
from nst_core.transfer.masks.masks import MaskError
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.blending import blended_targets, targets_of
from nst_core.transfer.styles.guidance import Guidance
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.styles.style_shares import shares_of_styles
from nst_core.transfer.styles.styles import Blend, Samples
from nst_core.transfer.stylize import finish, iterates
from tasks.job import Job
from tasks.row import Fault
from tests.encoders import random_pixels, tiny_encoder
from tests.pictures import write_picture
from tests.unit.intake.test_jobs import examine
from tests.unit.intake.test_mask_rows import HEIGHT, WIDTH, left_half, write_mask
from tests.unit.transfer.test_masks import guided_gram

ENCODER = tiny_encoder()
CONTENT = random_pixels(24, 32, 1)
STYLES = random_pixels(30, 32, 2), random_pixels(28, 26, 3)
SHAPE = CONTENT.shape[:2]
LEFT = left_half(*SHAPE)
HEADER = ("content", "style", "style_blend", "content_mask", "style_mask")
MEASURE = "gram:1 moments:1 wasserstein:1"


def settings_of(**choices: object) -> Settings:
    small = {"size": 32, "octaves": 1, "steps": 10, "tolerance": 0, "mask_feather": 0}
    layers = {"content_layers": "relu2_1", "style_layers": "relu1_1 relu2_1"}
    return Settings.model_validate({**layers, **small, **choices})


def with_alpha(pixels: np.ndarray, opaque: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels, opaque[..., None].astype(np.float32)], axis=-1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a content, two styles, a folder of styles and a mask."""
    for seed, name in enumerate(("c.png", "s.png", "t.png", "painter/x.png", "painter/y.png")):
        write_picture(tmp_path / name, seed)
    write_mask(tmp_path / "left.png", left_half())
    return tmp_path


def faults_of(folder: Path, *row: str, **cells: object) -> list[Fault]:
    return list(examine(folder, (*HEADER, *cells), ("c.png", *row, *cells.values())).faults)


def jobs_of(folder: Path, *rows: tuple[str, ...], **cells: object) -> list[Job]:
    examined = examine(
        folder, (*HEADER, *cells), *(("c.png", *row, *cells.values()) for row in rows)
    )
    assert examined.faults == ()
    return list(examined.jobs)


@pytest.mark.parametrize(
    ("style", "rotations", "found"),
    [
        ("s.png; t.png", 1, "the row has several of them"),
        ("painter", 1, "the row has several of them"),
        ("s.png; painter", 1, "the row has several of them"),
        ("s.png", 4, "style_rotations is 4; expected 1"),
    ],
)
def test_the_mask_of_a_style_belongs_to_one_upright_picture(
    folder: Path, style: str, rotations: int, found: str
) -> None:
    cells = {"style_rotations": rotations}
    (fault,) = faults_of(folder, style, "", "left.png", "left.png", **cells)
    assert (fault.column, fault.found) == ("style_mask", "left.png")
    assert found in fault.expected
    assert "or no mask of the style (a content_mask goes with any styles)" in fault.expected
    assert faults_of(folder, style, "", "left.png", "", **cells) == []


def test_the_transparency_of_one_of_several_styles_is_no_mask(folder: Path) -> None:
    for name in ("opaque.png", "clear.png"):
        alpha = left_half() if name == "clear.png" else np.ones((HEIGHT, WIDTH))
        blotches = np.random.default_rng(7).uniform(0, 1, (HEIGHT, WIDTH, 3))
        write_mask(folder / name, blotches, alpha.astype(np.float32))
    (fault,) = faults_of(folder, "s.png; clear.png", "", "", "", alpha_mask="on")
    assert (fault.column, fault.found) == ("style", "s.png; clear.png")
    assert "with alpha_mask, the transparency of a style is its mask" in fault.expected
    assert "expected one" in fault.expected
    (fault,) = faults_of(folder, "clear.png", "", "", "", alpha_mask="on", style_rotations=2)
    assert fault.column == "style"
    assert faults_of(folder, "s.png; opaque.png", "", "", "", alpha_mask="on") == []
    assert faults_of(folder, "s.png; clear.png", "", "", "") == []
    assert faults_of(folder, "s.png; clear.png", "1; 0", "", "", alpha_mask="on") == []


def test_a_style_without_weight_leaves_the_mask_to_the_other(folder: Path) -> None:
    masks = ("left.png", "left.png")
    alone, blend, twice, plain = jobs_of(
        folder,
        ("s.png", "", *masks),
        ("t.png; s.png", "0; 1", *masks),
        ("s.png; s.png", "", *masks),
        ("s.png", "", "left.png", ""),
    )
    assert len({job.key for job in (alone, blend, twice)}) == 1
    assert {job.style_mask.place for job in (alone, blend, twice)} == {folder / "left.png"}
    assert {job.styles[0].key for job in (blend, twice)} == {alone.styles[0].key}
    assert alone.styles[0].key != plain.styles[0].key


def test_other_faults_of_a_style_are_told_as_they_are(folder: Path) -> None:
    masks = ("left.png", "left.png")
    assert [each.column for each in faults_of(folder, "s.png; t.png", "1", *masks)] == [
        "style_blend"
    ]
    assert [each.column for each in faults_of(folder, "s.png; no.png", "", *masks)] == ["style"]
    # Without its settings, nobody knows which styles of the row count.
    both = faults_of(folder, "s.png; t.png", "0; 1", *masks, steps="many")
    assert [each.column for each in both] == ["steps"]


def test_a_blend_with_a_content_mask_has_the_targets_of_its_styles(folder: Path) -> None:
    masked, plain, s, t = jobs_of(
        folder,
        ("s.png; t.png", "1; 3", "left.png", ""),
        ("s.png; t.png", "1; 3", "", ""),
        ("s.png", "", "", ""),
        ("t.png", "", "", ""),
    )
    assert masked.key != plain.key
    assert [job.content.mask.regions for job in (masked, plain)] == [1, 0]
    assert masked.style_mask.regions == 0
    keys = {style.key for style in masked.styles}
    assert keys == {style.key for style in plain.styles} == {s.styles[0].key, t.styles[0].key}


@pytest.mark.parametrize(
    ("style", "choices", "found"),
    [
        (Blend(STYLES), {}, "several of them"),
        (Samples(STYLES), {}, "several of them"),
        (Blend([Samples(STYLES)]), {}, "several of them"),
        (STYLES[0], {"style_rotations": 2}, "style_rotations is 2"),
    ],
)
def test_several_styles_and_a_mask_of_the_style_are_refused(
    style: object, choices: dict[str, object], found: str
) -> None:
    with pytest.raises(MaskError, match=f"^style_mask: the mask of a style .*{found}"):
        targets_of(ENCODER, style, settings_of(**choices), left_half(30, 32))


def test_several_styles_of_which_one_is_transparent_are_refused() -> None:
    clear = [STYLES[0], with_alpha(STYLES[1], left_half(*STYLES[1].shape[:2]))]
    for style in (Blend(clear), Samples(clear)):
        with pytest.raises(MaskError, match="the mask of a style belongs to one picture"):
            targets_of(ENCODER, style, settings_of(alpha_mask=True))
    targets_of(ENCODER, Blend(STYLES), settings_of(alpha_mask=True))


def test_a_blend_of_one_style_takes_its_mask() -> None:
    mask = left_half(*STYLES[0].shape[:2])
    blend = targets_of(ENCODER, Blend([STYLES[0]]), settings_of(), mask)
    alone = style_targets(ENCODER, STYLES[0], settings_of(), mask)
    assert blend.to_bytes() == alone.to_bytes()
    assert blend.to_bytes() != style_targets(ENCODER, STYLES[0], settings_of()).to_bytes()


def test_the_regions_of_a_masked_style_are_not_blended() -> None:
    red_and_blue = np.zeros((*SHAPE, 3))
    red_and_blue[..., 0], red_and_blue[..., 2] = LEFT, 1 - LEFT
    regions = style_targets(ENCODER, CONTENT, settings_of(), red_and_blue)
    assert len(regions.regions) == 2
    with pytest.raises(MaskError, match="the mask of a style belongs to one picture"):
        blended_targets([regions, regions], shares_of_styles(settings_of(), 2))


def test_every_region_of_the_content_takes_the_whole_blend() -> None:
    settings = settings_of(style_blend="1; 3", style_measure=MEASURE)
    blend = targets_of(ENCODER, Blend(STYLES), settings)
    red_and_blue = np.zeros((*SHAPE, 3))
    red_and_blue[..., 0], red_and_blue[..., 2] = LEFT, 1 - LEFT
    guidance = Guidance.of(CONTENT, red_and_blue, blend, settings, SHAPE)
    assert guidance is not None
    assert [style.to_bytes() for style in guidance.styles] == [blend.to_bytes()] * 2
    for region in guidance.regions(ENCODER.topology, settings, 0, SHAPE):
        for layer in ("relu1_1", "relu2_1"):
            expected = 0.25 * gram_of(STYLES[0], layer) + 0.75 * gram_of(STYLES[1], layer)
            np.testing.assert_allclose(region.grams[layer], expected, rtol=1e-4, atol=1e-5)


def gram_of(style: np.ndarray, layer: str) -> np.ndarray:
    """Return a style's centered Gram matrix at its size in these tests, in float64."""
    sized = resize(style, *fit(*style.shape[:2], 32))
    features = np.asarray(activations(ENCODER, sized, (layer,))[layer], np.float64)
    center = features.mean(axis=(0, 1))
    return guided_gram(features, center, np.ones(features.shape[:2]))


def test_a_blend_is_painted_where_the_mask_is_white() -> None:
    settings = settings_of(style_blend="1; 1", style_rotations=2)
    blend = targets_of(ENCODER, Blend([STYLES[0], Samples(STYLES)]), settings)
    steps = iterates(ENCODER, CONTENT, blend, settings, seed=0, content_mask=LEFT)
    found = finish(steps)
    photograph = np.round(CONTENT * 255)
    np.testing.assert_array_equal(found.pixels[:, 16:], photograph[:, 16:])
    assert np.abs(found.pixels[:, :16] - photograph[:, :16]).max() > 2
    assert found.losses.total < found.start_losses.total
