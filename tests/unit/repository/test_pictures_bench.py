"""The bench of pictures: what it has, what it renders once, and what it says of differences."""

import json
import math
import re
import socket
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nst_core as nst
from benchmarks.pictures import __main__ as bench
from benchmarks.pictures import rendering, report, sheets
from benchmarks.pictures.candidates import CandidateError, candidate
from benchmarks.pictures.catalog import CONTENTS, STYLES, CatalogError, Entry, named, own
from benchmarks.pictures.pairs import PAIRS
from benchmarks.pictures.rendering import Rendered, Task

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "pictures-bench.md"
TINY = ["steps=2", "octaves=1"]
SIDE = 48


def refused(*_: object) -> None:
    raise AssertionError("the bench must not use the network")


@pytest.mark.parametrize("entry", CONTENTS + STYLES, ids=lambda entry: entry.name)
def test_every_picture_opens_without_network_and_has_a_source_and_a_license(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", refused)
    picture = entry.open()
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert max(picture.shape) >= 190
    assert picture.std() > 8
    assert all((entry.name, entry.nature, entry.about, entry.source, entry.license))


def test_contents_and_styles_are_of_all_natures_formats_and_lights() -> None:
    assert len(named(CONTENTS)) >= 12
    assert len(named(STYLES)) >= 8
    assert {entry.nature for entry in CONTENTS} == {
        "face", "animal", "building", "landscape", "sky", "text", "still life",
    }  # fmt: skip
    assert {entry.nature for entry in STYLES} == {
        "thick strokes", "outlines", "hatching", "mosaic", "flat color", "fine texture",
        "large forms", "photograph",
    }  # fmt: skip
    pictures = {entry.name: entry.open() for entry in CONTENTS}
    wide = {name: picture.shape[1] / picture.shape[0] for name, picture in pictures.items()}
    about = {entry.name: entry.about for entry in CONTENTS}
    assert {name for name, ratio in wide.items() if ratio >= 2} == {
        name for name, text in about.items() if "panorama" in text
    }
    assert {name for name, ratio in wide.items() if ratio < 0.95} == {
        name for name, text in about.items() if "portrait format" in text
    }
    light = {name: picture.mean() for name, picture in pictures.items()}
    assert {name for name, text in about.items() if re.search("dark(?! figure)", text)} == {
        name for name, mean in light.items() if mean < 100
    }
    assert {name for name, text in about.items() if "bright" in text} == {
        name for name, mean in light.items() if mean > 150
    }
    gray = {name for name, picture in pictures.items() if not np.ptp(picture, axis=2).any()}
    assert {name for name, text in about.items() if "gray" in text} == gray - {"horse"}


def test_pairs_are_balanced() -> None:
    assert len({*PAIRS}) == len(PAIRS) == 24
    assert Counter(content for content, _ in PAIRS) == dict.fromkeys(named(CONTENTS), 2)
    assert Counter(style for _, style in PAIRS) == dict.fromkeys(named(STYLES), 3)
    assert {content for content, _ in PAIRS[:12]} == {*named(CONTENTS)}
    assert {style for _, style in PAIRS[:12]} == {*named(STYLES)}
    faces = {entry.name for entry in CONTENTS if entry.nature == "face"}
    natures = {named(STYLES)[style].nature for content, style in PAIRS if content in faces}
    assert natures == {"mosaic", "thick strokes", "large forms"}


def test_the_page_lists_all_pictures() -> None:
    text = DOCUMENT.read_text("utf-8")
    for entry in CONTENTS + STYLES:
        cells = (f"`{entry.name}`", entry.nature, entry.about, entry.source, entry.license)
        assert f"| {' | '.join(cells)} |" in text


def test_the_page_has_the_medians_of_the_records() -> None:
    text = DOCUMENT.read_text("utf-8")
    records = report.read(ROOT / "benchmarks" / "results" / "pictures-standard-256.jsonl")
    assert {(one.content, one.style) for one in records} == {*PAIRS}
    for entry in STYLES:
        of_style = [one for one in records if one.style == entry.name]
        style = np.median([one.style_score for one in of_style if one.style_score is not None])
        content = np.median([one.content_score for one in of_style])
        assert f"| {entry.nature} | {style:.2f} | {content:.2f} |" in text


def test_a_candidate_is_a_preset_with_changes() -> None:
    changed = candidate("fine", 96, ["content_layers=relu2_2:1 relu3_2:1", "content_weight=0.15"])
    assert changed.settings == nst.resolve(
        {"preset": "fine", "size": 96, "enlarge": True, "content_weight": 0.15},
        {"content_layers": "relu2_2:1 relu3_2:1"},
    )
    assert changed.name == "fine-content_layers=relu2_2-1-relu3_2-1-content_weight=0.15"
    assert candidate("standard", 256).name == "standard"


@pytest.mark.parametrize(
    ("preset", "change", "words"),
    [
        ("standrad", "steps=1", "standrad, expected one of draft, standard"),
        ("standard", "steps", "found steps, expected a setting and its value: NAME=VALUE"),
        ("standard", "stepz=1", "stepz"),
        ("standard", "steps=-1", "steps"),
        ("standard", "content_layers=relu9_9:1", "relu9_9"),
    ],
)
def test_a_wrong_candidate_is_refused_without_a_traceback(
    preset: str, change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CandidateError, match=words):
        candidate(preset, 64, [change])
    arguments = ["--presets", preset, "--set", change, "--folder", str(tmp_path)]
    assert bench.main(arguments) == 2
    assert words in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_only_what_python_does_counts_in_code() -> None:
    code = 'A = 1\n"""What A is."""\n\ndef f() -> int:\n    """Say."""\n    return A  # why\n'
    same = "A = 1\n\n\ndef f() -> int:\n    return A\n"
    assert rendering.meaning(code) == rendering.meaning(same)
    assert rendering.meaning(code) != rendering.meaning(code.replace("A = 1", "A = 2"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a folder of two contents and one of a style."""
    contents, styles = (tmp_path_factory.mktemp(name) for name in ("contents", "styles"))
    by_name = named(CONTENTS + STYLES)
    for folder, names in ((contents, ("cat", "coffee")), (styles, ("gravel",))):
        for name in names:
            Image.fromarray(by_name[name].open()).resize((60, 50)).save(folder / f"{name}.png")
    return contents, styles


def tiny_tasks(folders: tuple[Path, Path], *changes: str) -> tuple[Task, ...]:
    contents, styles = own(folders[0], "content"), own(folders[1], "style")
    pairs = [(content, styles[0]) for content in contents]
    return rendering.tasks(pairs, [candidate("standard", SIDE, [*TINY, *changes], "tiny")])


def render(tasks: tuple[Task, ...], folder: Path, seconds: float = 9e9) -> list[rendering.Finished]:
    clock = iter(range(1000))
    return [*rendering.render(tasks, folder, seconds, lambda _: None, lambda: next(clock))]


def test_a_picture_is_rendered_once_and_scored(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tiny_tasks(folders)
    # The clock is read at the start, and before each picture; it says 0, 1 and 2.
    first = render(tasks, tmp_path, seconds=1)
    assert [one.done.content for one in first] == ["cat"]
    assert max(first[0].levels.shape) == SIDE
    both = render(tasks, tmp_path)
    assert [one.done.content for one in both] == ["cat", "coffee"]
    assert both[0].done == first[0].done
    for one in both:
        picture = np.asarray(Image.open(tmp_path / f"{one.done.key}.png"))
        np.testing.assert_array_equal(picture, one.levels)
        scores = nst.score(picture, one.task.content.open(), one.task.style.open())
        assert scores.content == pytest.approx(one.done.content_score, abs=1e-4)
        if scores.style is not None:
            assert scores.style == pytest.approx(one.done.style_score, abs=1e-4)

    def never(*_: object) -> None:
        raise AssertionError("a finished picture must be kept")

    monkeypatch.setattr(nst, "stylize", never)
    again = render(tasks, tmp_path)
    assert [one.done for one in again] == [one.done for one in both]
    (tmp_path / f"{both[1].done.key}.png").unlink()
    with pytest.raises(AssertionError, match="must be kept"):
        render(tasks, tmp_path)


def test_the_key_covers_pictures_settings_and_code(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cat, coffee = tiny_tasks(folders)
    other_weight, _ = tiny_tasks(folders, "content_weight=0.1")
    other_style = replace(cat, style=coffee.content)
    renamed = replace(cat, content=replace(cat.content, name="tiger"))
    keys = [rendering.key_of(task) for task in (cat, coffee, other_weight, other_style, renamed)]
    assert len({*keys}) == 4
    assert keys[4] == keys[0]
    monkeypatch.setattr(rendering, "code_digest", lambda: "other code")
    assert rendering.key_of(cat) != keys[0]


def test_own_folders_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="found no style"):
        own(tmp_path, "style")
    for suffix in ("png", "jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"a.{suffix}")
    with pytest.raises(CatalogError, match="two pictures a, expected different names"):
        named(own(tmp_path, "style"))


def a_record(
    style_score: float | None, content_score: float, content: str = "cat", **about: str
) -> Rendered:
    facts = {"style": "swirls", "content_nature": "animal", "style_nature": "strokes"}
    facts |= {"candidate": "standard", "key": ""} | about
    return Rendered(
        content, *(facts[name] for name in ("style", "content_nature", "style_nature")),
        facts["candidate"], facts["key"], style_score, content_score, 1.0, 2, 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("style", "content", "expected"),
    [
        (1.0, 0.5, "equal"),
        (1.015, 0.49, "equal"),
        (1.03, 0.49, "better"),
        (0.99, 0.53, "better"),
        (0.97, 0.51, "worse"),
        (1.00, 0.47, "worse"),
        (1.03, 0.47, "mixed"),
        (None, 0.53, "better"),
    ],
)
def test_a_picture_is_better_if_one_score_is_higher_and_none_lower(
    style: float | None, content: float, expected: str
) -> None:
    assert report.verdict(a_record(style, content), a_record(1.0, 0.5)) == expected


def test_the_report_has_medians_by_nature_and_the_pairs_that_differ() -> None:
    before = [
        a_record(1.0, 0.5),
        a_record(0.8, 0.3, "dog"),
        a_record(0.9, 0.7, "pilot", content_nature="face"),
    ]
    now = [
        replace(one, candidate="other", style_score=(one.style_score or 0) + up, content_score=kept)
        for one, up, kept in zip(before, (0.005, -0.1, 0.0), (0.505, 0.29, 0.9), strict=True)
    ]
    text = report.report({"standard": before, "other": now})
    assert "| standard | 3 | 0.90 | 0.50 | 1 |" in text
    assert f"| animal | 2 | 0.90 | {statistics.median((0.5, 0.3)):.2f} | 0.85 | 0.40 |" in text
    assert "| face | 1 | 0.90 | 0.70 | 0.90 | 0.90 |" in text
    assert "other, compared with standard: of 3 pairs, 1 better, 1 worse and 1 equal" in text
    assert "style +0.00, content +0.01" in text
    lines = text.splitlines()
    worse = "| dog / swirls | 0.80 to 0.70 (-0.10) | 0.30 to 0.29 (-0.01) | worse |"
    better = "| pilot / swirls | 0.90 to 0.90 (+0.00) | 0.70 to 0.90 (+0.20) | better |"
    assert lines.index(worse) < lines.index(better)
    assert "cat /" not in text
    against = report.report({"other": now}, [replace(one, candidate="old") for one in before])
    assert "other, compared with old: of 3 pairs" in against
    assert "compared" not in report.report({"standard": before})


def test_records_survive_a_file_and_others_are_refused(tmp_path: Path) -> None:
    records = (a_record(None, 0.5), a_record(1.0, 0.25, "dog"))
    report.write(tmp_path / "a.jsonl", records)
    assert report.read(tmp_path / "a.jsonl") == records
    (tmp_path / "b.jsonl").write_text('{"content": "cat"}\n')
    with pytest.raises(report.RecordsError, match="expected lines that `make pictures` wrote"):
        report.read(tmp_path / "b.jsonl")
    with pytest.raises(report.RecordsError, match="cannot be read: No such file"):
        report.read(tmp_path / "c.jsonl")


def flat(color: tuple[int, int, int], height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def test_a_sheet_shows_every_picture_beside_its_inputs() -> None:
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    insets = [flat((250, 250, 0), 30, 60), flat((0, 250, 250), 60, 30)]
    cells = [sheets.Cell(["a", "b"], flat(color, 40, 80), insets) for color in colors]
    drawn = np.asarray(sheets.sheet(cells, columns=2)).astype(int)
    counts = {color: (drawn == color).all(axis=-1).sum() for color in (*colors, (250, 250, 0))}
    assert all(counts[color] == sheets.CELL * sheets.CELL // 2 for color in colors)
    assert counts[250, 250, 0] == 3 * sheets.INSET * sheets.INSET // 2
    places = [np.argwhere((drawn == color).all(axis=-1)).min(axis=0) for color in colors]
    assert places[0][0] == places[1][0] < places[2][0]
    assert places[0][1] == places[2][1] < places[1][1]
    assert (drawn.sum(axis=-1) < 100).any()  # the text
    with pytest.raises(ValueError, match="expected at least one"):
        sheets.sheet([])


@pytest.fixture
def tiny_run(folders: tuple[Path, Path], tmp_path: Path) -> Callable[..., Path]:
    def run(*more: str) -> Path:
        arguments = ["--contents", str(folders[0]), "--styles", str(folders[1])]
        arguments += ["--side", str(SIDE), "--folder", str(tmp_path)]
        arguments += [word for change in TINY for word in ("--set", change)]
        assert bench.main([*arguments, *more]) == 0
        return tmp_path

    return run


def test_a_run_writes_sheets_records_and_a_table(
    tiny_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_run("--presets", "draft", "--name", "tiny")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "rendered", "report.md", "draft-48.jpg", "draft-48.jsonl", "tiny-48.jpg", "tiny-48.jsonl",
        "beside-48.jpg",
    }  # fmt: skip
    lines = (folder / "tiny-48.jsonl").read_text().splitlines()
    assert [json.loads(line)["content"] for line in lines] == ["cat", "coffee"]
    text = (folder / "report.md").read_text()
    assert "tiny, compared with draft: of 2 pairs" in text
    assert text in capsys.readouterr().out
    wide, high = Image.open(folder / "beside-48.jpg").size
    assert wide > high  # two rows of two, each with its inputs
    assert math.isclose(wide, Image.open(folder / "tiny-48.jpg").size[0], rel_tol=0.05)
    tiny_run("--presets", "draft", "--against", str(folder / "tiny-48.jsonl"), "--seconds", "0")
    assert "compared with tiny: of 2 pairs" in capsys.readouterr().out


def test_a_run_without_time_says_so(
    tiny_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_run("--seconds", "-1")
    assert "No picture was begun in this time" in capsys.readouterr().out


def test_wrong_arguments_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--name", "a", "--folder", str(tmp_path)]) == 2
    assert "--name is for one preset with --set" in capsys.readouterr().err
    assert bench.main(["--against", str(tmp_path / "a"), "--folder", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
