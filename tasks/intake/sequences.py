"""Sequences: rows that are the frames of one moving picture, in the order of the manifest."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nst_core.images.resize import fit
from nst_core.motion.flo_files import FlowError, read_flow
from nst_core.storage.places import Place, may_be_url, redacted
from nst_core.transfer.identity import frame_facts
from tasks.job import Job, PreviousFrame
from tasks.row import FLOW, INIT, SEQUENCE, Fault, Row


class FlowFacts(NamedTuple):
    """What is known about a file of optical flow: its size in pixels, and the file's SHA-256."""

    width: int
    height: int
    sha256: str


FlowExamination = FlowFacts | FlowError


def examine_flow(path: Place, max_pixels: int) -> FlowExamination:
    """Read a file of optical flow; return what is known about it, or why it cannot be used."""
    try:
        flow, sha256 = read_flow(path, max_pixels=max_pixels)
        return FlowFacts(flow.shape[1], flow.shape[0], sha256)
    except FlowError as error:
        return error


class Frame(NamedTuple):
    """A row of a sequence; its job is None if it has a fault."""

    row: Row
    job: Job | None


class FrameOfJob(NamedTuple):
    """What a row's job knows of its sequence.

    Attributes:
        fields: those of the job.
        facts: what its key covers of the frame before; empty if there is none.
    """

    fields: Mapping[str, Any]
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Sequences:
    """The frames of all sequences so far, while rows are examined in the manifest's order.

    Attributes:
        flows: what is known about the files of flow.
        first, last: the first and the latest frame of each sequence, by its name.
    """

    flows: Mapping[Place, FlowExamination]
    first: dict[str, Frame] = field(default_factory=dict)
    last: dict[str, Frame] = field(default_factory=dict)

    def add(self, row: Row, job: Job | None) -> None:
        """Add the next row of the manifest; nothing happens if it is no frame."""
        if row.sequence:
            self.first.setdefault(row.sequence, Frame(row, job))
            self.last[row.sequence] = Frame(row, job)

    def frame(self, row: Row) -> FrameOfJob:
        """Return what the job of a row that is about to be added knows of its sequence."""
        last = self.last.get(row.sequence)
        before = last.job if last else None
        if before is None:
            first = {"sequence": row.sequence, "frame": 1} if row.sequence else {}
            return FrameOfJob(first, {})
        flow = self.flows.get(row.flow) if row.flow is not None else None
        flow_sha256 = flow.sha256 if isinstance(flow, FlowFacts) else ""
        fields = {
            "sequence": row.sequence,
            "frame": before.frame + 1,
            "previous": _as_previous(before),
            "flow": None if row.flow is None else row.flow.absolute(),
            "flow_sha256": flow_sha256,
        }
        return FrameOfJob(fields, frame_facts(before.key, flow_sha256))

    def faults(self, row: Row, shape: tuple[int, int] | None) -> Iterator[Fault]:
        """Yield what is wrong with a row that is about to be added, as a frame.

        Args:
            row: the row.
            shape: height and width of its content in pixels; None if it cannot be read.
        """
        yield from _faults_of_space(row)
        before = self.last.get(row.sequence)
        if before is None:
            yield from _faults_of_first(row)
            return
        where = f"line {before.row.line}, the frame before it"
        if INIT in row.cells:
            wrong = f"a frame starts from the result of {where}; leave this cell empty"
            yield Fault(row.line, INIT, row.cells[INIT], wrong)
        if before.job is None:
            wrong = f"{where}, cannot run; correct that row, or leave it out"
            yield Fault(row.line, SEQUENCE, row.cell(SEQUENCE), wrong)
        if shape is not None:
            yield from _faults_of_shape(row, shape, self.first[row.sequence])
            yield from self._faults_of_flow(row, shape)

    def _faults_of_flow(self, row: Row, shape: tuple[int, int]) -> Iterator[Fault]:
        found = self.flows.get(row.flow) if row.flow is not None else None
        if isinstance(found, FlowError):
            cell = row.cells[FLOW]
            why = str(found)
            if cell == redacted(row.flow or "") or may_be_url(cell):
                why = why.removeprefix(f"{cell}: ")
            yield Fault(row.line, FLOW, cell, why)
        elif found is not None and not _has_aspect(found, shape):
            height, width = shape
            wrong = (
                f"the flow has {found.width} x {found.height} pixels; expected the {width} x "
                f"{height} of the content, or the same aspect"
            )
            yield Fault(row.line, FLOW, row.cells[FLOW], wrong)


def _as_previous(job: Job) -> PreviousFrame:
    return PreviousFrame(line=job.line, key=job.key, output=job.output, content=job.content)


def _faults_of_first(row: Row) -> Iterator[Fault]:
    """Yield what is wrong with a row that no other frame precedes."""
    if FLOW not in row.cells:
        return
    if row.sequence:
        wrong = f"this is the first frame of the sequence {row.sequence!r}, and a flow leads to "
        wrong += "the frame before; leave this cell empty"
    else:
        wrong = "a flow leads to the frame before; expected a name in the column sequence, too"
    yield Fault(row.line, FLOW, row.cells[FLOW], wrong)


def _faults_of_space(row: Row) -> Iterator[Fault]:
    """Yield that a frame has the colors of its content, which need not be those of the others."""
    if row.sequence and row.settings.color_space != "srgb":
        wrong = "the frames of a sequence are sRGB; leave color_space out"
        yield Fault(row.line, "color_space", row.cell("color_space") or "content", wrong)


def _faults_of_shape(row: Row, shape: tuple[int, int], first: Frame) -> Iterator[Fault]:
    """Yield that a row's result has another size than that of the first frame."""
    if first.job is None or row.has_fault_in("size") or row.has_fault_in("enlarge"):
        return
    height, width = fit(*shape, row.settings.size, enlarge=row.settings.enlarge)
    tall, wide = first.job.shape
    if (height, width) != (tall, wide):
        wrong = (
            f"it would be stylized at {width} x {height} pixels; expected the {wide} x {tall} of "
            f"line {first.row.line}, because all frames of a sequence have one size"
        )
        yield Fault(row.line, "content", row.shown("content"), wrong)


def _has_aspect(flow: FlowFacts, shape: tuple[int, int]) -> bool:
    """Return whether a flow has the shape of a picture, or that of the picture at another size."""
    longest = max(flow.width, flow.height)
    height, width = fit(*shape, longest, enlarge=True)
    return abs(height - flow.height) <= 1 and abs(width - flow.width) <= 1


def flows_of(rows: Iterable[Row]) -> set[Place]:
    """Return the files of flow that rows name, without those that have a fault already."""
    return {row.flow for row in rows if row.flow is not None and not row.has_fault_in(FLOW)}
