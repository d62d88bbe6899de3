"""Moving pictures on the command line: a folder of frames as a manifest, the film of a sequence."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.cli.app import app
from flows.cli.commands.animate import film
from flows.cli.commands.pairs import write_pairs
from flows.cli.terminal import Terminal
from nst_core.images.write import encode_png
from nst_core.motion.flo_files import encode_flow
from nst_core.storage.files import write_atomic
from tasks.report.table import frame_of
from tasks.report.table_row import Table, TableRow
from tasks.store.output_folder import OutputFolder
from tests.pictures import write_picture
from tests.tables import write_frame
from tests.unit.intake.test_jobs import examine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with frames 1 to 11, their flow, and two styles."""
    for number in range(1, 12):
        write_picture(tmp_path / "frames" / f"frame{number}.png", number)
    for number in range(2, 12):
        flow = np.full((36, 48, 2), number, np.float32)
        write_atomic(tmp_path / "flow" / f"back_{number}_{number - 1}.flo", encode_flow(flow))
    for name in ("s", "t"):
        write_picture(tmp_path / "art" / f"{name}.png", 99)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_of_frames_becomes_a_sequence_in_the_order_of_numbers(folder: Path) -> None:
    assert write_pairs(Terminal(), "frames", "art/s.png", Path("m.csv"), sequence="walk") == 0
    rows = rows_of(folder / "m.csv")
    assert [row["content"] for row in rows] == [f"frames/frame{n}.png" for n in range(1, 12)]
    assert {(row["style"], row["sequence"]) for row in rows} == {("art/s.png", "walk")}
    assert [row["output"] for row in rows] == [f"walk/{number:04}" for number in range(1, 12)]
    examined = examine(folder, tuple(rows[0]), *(tuple(row.values()) for row in rows))
    assert examined.faults == ()
    assert [job.frame for job in examined.jobs] == [*range(1, 12)]


def test_files_of_flow_belong_to_all_frames_but_the_first(folder: Path) -> None:
    how = {"sequence": "walk", "flow": "flow"}
    assert write_pairs(Terminal(), "frames", "art/s.png", Path("m.csv"), **how) == 0
    flows = [row["flow"] for row in rows_of(folder / "m.csv")]
    assert flows == ["", *(f"flow/back_{n}_{n - 1}.flo" for n in range(2, 12))]


@pytest.mark.parametrize(
    ("styles", "sequence", "flow", "wrong"),
    [
        ("art", "walk", "", "--sequence: found 2 styles, such as art/s.png; expected one"),
        ("art/s.png", "../walk", "", "--sequence: found '../walk'; expected a place inside"),
        ("art/s.png", "walk", "flow/back_[2-5]*.flo", "--flow: found 4 .flo files; expected 10"),
        ("art/s.png", "walk", "art", "--flow: found 0 .flo files; expected 10"),
    ],
)
def test_what_is_no_sequence_is_refused(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    styles: str,
    sequence: str,
    flow: str,
    wrong: str,
) -> None:
    how = {"sequence": sequence, "flow": flow}
    assert write_pairs(Terminal(), "frames", styles, Path("m.csv"), **how) == 2
    assert wrong in capsys.readouterr().err
    assert not (folder / "m.csv").exists()


def test_a_flow_needs_a_sequence_and_a_film_needs_no_row(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = ["manifest", "frames", "art", "-o", "m.csv", "--flow", "flow"]
    blends = [
        "manifest",
        "frames",
        "art",
        "-o",
        "m.csv",
        "--sequence",
        "walk",
        "--blend-steps",
        "3",
    ]
    for tokens in (
        frames,
        blends,
        ["animate", "out"],
        ["animate", "out", "2", "--sequence", "walk"],
    ):
        with pytest.raises(SystemExit) as end:
            app(tokens)
        assert end.value.code == 2
    told = capsys.readouterr().err
    assert "only a sequence has flow" in told
    assert "--blend-steps: the frames of a sequence have one style" in told
    assert told.count("expected a row or --sequence, and not both") == 2
    assert not (folder / "m.csv").exists()


SHADES = (10, 90, 200)


@pytest.fixture
def output(tmp_path: Path) -> OutputFolder:
    """Return an output folder with a finished sequence, and one that is not finished."""
    rows = [TableRow(line=2, status="done", picture="pictures/a.png", output="a.png")]
    for number, shade in enumerate(SHADES):
        named = {"output": f"walk/{number}.png", "picture": f"pictures/walk/{number}.png"}
        rows.append(TableRow(line=3 + number, status="cached", sequence="walk", **named))
        pixels = np.full((20, 30, 3), shade / 255, np.float32)
        write_atomic(tmp_path / named["picture"], encode_png(pixels))
    rows += [
        TableRow(line=6, status="done", sequence="fly", picture="pictures/a.png", output="f.png"),
        TableRow(line=7, status="failed", sequence="fly", output="g.png"),
    ]
    write_frame(frame_of(Table(tuple(rows))), tmp_path)
    return OutputFolder(tmp_path)


@pytest.mark.parametrize("kind", ["gif", "webp", "apng"])
def test_a_film_shows_the_results_of_a_sequence_in_order(
    output: OutputFolder, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert film(Terminal(as_json=True), output, "walk", kind, size=512, fps=20) == 0  # type: ignore[arg-type]
    path = Path(json.loads(capsys.readouterr().out)["animation"])
    assert path.relative_to(str(output.root)) == Path(f"animations/walk.{kind}")
    animation = Image.open(path)
    assert animation.n_frames == 3  # type: ignore[attr-defined]
    for number, shade in enumerate(SHADES):
        animation.seek(number)
        assert animation.convert("L").getpixel((15, 10)) == pytest.approx(shade, abs=3)
        assert animation.info["duration"] == 50


@pytest.mark.parametrize(
    ("named", "wrong"),
    [
        ("wlak", "no sequence 'wlak'; expected a name in the column sequence; did you mean 'walk'"),
        ("zzz", "found walk, fly"),
        ("fly", "1 of the 2 frames of 'fly' have no picture, the first of them in line 7 (failed)"),
    ],
)
def test_a_film_that_cannot_be_made_says_why(
    output: OutputFolder, capsys: pytest.CaptureFixture[str], named: str, wrong: str
) -> None:
    assert film(Terminal(), output, named, "gif", size=64, fps=20) == 2
    assert wrong in capsys.readouterr().err
