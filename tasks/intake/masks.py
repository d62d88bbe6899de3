"""The masks of rows: what is known about them before anything runs, and their faults."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from nst_core.images.decoding import MAX_DECODING_THREADS
from nst_core.images.picture_files import PictureError
from nst_core.images.read import PictureFacts, load
from nst_core.storage.places import Place, redacted
from nst_core.transfer.identity import ALPHA
from nst_core.transfer.masks import (
    MASK_SIDE,
    SMALLEST_SHARE,
    Color,
    MaskError,
    Regions,
    check_aspect,
    incompatible_settings,
)
from tasks.intake.faults import reason_of
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
class MasksOfRow:
    """The masks that a row uses.

    Attributes:
        content, style: the digest of each mask, or `ALPHA`; empty if there is none, or if it is
            white, which is the same.
        regions: how many regions the content has; 0 without a mask.
    """

    content: str = ""
    style: str = ""
    regions: int = 0


def examine_masks(rows: Sequence[Row], found: Found, max_pixels: int) -> Masks:
    """Find the regions of every mask that the rows name, once.

    Args:
        rows: the rows of a manifest.
        found: what is known about their pictures.
        max_pixels: a picture with more pixels is refused.
    """
    named = {row.sources[column] for row in rows for column in PICTURES if column in row.sources}
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
    for column, picture in PICTURES.items():
        if column not in row.sources or row.has_fault_in(column):
            continue
        place, facts = row.sources[column], masks.get(row.sources[column])
        if isinstance(facts, MaskError):
            yield Fault(row.line, column, row.cells[column], str(facts))
        mask, of = found.get(place), found.get(row.sources.get(picture, place))
        if isinstance(mask, PictureFacts) and isinstance(of, PictureFacts):
            try:
                check_aspect((mask.height, mask.width), (of.height, of.width), MASK)
            except MaskError as error:
                yield Fault(row.line, column, row.cells[column], _without_name(error))
    yield from _alpha_faults(row, found)
    yield from _setting_faults(row, found, masks)


def masks_of(row: Row, found: Found, masks: Masks) -> MasksOfRow:
    """Return the masks that a row uses, of which none has a fault."""
    digests = {column: _digest(row, column, found, masks) for column in PICTURES}
    regions = 1
    if row.content_mask is not None and isinstance(facts := masks[row.content_mask], MaskFacts):
        regions = len(facts.colors)
    content = digests[CONTENT_MASK]
    return MasksOfRow(content, digests[STYLE_MASK], regions if content else 0)


def _digest(row: Row, column: str, found: Found, masks: Masks) -> str:
    """Return the digest of a mask that changes something, or `ALPHA`; empty if there is none."""
    place, picture = row.sources.get(column), found.get(row.sources[PICTURES[column]])
    by_alpha = row.settings.alpha_mask and isinstance(picture, PictureFacts) and picture.opacity < 1
    if place is None:
        return ALPHA if by_alpha else ""
    facts, mask = masks.get(place), found.get(place)
    # A white mask says that the transparency of the picture is not one.
    if not isinstance(facts, MaskFacts) or (facts.is_whole and not by_alpha):
        return ""
    return mask.sha256 if isinstance(mask, PictureFacts) else ""


def _alpha_faults(row: Row, found: Found) -> Iterator[Fault]:
    for column, picture in PICTURES.items():
        facts = found.get(row.sources.get(picture, row.content))
        if not row.settings.alpha_mask or column in row.sources:
            continue
        if isinstance(facts, PictureFacts) and facts.opacity < SMALLEST_SHARE:
            wrong = (
                f"{facts.opacity:.2%} of it is opaque, and its transparency is its mask; expected "
                f"at least {SMALLEST_SHARE:.1%}: switch alpha_mask off, or name a {column}"
            )
            yield Fault(row.line, picture, row.cells[picture], wrong)


def _setting_faults(row: Row, found: Found, masks: Masks) -> Iterator[Fault]:
    if {*row.sources} >= {*PICTURES.values()} and any(
        _digest(row, column, found, masks) for column in PICTURES
    ):
        for setting, why in incompatible_settings(row.settings).items():
            cell = row.cell(setting) or str(getattr(row.settings, setting))
            yield Fault(row.line, setting, cell, f"the row has a mask, and {why}")
