"""Places in messages are those that were typed, and a fault of many rows is told once."""

from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.preconditions import NotReadyError, check_ready
from nst_core.storage.places import redacted
from nst_core.storage.typed import remember_typed
from tasks.row import Fault, told_once
from tasks.store.output_folder import OutputFolder
from tasks.store.style_cache import StyleCache
from tests.pictures import write_csv, write_picture

NO_PICTURE = "the file begins with the text 'hello'"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the folder `desk`, beside photographs and a style that is no picture."""
    for name in ("photos/one", "photos/two", "photos/three", "a", "s"):
        write_picture(tmp_path / f"{name}.png", 1)
    (tmp_path / "bad.png").write_text("hello")
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "file").write_text("")
    write_csv(tmp_path / "desk" / "m.csv", ("content", "style"), ("../a.png", "../s.png"))
    monkeypatch.chdir(tmp_path / "desk")
    return tmp_path


def told(capsys: Captured, *typed: str) -> tuple[int, str, str]:
    """Return the exit code, and what is on standard output and standard error."""
    code = app(typed, result_action="return_value")
    return code, *capsys.readouterr()


@pytest.mark.parametrize("output", [[], ["-o", "new/results"], ["-o", "../results"]])
def test_a_bad_style_is_told_once_as_it_was_typed(
    folder: Path, capsys: Captured, output: list[str]
) -> None:
    for where in (str(folder), "..", f"{folder}/desk/.."):
        named = (f"{where}/photos", "--style", f"{where}/bad.png")
        code, shown, _ = told(capsys, "check", *named, *output)
        assert code == 1
        (line,) = [line for line in shown.splitlines() if NO_PICTURE in line]
        lines, column, found, expected = line.split("\t")
        assert (lines, column, found) == ("2 and 2 more rows", "style", f"{where}/bad.png")
        assert expected.startswith(NO_PICTURE)


def test_a_bad_photograph_is_named_below_the_folder_that_was_typed(
    folder: Path, capsys: Captured
) -> None:
    (folder / "photos" / "bad.png").write_text("hello")
    (folder / "link").symlink_to(folder / "photos")
    for typed, found in (
        ("../photos", "../photos/bad.png"),
        (f"{folder}/photos", f"{folder}/photos/bad.png"),
        ("../pho*/*.png", "../photos/bad.png"),
        ("../link", "../link/bad.png"),
    ):
        _, shown, _ = told(capsys, "check", typed, "--style", "../s.png", "-o", "new")
        (line,) = [line for line in shown.splitlines() if NO_PICTURE in line]
        assert line.split("\t")[2] == found


def test_the_cells_of_a_manifest_are_shown_as_they_are(folder: Path, capsys: Captured) -> None:
    write_csv(folder / "m.csv", ("content", "style"), ("photos/one.png", "bad.png"))
    _, shown, _ = told(capsys, "check", "../m.csv", "--output", "../photos")
    assert f"2\tstyle\tbad.png\t../bad.png: {NO_PICTURE}" in shown


@pytest.mark.parametrize("output", ["file", "file/out"])
def test_an_output_that_is_a_file_is_refused_by_plan_as_by_run(
    folder: Path, capsys: Captured, output: str
) -> None:
    for typed in (output, str(folder / "desk" / output)):
        code, shown, errors = told(capsys, "plan", "m.csv", "--output", typed)
        assert (code, shown) == (2, "")
        assert errors.startswith(f"error: the output folder {typed} ")
        assert errors.endswith("; choose another folder (--output)\n")
        with pytest.raises(NotReadyError, match=f"the output folder {typed} "):
            check_ready(StyleCache(folder), OutputFolder(Path(typed).absolute()), "cpu")


@pytest.mark.usefixtures("folder")
def test_check_tells_once_that_an_output_is_a_file(capsys: Captured) -> None:
    code, shown, _ = told(capsys, "check", "m.csv", "--output", "file")
    assert code == 1
    assert [line.split("\t")[1:3] for line in shown.splitlines()[1:-1]] == [["(--output)", "file"]]


def test_an_earlier_command_line_is_forgotten(folder: Path) -> None:
    remember_typed(["results"])
    assert redacted(folder / "desk" / "results" / "a.png") == "results/a.png"
    assert redacted(str(folder / "desk" / "results")) == str(folder / "desk" / "results")
    remember_typed([])
    assert redacted(folder / "desk" / "results" / "a.png") == f"{folder}/desk/results/a.png"


def test_faults_that_rows_have_in_common_are_told_once() -> None:
    faults = [Fault(line, "style", "a.png", f"reason {line % 2}") for line in range(2, 7)]
    assert [fault.text(lines) for fault, lines in told_once(faults)] == [
        "line 2 and 2 more rows, column style: found 'a.png'; reason 0",
        "line 3 and 1 more row, column style: found 'a.png'; reason 1",
    ]
