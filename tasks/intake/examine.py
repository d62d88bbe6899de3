"""Conversion of rows to jobs: their pictures are examined, and their identities are known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from nst_core.images.decoding import MAX_DECODING_THREADS
from nst_core.images.picture_files import PictureError
from nst_core.images.read import Picture, PictureFacts, examine, load
from nst_core.images.resize import fit
from nst_core.networks import CATALOGUE
from nst_core.networks.loading import EncoderReference
from nst_core.networks.weight_files import WeightsError
from nst_core.storage.places import Place, may_be_url, redacted
from nst_core.transfer.identity import blend_key, file_key, row_key, row_seed
from nst_core.transfer.settings import Settings
from nst_core.transfer.warnings import warnings_of_pictures
from tasks.intake.encoders import Encoders
from tasks.intake.faults import as_fault, reason_of
from tasks.intake.masks import Masks, MasksOfRow, examine_masks, mask_faults, masks_of
from tasks.intake.missing import with_hints
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
    found = with_hints(_examine_all(sorted(paths, key=str), max_pixels, on_picture), rows)
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
    paths: Sequence[Place], max_pixels: int, on_picture: Callable[[int, int], None] | None
) -> dict[Place, Examination]:
    def look(path: Place) -> Examination:
        try:
            return examine(path, max_pixels=max_pixels)
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
    faults: list[Fault] = []
    job = None
    with as_fault(faults, row.line, "content", row.cell("content")):
        faults += _encoder_faults(row, encoders)
        faults += _picture_faults(row, found)
        faults += _size_faults(row.with_faults(faults), found)
        faults += mask_faults(row.with_faults(faults), found, masks)
        faults += sequences.faults(row, _shape(found.get(row.content)))
        if not row.faults and not faults:
            of_row = masks_of(row, found, masks)
            job = _job(row, encoders, found, of_row, sequences.frame(row), max_pixels)
            faults += octave_faults(job)
    return row.with_faults(faults), None if faults else job


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
            cell, why = row.cells[column], str(examination)
            # A cell with the complete path shows it already, unlike a cell with a name. If the cell
            # looks like a URL, the path may contain a secret that was not recognized as one.
            if cell == redacted(path) or may_be_url(cell):
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
        yield Fault(row.line, "content", row.cells["content"], wrong)


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
    styles, settings = styles_of_row(row, encoder.fingerprint, found, masks.style.digest)
    targets_key = blend_key([style.key for style in styles], settings)
    others_of_key = (init_sha256, masks.content.digest, frame.facts)
    pixels_key = row_key(content.sha256, targets_key, settings, *others_of_key)
    return Job(
        line=row.line,
        content=JobContent(
            place=row.content.absolute(),
            sha256=content.sha256,
            shape=(content.height, content.width),
            mask=masks.content.of_job(row.content_mask),
        ),
        styles=styles,
        init=None if row.init is None else row.init.absolute(),
        style_mask=masks.style.of_job(row.style_mask),
        output=row.output,
        settings=settings,
        encoder=encoder,
        init_sha256=init_sha256,
        key=file_key(pixels_key, format_of(row.output).name),
        seed=row_seed(pixels_key, settings),
        max_pixels=max_pixels,
        warnings=tuple(warnings_of_pictures(content, facts_of_styles(row, styles, found), others)),
        priority=row.priority,
        in_full=_in_full(row, settings),
        **frame.fields,
    )


def _in_full(row: Row, settings: Settings) -> Settings | None:
    """Return the settings in full of a row of a preview, with the weights of its settings."""
    return row.in_full and row.in_full.model_copy(update={"style_blend": settings.style_blend})


def _facts(examination: Examination) -> PictureFacts:
    assert isinstance(examination, PictureFacts)
    return examination


def load_picture(path: Place, sha256: str, *, size: int, enlarge: bool, max_pixels: int) -> Picture:
    """Load a picture, if it is still the one that was examined.

    Raises:
        PictureError: it has changed, so that its result would be stored under the wrong key.
    """
    picture = load(path, size=size, enlarge=enlarge, max_pixels=max_pixels, warn=False)
    if picture.sha256 != sha256:
        raise PictureError(
            f"{redacted(path)}: the picture changed while the batch ran. Run the batch again."
        )
    return picture
