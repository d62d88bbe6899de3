"""The styles of a row: from its cell to the pictures, weights and keys of its job."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from nst_core.images.picture_files import PictureError
from nst_core.images.read import PictureFacts
from nst_core.storage.places import Place, PlaceError, join, name_of, redacted
from nst_core.transfer.identity import style_digest, style_key
from nst_core.transfer.octaves import SMALLEST_SIDE, octave_shapes
from nst_core.transfer.setting_types import style_blend_text
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.style_shares import shares_of_styles, weights_of_styles, why_not_mixed
from tasks.intake.faults import as_fault
from tasks.job import Job, JobStyle, StylePicture
from tasks.row import Fault, NamedStyle, Row
from tasks.store.picture_folders import is_folder_of_pictures, pictures_in
from tasks.store.style_cells import MOST_STYLES, split_styles

MOST_PICTURES = 1000
"""The most pictures of a style; a result names the digest of each."""

OF_BLENDS = ("style_blend", "style_mix", "style_layers", "style_measure", "octaves")
"""The columns with which several styles must agree."""


def read_styles(line: int, folder: Place, cell: str, faults: list[Fault]) -> tuple[NamedStyle, ...]:
    """Return the styles that a cell names, separated by `;`; faults are added to the list.

    Args:
        line: the row's line.
        folder: the folder that relative paths start from.
        cell: the text of the cell; if it is empty, another fault says so.
        faults: receives what is wrong with it.
    """
    styles = []
    with as_fault(faults, line, "style", cell):
        texts = [*split_styles(folder, cell)]
        if len(texts) > MOST_STYLES:
            wrong = f"it names {len(texts)} styles; expected at most {MOST_STYLES}"
            faults.append(Fault(line, "style", cell, wrong))
            texts = texts[:1]
        for text in texts:
            if not text and len(texts) > 1:
                wrong = "there is no name before or after a semicolon; expected pictures such as "
                faults.append(Fault(line, "style", cell, f"{wrong}'a.jpg; b.jpg'"))
                break
            try:
                styles.append(NamedStyle.of_picture(join(folder, text)))
            except PlaceError as error:
                faults.append(Fault(line, "style", cell, str(error)))
    return tuple(styles) or (NamedStyle.of_picture(folder),)


def with_style_folders(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with the pictures of each style that is a folder; each is listed once.

    Raises:
        StorageError: a storage refuses to list a folder, or does not answer.
    """
    listed: dict[Place, tuple[Place, ...] | None] = {}
    return [_with_folders(row, listed) for row in rows]


def _with_folders(row: Row, listed: dict[Place, tuple[Place, ...] | None]) -> Row:
    if row.has_fault_in("style") or "style" not in row.cells:
        return row
    styles: list[NamedStyle] = []
    faults: list[Fault] = []
    cell = row.shown("style")
    with as_fault(faults, row.line, "style", cell):
        for style in row.styles:
            if style.place not in listed:
                is_folder = is_folder_of_pictures(style.place)
                listed[style.place] = tuple(pictures_in(style.place)) if is_folder else None
            pictures = listed[style.place]
            if pictures is None:
                styles.append(style)
                continue
            styles.append(NamedStyle(style.place, pictures))
            if wrong := _wrong_with_folder(style.place, len(pictures)):
                faults.append(Fault(row.line, "style", cell, wrong))
    return row.with_faults(faults) if faults else replace(row, styles=tuple(styles))


def _wrong_with_folder(folder: Place, count: int) -> str:
    """Return why a folder with this many pictures is no style; empty if it is one."""
    if not count:
        return (
            f"the folder {redacted(folder)} has no pictures; expected files with an extension such "
            "as .jpg or .png"
        )
    if count > MOST_PICTURES:
        return (
            f"the folder {redacted(folder)} has {count:,} pictures; expected at most "
            f"{MOST_PICTURES:,}"
        )
    return ""


def blend_faults(
    line: int, settings: Settings, count: int, cells: Mapping[str, str]
) -> Iterator[Fault]:
    """Yield why a row's styles cannot be put together with its settings.

    Args:
        line: the row's line.
        settings: those of the row.
        count: the number of styles that the cell names.
        cells: the row's cells.
    """
    try:
        weights = weights_of_styles(settings, count)
    except ValueError as error:
        found = cells.get("style_blend") or settings.style_blend
        yield Fault(line, "style_blend", found, str(error))
        return
    for wrong in why_not_mixed(settings, sum(map(bool, weights))):
        yield Fault(line, "style_mix", cells.get("style_mix") or settings.style_mix, wrong)


