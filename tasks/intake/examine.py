"""Conversion of rows to jobs: their pictures are examined, and their identities are known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from nst_core.images.decoding import MAX_DECODING_THREADS
from nst_core.images.picture_files import PictureError
from nst_core.images.read import Picture, PictureFacts, examine, load
from nst_core.images.resize import fit
from nst_core.networks import CATALOGUE
from nst_core.networks.loading import EncoderReference
from nst_core.networks.weight_files import WeightsError
from nst_core.storage.places import Place, may_be_url, redacted
from nst_core.transfer.identity import blend_key, file_key, row_key, row_seed
from nst_core.transfer.octaves import sized
from nst_core.transfer.setting_types import LARGEST_SIZE, ORIGINAL
from nst_core.transfer.settings import Settings
from nst_core.transfer.warnings import warnings_of_pictures
from tasks.intake.encoders import Encoders
from tasks.intake.faults import as_fault, reason_of
from tasks.intake.masks import Masks, MasksOfRow, examine_masks, mask_faults, masks_of
from tasks.intake.missing import with_hints
from tasks.intake.outputs import text_faults
from tasks.intake.previews import previewed
from tasks.intake.sequences import FlowExamination, FrameOfJob, Sequences, examine_flow, flows_of
from tasks.intake.styles import facts_of_styles, octave_faults, styles_of_row
from tasks.job import Examined, Job, JobContent
from tasks.row import INIT, OPTIONAL, Fault, Row
from tasks.store.output_names import format_of

Examination = PictureFacts | PictureError


def examine_rows(
    rows: Sequence[Row],
    encoders: Encoders,
    *,
    max_pixels: int,
    preview: int | None = None,
    on_picture: Callable[[int, int], None] | None = None,
) -> Examined:
    """Open every picture that the rows name, once, and give the rows without faults an identity.

    Args:
        rows: the rows of a manifest.
        encoders: the encoders that these rows name.
        max_pixels: a picture with more pixels is refused.
        preview: the longest side of previews, in pixels; None for the rows as they are.
        on_picture: called after each picture with how many are done and how many there are.
    """
    paths = {path for row in rows for column, path in row.sources if not row.has_fault_in(column)}
    deep = {row.content for row in rows if row.settings.depth == 16}
    examinations = _examine_all(sorted(paths, key=str), deep, max_pixels, on_picture)
    found = with_hints(examinations, rows)
    rows = [_settled(row, found.get(row.content)) for row in rows]
    if preview is not None:
        rows = [previewed(row, found.get(row.content), preview) for row in rows]
    masks = examine_masks(rows, found, max_pixels)
    sequences = Sequences(_examine_flows(flows_of(rows), max_pixels))
    examined = []
    for row in rows:
        examined.append(_examine_row(row, encoders, found, masks, sequences, max_pixels))
        sequences.add(*examined[-1])
    jobs = tuple(job for _, job in examined if job)
    return Examined(tuple(row for row, _ in examined), jobs)


def _examine_all(
    paths: Sequence[Place],
    deep: set[Place],
    max_pixels: int,
    on_picture: Callable[[int, int], None] | None,
) -> dict[Place, Examination]:
    def look(path: Place) -> Examination:
        try:
            return examine(path, max_pixels=max_pixels, deep=path in deep)
        except PictureError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever a file causes, others continue
            return PictureError(f"{redacted(path)}: {reason_of(error)}")

    found: dict[Place, Examination] = {}
    with ThreadPoolExecutor(max_workers=MAX_DECODING_THREADS) as pool:
        for path, examination in zip(paths, pool.map(look, paths), strict=True):
            found[path] = examination
            if on_picture is not None:
                on_picture(len(found), len(paths))
    return found


def _examine_flows(paths: Iterable[Place], max_pixels: int) -> dict[Place, FlowExamination]:
    paths = sorted(paths, key=str)
    with ThreadPoolExecutor(max_workers=MAX_DECODING_THREADS) as pool:
        look = partial(examine_flow, max_pixels=max_pixels)
        return dict(zip(paths, pool.map(look, paths), strict=True))


def _examine_row(
    row: Row,
    encoders: Encoders,
    found: Mapping[Place, Examination],
    masks: Masks,
    sequences: Sequences,
    max_pixels: int,
) -> tuple[Row, Job | None]:
    """Return the row with all its faults, and its job if it has none."""
    faults = [*_original_size_faults(row, found.get(row.content))]
    job = None
    with as_fault(faults, row.line, "content", row.shown("content")):
        faults += _encoder_faults(row, encoders)
        faults += _picture_faults(row, found)
        faults += _size_faults(row.with_faults(faults), found)
        faults += mask_faults(row.with_faults(faults), found, masks)
        faults += sequences.faults(row, _shape(found.get(row.content)))
        faults += text_faults(row)
        if not row.faults and not faults:
            of_row = masks_of(row, found, masks)
            job = _job(row, encoders, found, of_row, sequences.frame(row), max_pixels)
            faults += octave_faults(job)
    return row.with_faults(faults), None if faults else job


def _settled(row: Row, content: Examination | None) -> Row:
    """Return the row with a number as its size, and in sRGB if its content has no other colors."""
    if not isinstance(content, PictureFacts):
        return row
    changed = {} if content.profile_sha256 else {"color_space": "srgb"}
    settings = sized(row.settings, (content.height, content.width)).model_copy(update=changed)
    return replace(row, settings=settings)


def _original_size_faults(row: Row, content: Examination | None) -> Iterable[Fault]:
    """Yield that a row cannot have the size of its content, if that is the size that it names."""
    longest = row.settings.size
    if isinstance(content, PictureFacts) and longest > LARGEST_SIZE:
        wrong = f"the content has {longest:,} pixels on its longest side; expected at most "
        wrong += f"{LARGEST_SIZE:,}: enter a number, and set enlarge_result"
        yield Fault(row.line, "size", row.cell("size") or ORIGINAL, wrong)


def _shape(examination: Examination | None) -> tuple[int, int] | None:
    """Return height and width of a picture in pixels, if it can be read."""
    if not isinstance(examination, PictureFacts):
        return None
    return examination.height, examination.width


def _encoder_faults(row: Row, encoders: Encoders) -> Iterable[Fault]:
    name = row.settings.encoder
    encoder = encoders.get((name, row.settings.pooling))
    if isinstance(encoder, WeightsError):
        yield Fault(row.line, "encoder", name, str(encoder))


def _picture_faults(row: Row, found: Mapping[Place, Examination]) -> Iterable[Fault]:
    for column, path in row.sources:
        examination = None if row.has_fault_in(column) else found.get(path)
        if isinstance(examination, PictureError):
            cell, why = row.shown(column), str(examination)
            # A cell with the complete path shows it already, unlike a cell with a name. If the cell
            # looks like a URL, the path may contain a secret that was not recognized as one.
            if row.is_laid_out or cell == redacted(path) or may_be_url(row.cells[column]):
                why = why.removeprefix(f"{redacted(path)}: ")
            yield Fault(row.line, column, cell, why)


def _size_faults(row: Row, found: Mapping[Place, Examination]) -> Iterable[Fault]:
    content = found.get(row.content)
    at_fault = {fault.column for fault in row.faults}
    if at_fault & {"size", "enlarge", "content_layers", "style_layers", "preset", "encoder"}:
        return
    if not isinstance(content, PictureFacts):
        return
    settings = row.settings
    layers = {*settings.content_layer_weights, *settings.style_layer_weights}
    smallest = CATALOGUE[settings.encoder].topology.smallest_side(layers)
    height, width = fit(content.height, content.width, settings.size, enlarge=settings.enlarge)
    if min(height, width) < smallest:
        wrong = (
            f"it would be stylized at {width} x {height} pixels; expected at least {smallest} each "
            "way: increase size, or set enlarge"
        )
        yield Fault(row.line, "content", row.shown("content"), wrong)
    written, longest = format_of(row.output), max(content.height, content.width)
    if settings.enlarge_result and longest > written.longest_side:
        wrong = (
            f"the content has {longest:,} pixels on its longest side, and a {written.name} file at "
            f"most {written.longest_side:,}; choose another format, or switch enlarge_result off"
        )
        yield Fault(row.line, "enlarge_result", row.cell("enlarge_result"), wrong)


def _job(
    row: Row,
    encoders: Encoders,
    found: Mapping[Place, Examination],
    masks: MasksOfRow,
    frame: FrameOfJob,
    max_pixels: int,
) -> Job:
    encoder = encoders[row.settings.encoder, row.settings.pooling]
    assert isinstance(encoder, EncoderReference)
    content = _facts(found[row.content])
    others = {column: _facts(found[place]) for column, place in row.sources if column in OPTIONAL}
    init_sha256 = others[INIT].sha256 if INIT in others else ""
    of_job = _content_of_job(row, content, masks)
    of_styles = (masks.style.digest, of_job.profile_sha256)
    styles, settings = styles_of_row(row, encoder.fingerprint, found, *of_styles)
    targets_key = blend_key([style.key for style in styles], settings)
    others_of_key = (init_sha256, masks.content.digest, frame.facts, of_job.deep_sha256)
    pixels_key = row_key(content.sha256, targets_key, settings, *others_of_key)
    return Job(
        line=row.line,
        content=of_job,
        styles=styles,
        init=None if row.init is None else row.init.absolute(),
        style_mask=masks.style.of_job(row.style_mask),
        output=row.output,
        settings=settings,
        encoder=encoder,
        init_sha256=init_sha256,
        key=file_key(pixels_key, settings),
        seed=row_seed(pixels_key, settings),
        max_pixels=max_pixels,
        warnings=tuple(warnings_of_pictures(content, facts_of_styles(row, styles, found), others)),
        priority=row.priority,
        in_full=_in_full(row, settings),
        **frame.fields,
    )


def _content_of_job(row: Row, content: PictureFacts, masks: MasksOfRow) -> JobContent:
    space = content.profile_sha256 if row.settings.color_space == "content" else ""
    # Other spaces are converted to sRGB with 8 bits.
    is_deep = row.settings.depth == 16 and space == content.profile_sha256
    return JobContent(
        place=row.content.absolute(),
        sha256=content.sha256,
        shape=(content.height, content.width),
        mask=masks.content.of_job(row.content_mask),
        profile_sha256=space,
        deep_sha256=content.deep_sha256 if is_deep else "",
    )


def _in_full(row: Row, settings: Settings) -> Settings | None:
    """Return the settings in full of a row of a preview, with the weights of its settings."""
    return row.in_full and row.in_full.model_copy(update={"style_blend": settings.style_blend})


def _facts(examination: Examination) -> PictureFacts:
    assert isinstance(examination, PictureFacts)
    return examination


def load_picture(
    path: Place,
    sha256: str,
    *,
    size: int,
    enlarge: bool,
    max_pixels: int,
    space: bytes = b"",
    deep_sha256: str = "",
) -> Picture:
    """Load a picture, if it is still the one that was examined.

    Args:
        path: where it is.
        sha256, deep_sha256: its digests; the latter is empty if its levels of 16 bits do not count.
        size, enlarge, max_pixels, space: as in `nst_core.images.read.load`.

    Raises:
        PictureError: it has changed, so that its result would be stored under the wrong key.
    """
    wanted: dict[str, Any] = {"size": size, "enlarge": enlarge, "max_pixels": max_pixels}
    picture = load(path, **wanted, warn=False, space=space, deep=bool(deep_sha256))
    if (picture.sha256, picture.deep_sha256) != (sha256, deep_sha256):
        raise PictureError(
            f"{redacted(path)}: the picture changed while the batch ran. Run the batch again."
        )
    return picture
