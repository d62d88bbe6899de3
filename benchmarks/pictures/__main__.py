"""Render the bench of pictures: a sheet of each preset, with scores, and a table.

    make pictures [PRESETS="standard fine"] [SIDE=256] [SECONDS=600]
    python -m benchmarks.pictures [--presets standard] [--set content_weight=0.15 --name more]
                                  [--against FILE] [--contents FOLDER] [--styles FOLDER] [--all]

Everything is written into build/pictures. Pictures stay there, and are rendered again only if their
inputs, the settings, the encoder or the code of nst_core change, so a run that was stopped goes on
with the same command.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import nst_core as nst
from benchmarks.pictures import report, sheets
from benchmarks.pictures.candidates import Candidate, CandidateError, candidate, file_name
from benchmarks.pictures.catalog import CONTENTS, STYLES, CatalogError, Entry, named, own
from benchmarks.pictures.pairs import PAIRS
from benchmarks.pictures.rendering import ROOT, Finished, Rendered, opened, render, tasks, title
from tools.sheets import save

FOLDER = ROOT / "build" / "pictures"
RESULTS = ROOT / "benchmarks" / "results"
SIDE = 256
BYTES_OF_CELL = 24_000
"""How large the file of a sheet may be for each result; the quality of the JPEG follows from it."""


def pairs_of(options: argparse.Namespace) -> list[tuple[Entry, Entry]]:
    """Return the pairs: the fixed ones, or else all combinations of what was asked for."""
    contents = own(options.contents, "content") if options.contents else CONTENTS
    styles = own(options.styles, "style") if options.styles else STYLES
    by_name = named(contents), named(styles)
    if options.all or options.contents or options.styles:
        return [*product(contents, styles)]
    return [(by_name[0][content], by_name[1][style]) for content, style in PAIRS]


def candidates_of(options: argparse.Namespace) -> list[Candidate]:
    """Return the presets; if settings are changed, each is followed by itself with the changes."""
    if options.name and (len(options.presets) > 1 or not options.set):
        raise CandidateError("--name is for one preset with --set")
    found = []
    for preset in options.presets:
        found.append(candidate(preset, options.side))
        if options.set:
            found.append(candidate(preset, options.side, options.set, options.name))
    return found


def records_before(
    options: argparse.Namespace, candidates: Sequence[Candidate]
) -> tuple[Rendered, ...]:
    """Return what to compare with: the file that was named, or else the one in the repository.

    There is none if several candidates can be compared with each other.
    """
    if options.against:
        return report.read(options.against)
    stored = RESULTS / f"pictures-{candidates[0].name}-{options.side}.jsonl"
    return report.read(stored) if len(candidates) == 1 and stored.exists() else ()


def draw(folder: Path, side: int, finished: Sequence[Finished], count: int) -> list[Path]:
    """Write a sheet of each candidate, and one of all beside each other; return their paths.

    Args:
        folder: has the files of records, too.
        side: the longest side of results, in pixels.
        finished: at least one.
        count: the number of candidates.
    """
    paths = []
    for name, of_it in grouped(finished, lambda one: one.done.candidate).items():
        path = folder / f"{file_name(name)}-{side}.jpg"
        drawn = sheets.sheet([cell_of(one) for one in of_it])
        save(drawn, path, BYTES_OF_CELL * len(of_it))
        report.write(path.with_suffix(".jsonl"), [one.done for one in of_it])
        paths.append(path)
    pairs = grouped(finished, lambda one: title(one.done)).values()
    cells = [cell_of(one, one.done.candidate) for of in pairs if len(of) == count for one in of]
    if count > 1 and cells:
        paths.append(folder / f"beside-{side}.jpg")
        save(sheets.sheet(cells, count), paths[-1], BYTES_OF_CELL * len(cells))
    return paths


def cell_of(one: Finished, *first: str) -> sheets.Cell:
    """Return a cell of a sheet, with these lines first."""
    score = one.done.style_score
    style = "no style score" if score is None else f"style {score:.2f}"
    lines = (*first, title(one.done), f"{style}, content {one.done.content_score:.2f}")
    return sheets.Cell(lines, one.levels, [opened(one.task.content), opened(one.task.style)])


def grouped(
    finished: Sequence[Finished], by: Callable[[Finished], str]
) -> dict[str, list[Finished]]:
    """Return what is finished by a text, in order."""
    groups: dict[str, list[Finished]] = {}
    for one in finished:
        groups.setdefault(by(one), []).append(one)
    return groups


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="make pictures", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--presets", nargs="+", default=["standard"], metavar="PRESET")
    add("--side", type=int, default=SIDE, help="the longest side of each result, in pixels")
    add("--seconds", type=float, default=float("inf"), help="begin no picture after this time")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="also with this setting")
    add("--name", default="", help="of the preset with the settings of --set")
    add("--against", type=Path, metavar="FILE", help="compare with these records of another run")
    add("--all", action="store_true", help="all contents in all styles")
    add("--contents", type=Path, metavar="FOLDER", help="own contents, in all styles")
    add("--styles", type=Path, metavar="FOLDER", help="own styles, of all contents")
    add("--folder", type=Path, default=FOLDER, help="where everything is written")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Render, draw and report."""
    candidates = candidates_of(options)
    before = records_before(options, candidates)
    planned = tasks(pairs_of(options), candidates)
    finished = [*render(planned, options.folder / "rendered", options.seconds)]
    if not finished:
        print("No picture was begun in this time, expected more than 0 in --seconds.")
        return
    paths = draw(options.folder, options.side, finished, len(candidates))
    found = {
        name: [one.done for one in of_it]
        for name, of_it in grouped(finished, lambda one: one.done.candidate).items()
    }
    text = report.report(found, before)
    (options.folder / "report.md").write_text(text, "utf-8")
    print(f"\n{text}\n" + "\n".join(map(str, [*paths, options.folder / "report.md"])))
    if len(finished) < len(planned):
        print(f"The time is up with {len(finished)} of {len(planned)}; the same command goes on.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 2 if the command line cannot be used."""
    try:
        run(options_of(arguments))
    except (CandidateError, report.RecordsError, CatalogError, nst.UserError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
