"""The masks of rows: what is known about them before anything runs, and their faults."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from nst_core.images.decoding import MAX_DECODING_THREADS
from nst_core.images.picture_files import PictureError
from nst_core.images.read import PictureFacts, load
from nst_core.storage.places import Place, redacted
from nst_core.transfer.identity import ALPHA, style_digest
from nst_core.transfer.masks.mask_checks import (
    check_aspect,
    incompatible_settings,
    why_unmasked,
    wrong_colors,
)
from nst_core.transfer.masks.mask_colors import Color
from nst_core.transfer.masks.masks import MASK_SIDE, SMALLEST_SHARE, WHITE, MaskError, Regions
from nst_core.transfer.presets import Overrides
from nst_core.transfer.styles.style_shares import weights_of_styles
from tasks.intake.faults import reason_of
from tasks.job import JobMask
from tasks.row import CONTENT_MASK, STYLE_MASK, Fault, Row


@dataclass(frozen=True)
class MaskFacts:
    """What is known about a mask.

    Attributes:
        colors: those of its regions.
        is_whole: whether it has one region, which is the whole picture.
    """

    colors: tuple[Color, ...]
    is_whole: bool = False


MASK = "mask"
"""The name of a mask in messages, which faults leave out, because they name the column."""

Found = Mapping[Place, PictureFacts | PictureError]
Masks = Mapping[Place, MaskFacts | MaskError]

PICTURES = {CONTENT_MASK: "content", STYLE_MASK: "style"}
"""The column of the picture that each mask belongs to."""


@dataclass(frozen=True)
class MaskOfPicture:
    """The mask of a picture, as keys know it.

    Attributes:
        digest: of the mask, or `ALPHA`; empty if there is none, or if it is white, which is the
            same.
        regions: how many regions it has; 0 without a mask, and for a style also with a gray one.
    """

    digest: str = ""
    regions: int = 0

    def of_job(self, place: Place | None) -> JobMask:
        """Return the same for a job; `place` is the file that the row names, None if none."""
        if place is None or self.digest in ("", ALPHA):
            return JobMask(regions=self.regions)
        return JobMask(place=place.absolute(), sha256=self.digest, regions=self.regions)


class MasksOfRow(NamedTuple):
    """The masks that a row uses, of its content and of its style."""

    content: MaskOfPicture = MaskOfPicture()
    style: MaskOfPicture = MaskOfPicture()


def examine_masks(rows: Sequence[Row], found: Found, max_pixels: int) -> Masks:
    """Find the regions of every mask that the rows name, once.

    Args:
        rows: the rows of a manifest.
        found: what is known about their pictures.
        max_pixels: a picture with more pixels is refused.
    """
    named = {place for row in rows for place in _named(row).values()}
    places = [each for each in named if isinstance(found.get(each), PictureFacts)]

    def look(place: Place) -> MaskFacts | MaskError:
        try:
            picture = load(place, size=MASK_SIDE, max_pixels=max_pixels, warn=False)
            regions = Regions.of(picture, MASK)
            return MaskFacts(regions.colors, regions.is_whole)
        except MaskError as error:
            return MaskError(_without_name(error))
        except Exception as error:  # noqa: BLE001 - whatever a file causes, others continue
            return MaskError(f"{redacted(place)}: {reason_of(error)}")

    with ThreadPoolExecutor(max_workers=MAX_DECODING_THREADS) as pool:
        return dict(zip(places, pool.map(look, places), strict=True))


def _without_name(error: MaskError) -> str:
    return str(error).removeprefix(f"{MASK}: ")


def mask_faults(row: Row, found: Found, masks: Masks) -> Iterator[Fault]:
    """Yield the faults of a row's masks.

    Args:
        row: a row of the manifest.
        found: what is known about its pictures.
        masks: what `examine_masks` returned.
    """
    if not _may_have_masks(row):
        return
    for column, place in _named(row).items():
        if not row.has_fault_in(column):
            yield from _faults_of_mask(row, column, place, found, masks)
    yield from _alpha_faults(row, found)
    if unmasked := [*_unmasked_faults(row, found)]:
        yield from unmasked
        return
    yield from _color_faults(row, found, masks)
    yield from _setting_faults(row, found, masks)


def _may_have_masks(row: Row) -> bool:
    return bool(_named(row)) or row.settings.alpha_mask


def _named(row: Row) -> dict[str, Place]:
    """Return the masks that a row names, by column."""
    masks = {CONTENT_MASK: row.content_mask, STYLE_MASK: row.style_mask}
    return {
        column: place
        for column, place in masks.items()
        if place is not None and column in row.cells
    }


def _faults_of_mask(
    row: Row, column: str, place: Place, found: Found, masks: Masks
) -> Iterator[Fault]:
    cell = row.cells[column]
    if isinstance(facts := masks.get(place), MaskError):
        yield Fault(row.line, column, cell, str(facts))
    mask, picture = found.get(place), _picture(row, column, found)
    if isinstance(mask, PictureFacts) and isinstance(picture, PictureFacts):
        try:
            check_aspect((mask.height, mask.width), (picture.height, picture.width), MASK)
        except MaskError as error:
            yield Fault(row.line, column, cell, _without_name(error))


def _color_faults(row: Row, found: Found, masks: Masks) -> Iterator[Fault]:
    """Yield that the style has no region of a color that the content has."""
    if any(not isinstance(masks.get(place), MaskFacts) for place in _named(row).values()):
        return
    content, style = (_used(row, column, found, masks) for column in PICTURES)
    if style is None or style.digest == ALPHA or (content is None and style.is_gray):
        return
    for column, why in wrong_colors(content.colors if content else None, style.colors).items():
        yield Fault(row.line, column, row.cell(column), why)


def masks_of(row: Row, found: Found, masks: Masks) -> MasksOfRow:
    """Return the masks that a row uses, of which none has a fault."""
    if not _may_have_masks(row):
        return MasksOfRow()
    content, style = (_used(row, column, found, masks) for column in PICTURES)
    if style and style.is_whole and not style.replaces_alpha:
        style = None
    style_colors = style.colors if style and not style.is_gray else ()
    if content and content.is_whole and not content.replaces_alpha and not style_colors:
        content = None
    return MasksOfRow(
        MaskOfPicture(content.digest, len(content.colors)) if content else MaskOfPicture(),
        MaskOfPicture(style.digest, len(style_colors)) if style else MaskOfPicture(),
    )


@dataclass(frozen=True)
class _Used:
    """A mask that a row uses.

    Attributes:
        digest: of the mask, or `ALPHA`.
        colors, is_whole: as in `MaskFacts`.
        replaces_alpha: whether the transparency of the picture would be the mask without it.
    """

    digest: str
    colors: tuple[Color, ...]
    is_whole: bool
    replaces_alpha: bool

    @property
    def is_gray(self) -> bool:
        return self.colors == (WHITE,)


def _used(row: Row, column: str, found: Found, masks: Masks) -> _Used | None:
    """Return the mask of a picture; None if it has none, or none that can be used."""
    picture, place = _picture(row, column, found), _named(row).get(column)
    by_alpha = row.settings.alpha_mask and picture is not None and picture.opacity < 1
    if place is None:
        return _Used(ALPHA, (WHITE,), is_whole=False, replaces_alpha=False) if by_alpha else None
    facts, mask = masks.get(place), found.get(place)
    if not isinstance(facts, MaskFacts) or not isinstance(mask, PictureFacts):
        return None
    return _Used(mask.sha256, facts.colors, facts.is_whole, by_alpha)


def _picture(row: Row, column: str, found: Found) -> PictureFacts | None:
    """Return what is known about the picture that a mask belongs to; None if it is not one."""
    if column == STYLE_MASK:
        styles = _styles(row, found)
        return styles[0][0] if [len(style) for style in styles] == [1] else None
    facts = found.get(row.content) if "content" in row.cells else None
    return facts if isinstance(facts, PictureFacts) else None


def _styles(row: Row, found: Found) -> list[list[PictureFacts]]:
    """Return the pictures of each style that counts, equal ones once; none if one is unknown."""
    if "style" not in row.cells or row.has_fault_in("style"):
        return []
    try:
        weights = weights_of_styles(row.settings, len(row.styles))
    except ValueError:
        return []
    styles = {}
    for style, weight in zip(row.styles, weights, strict=True):
        examined = [found.get(picture) for picture in style.pictures] if weight else []
        facts = [each for each in examined if isinstance(each, PictureFacts)]
        if len(facts) < len(examined):
            return []
        if weight:
            styles[style_digest([each.sha256 for each in facts])] = facts
    return [*styles.values()]


def _unmasked_faults(row: Row, found: Found) -> Iterator[Fault]:
    """Yield that a row has a mask of its style, and the style is not a single upright picture."""
    if any(fault.column in Overrides.model_fields for fault in row.faults):
        return
    styles = _styles(row, found)
    is_picture = [len(style) for style in styles] == [1]
    why = why_unmasked(row.settings, is_picture=is_picture) if styles else ""
    if not why:
        return
    if STYLE_MASK in _named(row):
        yield Fault(row.line, STYLE_MASK, row.cells[STYLE_MASK], why)
    elif row.settings.alpha_mask and any(each.opacity < 1 for style in styles for each in style):
        why = f"with alpha_mask, the transparency of a style is its mask; {why}"
        yield Fault(row.line, "style", row.shown("style"), why)


def _alpha_faults(row: Row, found: Found) -> Iterator[Fault]:
    for column, picture in PICTURES.items():
        facts = _picture(row, column, found)
        if not row.settings.alpha_mask or column in _named(row):
            continue
        if facts is not None and facts.opacity < SMALLEST_SHARE:
            wrong = (
                f"{facts.opacity:.2%} of it is opaque, and its transparency is its mask; expected "
                f"at least {SMALLEST_SHARE:.1%}: switch alpha_mask off, or name a {column}"
            )
            yield Fault(row.line, picture, row.shown(picture), wrong)


def _setting_faults(row: Row, found: Found, masks: Masks) -> Iterator[Fault]:
    if not row.cells.keys() >= {*PICTURES.values()}:
        return
    used = masks_of(row, found, masks)
    for setting, why in incompatible_settings(row.settings).items():
        if used.content.digest or used.style.digest:
            cell = row.cell(setting) or str(getattr(row.settings, setting))
            yield Fault(row.line, setting, cell, f"the row has a mask, and {why}")
