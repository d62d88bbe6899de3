"""Rendering of pairs: each picture once, for as long as nothing that determines it changes."""

import ast
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nst_core as nst
from benchmarks.pictures.candidates import Candidate
from benchmarks.pictures.catalog import Entry, Levels
from nst_core.images.levels import to_levels
from nst_core.images.write import encode_png
from nst_core.storage.files import write_atomic
from nst_core.transfer.identity import row_key, style_key

ROOT = Path(__file__).parents[2]

DECIDING = ("images", "motion", "networks", "scoring", "transfer")
"""The parts of `nst_core` whose code decides what pictures and scores are like."""


@dataclass(frozen=True)
class Rendered:
    """A finished picture, as it is recorded.

    Attributes:
        content, style: names; `content_nature`, `style_nature`: what kind of pictures they are.
        candidate: name of the settings.
        key: digest of everything that determines the picture and its scores.
        style_score, content_score: of `nst_core.score`; no style score if it has none.
        seconds: how long the optimization took, on a machine that may have been busy.
        steps, evaluations: of the optimization.
    """

    content: str
    style: str
    content_nature: str
    style_nature: str
    candidate: str
    key: str
    style_score: float | None
    content_score: float
    seconds: float
    steps: int
    evaluations: int


@dataclass(frozen=True)
class Task:
    """A pair to be rendered with a candidate."""

    content: Entry
    style: Entry
    candidate: Candidate


class Finished(NamedTuple):
    """A task that is done: its record, and its picture, sRGB, uint8, (height, width, 3)."""

    task: Task
    done: Rendered
    levels: Levels


def tasks(
    pairs: Sequence[tuple[Entry, Entry]], candidates: Sequence[Candidate]
) -> tuple[Task, ...]:
    """Return what is to be rendered; candidates take turns, so that all have the same pairs."""
    return tuple(Task(*pair, candidate) for pair in pairs for candidate in candidates)


def render(
    tasks: Sequence[Task],
    folder: Path,
    seconds: float,
    say: Callable[[str], None] = print,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Finished]:
    """Yield each picture, from the folder if it is there, or else rendered and put there.

    Args:
        tasks: in this order.
        folder: has two files for each picture, which are named after its key.
        seconds: no picture is begun after this time; those that are there are yielded all the same.
        say: is told each new picture.
        clock: returns seconds.
    """
    began = clock()
    for number, task in enumerate(tasks, 1):
        key = key_of(task)
        found = kept(folder, key, task)
        if found is None and clock() - began <= seconds:
            found = _rendered(task, key)
            _keep(folder, *found)
            done = found[0]
            say(f"{number} of {len(tasks)}: {title(done)}, {done.candidate}: {done.seconds:.0f} s")
        if found is not None:
            yield Finished(task, *found)


def title(done: Rendered) -> str:
    """Return what a picture is called."""
    return f"{done.content} / {done.style}".replace("_", " ")


def key_of(task: Task) -> str:
    """Return the digest of pictures, settings, weights and code that determine a picture."""
    settings = task.candidate.settings
    encoder = nst.load_encoder(settings.encoder, settings.pooling)
    style = style_key(_digest(task.style), settings, encoder.fingerprint)
    row = row_key(_digest(task.content), style, settings)
    return hashlib.sha256(f"{row} {code_digest()}".encode()).hexdigest()


def kept(folder: Path, key: str, task: Task) -> tuple[Rendered, Levels] | None:
    """Return a picture that was rendered before, under the names of this task; None if none was."""
    record, picture = folder / f"{key}.json", folder / f"{key}.png"
    if not (record.exists() and picture.exists()):
        return None
    found = json.loads(record.read_text("utf-8"))
    levels = to_levels(nst.load(picture).rgb)
    return Rendered(**(found | _names(task))), levels


def _keep(folder: Path, done: Rendered, levels: Levels) -> None:
    """Write a picture and then its record, without which the picture does not count."""
    write_atomic(folder / f"{done.key}.png", encode_png(levels))
    write_atomic(folder / f"{done.key}.json", f"{json.dumps(asdict(done))}\n".encode())


def _names(task: Task) -> dict[str, Any]:
    return {
        "content": task.content.name,
        "style": task.style.name,
        "content_nature": task.content.nature,
        "style_nature": task.style.nature,
        "candidate": task.candidate.name,
    }


def _rendered(task: Task, key: str) -> tuple[Rendered, Levels]:
    settings = task.candidate.settings
    content, style = opened(task.content), opened(task.style)
    began = time.monotonic()
    outcome = nst.stylize(content, style, settings)
    took = time.monotonic() - began
    scores = nst.score(outcome.pixels, content, style, style_scale=settings.style_scale)
    done = Rendered(
        **_names(task),
        key=key,
        style_score=None if scores.style is None else round(scores.style, 4),
        content_score=round(scores.content, 4),
        seconds=round(took, 1),
        steps=outcome.steps,
        evaluations=outcome.evaluations,
    )
    return done, outcome.pixels


@cache
def opened(entry: Entry) -> Levels:
    """Return the picture of an entry; it is opened once."""
    return entry.open()


@cache
def _digest(entry: Entry) -> str:
    picture = opened(entry)
    return hashlib.sha256(str(picture.shape).encode() + picture.tobytes()).hexdigest()


@cache
def code_digest() -> str:
    """Return the digest of the code that decides, in which comments and docstrings do not count."""
    digest = hashlib.sha256()
    for part in DECIDING:
        for path in sorted((ROOT / "nst_core" / part).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode())
            digest.update(meaning(path.read_text("utf-8")).encode())
    return digest.hexdigest()


def meaning(code: str) -> str:
    """Return a text that does not change with the comments and docstrings of a module."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(line: ast.stmt) -> bool:
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )
