"""The outputs of rows: names for rows that name none, and faults of outputs that cannot be used."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from nst_core.images.write import Format
from nst_core.storage.local import is_folder, path_limits
from nst_core.storage.places import Place, name_of, without_links
from nst_core.system import PathLimits
from tasks.intake.faults import as_fault
from tasks.row import PRIORITY, Fault, Row
from tasks.store.managed import ManagedPlaces
from tasks.store.output_folder import OutputFolder
from tasks.store.output_names import (
    DEFAULT_SUFFIX,
    Unnamed,
    as_one_file,
    as_one_result,
    choose_outputs,
    folders_of,
    format_of,
    suffix_of,
)

BYTES_OF_DIGEST = 80
"""How many bytes the digest of a style's picture takes in the text of a result, and more."""

ROOM_IN_PATHS = 80
"""Bytes of a path that are reserved for files beside a picture, such as its intermediates."""


def with_outputs(rows: list[Row]) -> list[Row]:
    """Give outputs to rows that name none, and refuse outputs that are named twice.

    Rows with faults get names that the others leave free, so that no other row's result changes.
    """
    good, bad = (
        [row for row in rows if bool(row.faults) == at_fault] for at_fault in (False, True)
    )
    first = _first_rows([*good, *bad])
    folders = {folder for row in good for folder in folders_of(row.output)}
    taken = folders | {as_one_result(row.output) for row in good if row.output}
    outputs: dict[str, str] = {}
    for group in (good, bad):
        unnamed = {_digest(row.cells): row for row in group if not row.output}
        chosen = choose_outputs([_unnamed(*each) for each in unnamed.items()], taken)
        outputs |= dict(zip(unnamed, chosen, strict=True))
        taken |= set(map(as_one_result, chosen))
    named = (row.output or outputs[_digest(row.cells)] for row in rows)
    return [
        replace(row, output=output).with_faults(_output_faults(row, output, first, folders))
        for row, output in zip(rows, named, strict=True)
    ]


def _first_rows(rows: Iterable[Row]) -> dict[str, Row]:
    """Return, by what rows claim (see `_claim`), the row that gets it."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(_claim(row), row)
    return first


def _claim(row: Row) -> str:
    """Return what no two rows may share: the output, or all of the row's text if it names none."""
    return as_one_result(row.output) if row.output else f"/{_digest(row.cells)}"


def _output_faults(
    row: Row, output: str, first_rows: Mapping[str, Row], folders: set[str]
) -> Iterator[Fault]:
    found, first = row.cell("output"), first_rows[_claim(row)]
    is_taken = first.line != row.line
    wrong = ""
    if is_taken and not row.output:
        wrong = f"line {first.line} is the same; remove one of the two, "
        wrong += "or give them different outputs"
    elif is_taken and as_one_file(first.output) == as_one_file(output):
        wrong = f"line {first.line} has the output {output!r} too; "
        wrong += "give the rows different outputs"
    elif is_taken:
        wrong = f"line {first.line} has the output {first.output!r}, whose loss curve would have "
        wrong += "the same name; give the rows different outputs"
    elif as_one_file(output) in folders:
        wrong = f"{output!r} is a folder in the output of another row; choose another output"
    elif row.settings.keep_alpha and not format_of(output).has_alpha:
        wrong = f"a {format_of(output).name} file cannot be transparent; choose an output that "
        wrong += f"ends in {DEFAULT_SUFFIX}, or switch keep_alpha off"
    if wrong:
        yield Fault(row.line, "output", found, wrong)
    yield from _file_faults(row, format_of(output))


def _file_faults(row: Row, written: Format) -> Iterator[Fault]:
    """Yield that a row's result cannot have its depth in its format."""
    depth = row.settings.depth
    if depth not in written.depths:
        wrong = f"a {written.name} file has {written.depths[0]} bits of each color; choose the "
        wrong += "format png or tiff, or another depth"
        yield Fault(row.line, "depth", row.cell("depth") or str(depth), wrong)


def text_faults(row: Row) -> Iterator[Fault]:
    """Yield that a row's result cannot say how it was made, because it has too many styles.

    Args:
        row: a row whose folders of styles are listed.
    """
    written, pictures = format_of(row.output), sum(len(style.pictures) for style in row.styles)
    if written.most_text and pictures * BYTES_OF_DIGEST > written.most_text:
        most = written.most_text // BYTES_OF_DIGEST
        wrong = f"a {written.name} file has no room for the digests of {pictures} style pictures, "
        wrong += f"by which it can be made again; choose another format, or at most {most} pictures"
        yield Fault(row.line, "format", row.cell("format") or row.settings.format, wrong)


def _unnamed(digest: str, row: Row) -> Unnamed:
    styles = tuple(name_of(style.place) for style in row.styles)
    suffix = suffix_of(row.settings.format)
    return Unnamed(name_of(row.content), styles, digest, suffix)


def _digest(cells: Mapping[str, str]) -> str:
    """Return digits that depend only on what the row makes, so that its name never changes."""
    made = {name: text for name, text in cells.items() if name != PRIORITY}
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def check_places(rows: Iterable[Row], output: OutputFolder) -> list[Row]:
    """Refuse results that would replace a picture that is read, or a folder.

    Args:
        rows: the rows of a manifest.
        output: the output folder; it need not exist.
    """
    rows = list(rows)
    sources = {*map(without_links, {path for row in rows for _, path in row.files})}
    limits = path_limits(output.root)
    # Many rows read the same pictures.
    managed_at = cache(ManagedPlaces(output).name_at)
    return [
        row.with_faults(_faults_of_places(row, output, sources, limits, managed_at)) for row in rows
    ]


def _faults_of_places(
    row: Row,
    output: OutputFolder,
    sources: set[Place],
    limits: PathLimits | None,
    managed_at: Callable[[Place], str],
) -> list[Fault]:
    faults: list[Fault] = []
    with as_fault(faults, row.line, "output", row.cell("output")):
        faults += _length_faults(row, output, limits)
        faults += [] if faults else _place_faults(row, output, sources)
    for column, source in row.files:
        with as_fault(faults, row.line, column, row.shown(column)):
            if name := managed_at(source):
                wrong = (
                    f"runs replace and remove files in {output}/{name}; move this "
                    "picture, or choose another output folder"
                )
                faults.append(Fault(row.line, column, row.shown(column), wrong))
    return faults


def _length_faults(row: Row, output: OutputFolder, limits: PathLimits | None) -> Iterator[Fault]:
    if limits is None:
        return
    path = os.fsencode(str(output.picture(row.output).absolute()))
    longest = max(map(len, path.split(b"/")))
    wrong = ""
    if len(path) + ROOM_IN_PATHS > limits.path:
        most = limits.path - ROOM_IN_PATHS
        wrong = f"its path would have {len(path)} bytes, and at most {most} are possible here"
    elif longest > limits.name:
        wrong = f"it has a name of {longest} bytes, and at most {limits.name} are possible here"
    if wrong:
        wrong += "; choose a shorter output, or another output folder"
        yield Fault(row.line, "output", row.cell("output"), wrong)


def _place_faults(row: Row, output: OutputFolder, sources: set[Place]) -> Iterator[Fault]:
    place, found = output.picture(row.output), row.cell("output")
    if without_links(place) in sources:
        wrong = f"the result {row.output!r} would overwrite a picture that a row reads"
        yield Fault(
            row.line, "output", found, f"{wrong}; choose another output, or another output folder"
        )
    elif is_folder(place):
        wrong = f"the result {row.output!r} would replace a folder; choose another output"
        yield Fault(row.line, "output", found, wrong)