def octave_faults(job: Job) -> Iterator[Fault]:
    """Yield that a style has only octaves that are too small to be optimized, if there is one."""
    settings, styles = job.settings, job.styles
    if settings.style_mix != "octaves":
        return
    octaves = shares_of_styles(settings, len(styles)).octaves
    left = [octaves[index] for index in octave_shapes(*job.shape, settings.octaves)]
    for number, style in enumerate(styles):
        if not any(any(_at(layers, number)) for layers in left):
            wrong = (
                f"the style {style.name} has only octaves that are left out, because a side of the "
                f"picture would be shorter than {SMALLEST_SIDE} pixels there; increase size, use "
                "fewer octaves, or choose another style_mix"
            )
            yield Fault(job.line, "style_mix", settings.style_mix, wrong)


def _at(layers: Mapping[str, Sequence[float]], number: int) -> Iterator[float]:
    return (shares[number] for shares in layers.values())


def styles_of_row(
    row: Row,
    fingerprint: str,
    found: Mapping[Place, PictureFacts | PictureError],
    mask: str = "",
    space: str = "",
) -> tuple[tuple[JobStyle, ...], Settings]:
    """Return the styles of a row that count, and settings with the weights of exactly these.

    Args:
        row: a row without faults.
        fingerprint: that of its encoder.
        found: what is known about its pictures.
        mask: the digest of the style's mask, as in `style_key`; empty if there is none.
        space: as in `style_key`.
    """
    settings, weights = row.settings, weights_of_styles(row.settings, len(row.styles))
    named = [
        (_pictures(style, found), style.place.absolute(), number)
        for number, style in enumerate(row.styles)
    ]
    # Equal styles next to each other, and in a blend all equal styles, are one.
    used = [
        (style_digest([each.sha256 for each in pictures]), weight, number, place, pictures)
        for (pictures, place, number), weight in zip(named, weights, strict=True)
        if weight
    ]
    if settings.style_mix == "blend":
        used.sort(key=lambda style: (style[0], style[2]))
    groups = [[*equal] for _, equal in groupby(used, key=lambda style: style[0])]
    settings = settings.model_copy(
        update=_blend_of([sum(style[1] for style in group) for group in groups], settings)
    )
    to_blend = len({digest for (digest, *_), *_ in groups}) > 1
    return tuple(
        JobStyle(
            place=place,
            pictures=pictures,
            sha256=digest,
            key=style_key(digest, settings, fingerprint, mask, to_blend=to_blend, space=space),
            position=number,
        )
        for (digest, _, number, place, pictures), *_ in groups
    ), settings


def _blend_of(weights: Sequence[float], settings: Settings) -> dict[str, str]:
    """Return the settings of a blend in the form in which equal blends have equal settings."""
    if len(weights) == 1:
        return {"style_blend": "", "style_mix": "blend"}
    is_even = max(weights) - min(weights) < 1e-12
    return {
        "style_blend": "" if is_even else style_blend_text(weights),
        "style_mix": settings.style_mix,
    }


def _pictures(
    style: NamedStyle, found: Mapping[Place, PictureFacts | PictureError]
) -> tuple[StylePicture, ...]:
    pictures = []
    for place in style.pictures:
        facts = found[place]
        assert isinstance(facts, PictureFacts)
        shape = (facts.height, facts.width)
        pictures.append(StylePicture(place=place.absolute(), sha256=facts.sha256, shape=shape))
    return tuple(sorted(pictures, key=lambda picture: picture.sha256))


def facts_of_styles(
    row: Row, styles: Sequence[JobStyle], found: Mapping[Place, PictureFacts | PictureError]
) -> Iterator[tuple[str, PictureFacts]]:
    """Yield what is known about the pictures of a row's styles, and what warnings call them."""
    places = [place for style in styles for place in row.styles[style.position].pictures]
    for place in places:
        facts = found[place]
        assert isinstance(facts, PictureFacts)
        yield "style" if len(places) == 1 else f"style {name_of(place)}", facts
