"""Places in messages are those that were typed, and a fault of many rows is told once."""

from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.preconditions import NotReadyError, check_ready
from flows.cli.terminal import Terminal
from flows.cli.typed import Typed
from tasks.intake.layout.kept import keep
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
        with pytest.raises(NotReadyError, match=f"the output folder {folder}/desk/{output} "):
            check_ready(StyleCache(folder), OutputFolder(Path(typed).absolute()), "cpu")


@pytest.mark.usefixtures("folder")
def test_check_tells_once_that_an_output_is_a_file(capsys: Captured) -> None:
    code, shown, _ = told(capsys, "check", "m.csv", "--output", "file")
    assert code == 1
    assert [line.split("\t")[1:3] for line in shown.splitlines()[1:-1]] == [["(--output)", "file"]]


@pytest.mark.parametrize(
    ("typed", "message", "shown"),
    [
        ("results", "the folder {desk}/results is a file", "the folder results is a file"),
        ("results", "wrote {desk}/results.", "wrote results."),
        ("results/", "wrote '{desk}/results/a b.png':", "wrote 'results/a b.png':"),
        ("results", "{desk}/results: see {desk}/results/m.csv", "results: see results/m.csv"),
        ("../photos", "found {folder}/photos/a.png", "found ../photos/a.png"),
        (".", "wrote {desk}/a.png in {desk}", "wrote a.png in ."),
        # Other files, which only begin alike, and URLs stay as they are.
        ("results", "see {desk}/results-2/a.png", "see {desk}/results-2/a.png"),
        ("results", "see {desk}/results.txt", "see {desk}/results.txt"),
        ("results", "see file://{desk}/results/a.png", "see file://{desk}/results/a.png"),
        ("results", "see /else{desk}/results", "see /else{desk}/results"),
        ("/", "see {desk}/a.png", "see {desk}/a.png"),
        ("s3://bucket/results", "see s3://bucket/results/a.png", "see s3://bucket/results/a.png"),
    ],
)
def test_messages_show_places_as_they_were_typed(
    folder: Path, typed: str, message: str, shown: str
) -> None:
    names = {"folder": str(folder), "desk": str(folder / "desk")}
    assert Typed.of([typed]).shown(message.format(**names)) == shown.format(**names)
    assert Typed().shown(message.format(**names)) == message.format(**names)


def test_the_inner_of_two_typed_places_is_shown(folder: Path) -> None:
    typed = Typed.of(["..", "../photos/one.png"]).also(".")
    shown = typed.shown(f"{folder}/photos/one.png {folder}/photos/two.png {folder}/desk/a.png")
    assert shown == "../photos/one.png ../photos/two.png a.png"


def test_machines_read_whole_paths(folder: Path, capsys: Captured) -> None:
    named = str(folder / "desk" / "results")
    terminal = Terminal(as_json=True, typed=Typed.of(["results"]))
    terminal.result({"output": named})
    assert capsys.readouterr().out == f'{{\n  "output": "{named}"\n}}\n'


def test_a_kept_manifest_names_whole_paths_until_it_is_edited(
    folder: Path, capsys: Captured
) -> None:
    output = OutputFolder(folder / "desk" / "new")
    output.make()
    rows = "".join(f"../../photos/{name}.png,../../bad.png,\n" for name in ("one", "two", "three"))
    keep(output, f"content,style,output\n{rows}", [])
    _, shown, _ = told(capsys, "check", "new/manifest.csv")
    assert f"2 and 2 more rows\tstyle\t{folder}/bad.png\t{NO_PICTURE}" in shown
    with (folder / "desk" / "new" / "manifest.csv").open("a") as manifest:
        manifest.write("\n")
    _, shown, _ = told(capsys, "check", "new/manifest.csv")
    assert f"2 and 2 more rows\tstyle\t../../bad.png\tnew/../../bad.png: {NO_PICTURE}" in shown


def test_faults_that_rows_have_in_common_are_told_once() -> None:
    faults = [Fault(line, "style", "a.png", f"reason {line % 2}") for line in range(2, 7)]
    assert [fault.text(lines) for fault, lines in told_once(faults)] == [
        "line 2 and 2 more rows, column style: found 'a.png'; reason 0",
        "line 3 and 1 more row, column style: found 'a.png'; reason 1",
    ]
