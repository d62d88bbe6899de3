"""The manifest that runs from photographs keep, and the commands that lay it out."""

from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.laid_out import keep_laid_out, laid_out_for
from flows.cli.terminal import Terminal
from nst_core.errors import UserError
from tasks.intake.layout import kept
from tasks.intake.layout.layout import Layout
from tasks.intake.layout.sweep import read_sweep
from tasks.store.output_folder import OutputFolder
from tasks.store.preview_folder import keep_apart
from tests.pictures import write_picture

PHOTOS = ("photos/2024/summer/anna.png", "photos/2024/ben.png", "photos/cem.png")
LAYOUT = Layout(("photos",), ("night.png",), recursive=True)


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutputFolder:
    """Return an output folder beside photographs and a style, in the current folder."""
    for seed, name in enumerate((*PHOTOS, "night.png")):
        write_picture(tmp_path / name, seed)
    monkeypatch.chdir(tmp_path)
    folder = OutputFolder(tmp_path / "out")
    folder.make()
    return folder


def keep(output: OutputFolder, layout: Layout = LAYOUT) -> list[str]:
    """Lay out rows and keep them; return the lines of the manifest."""
    keep_laid_out(laid_out_for(layout, output.manifest, output, Terminal()), output)
    return Path(output.manifest).read_text("utf-8").splitlines()


def test_more_photographs_only_add_rows(
    output: OutputFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    first = keep(output)
    assert capsys.readouterr().out == "3 photographs x 1 style: 3 rows\n"
    assert keep(output) == first
    for name in ("a.png", "2024/ann.png", "2024/ben.tif"):
        write_picture(Path("photos") / name, 9)
    more = keep(output)
    assert more[: len(first)] == first
    assert sorted(line.split(",")[2] for line in more[len(first) :]) == [
        *("2024/ann_night", "2024/ben_night-2", "a_night")
    ]
    assert "6 photographs x 1 style: 6 rows, 3 new\n" in capsys.readouterr().out
    Path("photos/cem.png").unlink()
    assert keep(output) == [line for line in more if "cem" not in line]
    assert capsys.readouterr().out == (
        "5 photographs x 1 style: 5 rows\n1 row leaves the page and the table, because this "
        "command does not name its style, photograph or settings, or its files are gone; no "
        "picture is removed. To add to what is there, name everything again, and what is new; for "
        "other results, choose another --output\n"
    )


def test_another_value_of_a_sweep_renames_nothing(output: OutputFolder) -> None:
    def swept(weights: str) -> list[str]:
        sweep = read_sweep({"style_weight": [weights]})
        return keep(output, Layout(("photos",), ("night.png",), sweep=sweep))

    first = swept("1,3,10")
    assert [line.split(",")[2] for line in first[1:]] == [
        f"cem_night_style-weight-{value}" for value in (1, 3, 10)
    ]
    assert swept("0.3,1,3,10") == [*first, first[1].replace("weight-1,1", "weight-0.3,0.3")]


def test_what_may_be_a_decimal_comma_is_said(
    output: OutputFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(**texts: list[str | bool]) -> str:
        keep(output, Layout(("photos",), ("night.png",), sweep=read_sweep(texts)))
        return capsys.readouterr().out

    doubt = "0,5 is two values, 0 and 5; for one number, write 0.5\n"
    assert doubt in said(style_weight=["0,5"])
    with pytest.raises(UserError, match=r"expected a number .*\n0,25 is two .*, write 0.25$"):
        read_sweep({"strength": ["0,25"]})
    for clear in (["0", "5"], ["0,5,10"], ["1,5"], ["0.1,5"]):
        assert "two values" not in said(style_weight=clear)
    assert "two values" not in said(seed=["0,5"])


def test_commands_in_one_folder_never_give_one_name_to_two_photographs(
    output: OutputFolder,
) -> None:
    for year in (2023, 2024):
        write_picture(Path(f"{year}/cem.png"), year)
    names = {}
    for folder in ("photos", "2023", "2024", "2023", "photos"):
        lines = keep(output, Layout((folder,), ("night.png",)))
        names.setdefault(folder, lines[1].split(",")[2])
        assert lines[1].split(",")[2] == names[folder], "it returns with its name"
    assert names == {"photos": "cem_night", "2023": "cem_night-2", "2024": "cem_night-3"}
    Path(output.given_names).write_text("[[1]]")
    with pytest.raises(UserError, match=r"names.json: expected the names that earlier runs gave"):
        keep(output)


@pytest.mark.parametrize("edit", ["edited", "from elsewhere"])
def test_a_manifest_that_no_run_wrote_is_never_replaced(output: OutputFolder, edit: str) -> None:
    if edit == "edited":
        keep(output)
    manifest = Path(output.manifest)
    before = (manifest.read_text() if manifest.exists() else "content,style\n") + "x.png,y.png\n"
    manifest.write_text(before)
    with pytest.raises(UserError, match=r"out/manifest.csv: this manifest was edited, or comes"):
        keep(output)
    assert manifest.read_text() == before
    manifest.rename(manifest.with_name("mine.csv"))
    assert len(keep(output)) == 4


def test_a_run_killed_between_its_two_writes_does_not_lock_itself_out(
    output: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keep(output)
    write_picture(Path("photos/new.png"), 7)
    write = kept.write_atomic

    def killed(path: Path, data: bytes) -> None:
        if path == output.manifest:
            raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(kept, "write_atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            keep(output)
    assert Path(output.manifest).read_text("utf-8").splitlines() == first
    assert len(keep(output)) == len(first) + 1


def run(*arguments: str) -> int:
    code: int = app([*arguments], result_action="return_value", exit_on_error=False)
    return code


def test_plan_and_check_take_photographs_and_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate((*PHOTOS, "night.png", "wave.png")):
        write_picture(tmp_path / name, seed)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    named = ["photos", "--recursive", "--style", "night.png", "--style", "wave.png"]
    cache = ["--cache", "none"]
    assert run("check", *named) == 0
    assert (
        "3 photographs x 2 styles: 6 rows\n6 rows: 6 can run, 0 errors" in capsys.readouterr().out
    )
    assert run("plan", *named, "--rows", "--size", "32,48", "-o", "results", *cache) == 0
    shown = capsys.readouterr().out
    assert "3 photographs x 2 styles x size 32, 48: 12 rows\n" in shown
    assert "\tnew\t2024/summer/anna_wave_size-48.png\t48\t" in shown
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["photos"],
            "photos: this is a folder, and a manifest is expected; to stylize",
        ),
        (["photos/cem.png"], "photos/cem.png: this is a picture, and a manifest is expected;"),
        (["photos/*.png"], "photos/*.png: this is a glob, and a manifest is expected;"),
        (["m.csv", "n.csv"], "n.csv: a manifest is expected, and only one; to stylize"),
        ([], "found neither a manifest nor photographs; expected a manifest such as night.csv"),
        (["m.csv", "--style", "night.png"], "m.csv: this is a manifest, whose rows name their"),
        (["--style", "night.png"], "expected photographs: files, folders or globs"),
        (
            ["photos", "--style", "styles/a.png", "styles/b.png", "styles/c.png"],
            "styles/b.png: it would be a photograph, although it is in the folder of a style; the",
        ),
        (
            ["m.csv", "--names", "{content}"],
            "--names: m.csv is taken for a manifest, because",
        ),
        (["m.csv", "--size", "32,64"], "--size: found '32,64'; expected one value, which all rows"),
        (["m.csv", "--enlarge", "--no-enlarge"], "--enlarge: found on, off; expected one value"),
        (
            ["photos", "--style", "night.png", "--size", "3"],
            "--size: found '3'; expected a whole number",
        ),
        (["photos", "--style", "night.png", "--names", "{x}"], "--names: found the field {x};"),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan", "check"])
def test_it_is_said_what_the_arguments_are_taken_for(
    output: OutputFolder,
    command: str,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(Path().rglob("*"))
    assert run(command, *arguments, "--output", str(output)) == 2
    assert message in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("output")
def test_a_manifest_has_the_same_ways_to_lay_out_rows(capsys: pytest.CaptureFixture[str]) -> None:
    def written(*options: str) -> list[str]:
        assert run("manifest", "photos", "night.png", "-o", "m.csv", "--overwrite", *options) == 0
        return Path("m.csv").read_text().splitlines()

    assert written() == ["content,style", "photos/cem.png,night.png"]
    assert written("--size", "64") == ["content,style,size", "photos/cem.png,night.png,64"]
    assert written("--pairing", "random", "--pairing-seed", "3") == written()
    assert written("--recursive", "--names", "{style}/{content}")[1:] == [
        "photos/2024/ben.png,night.png,night/ben",
        "photos/2024/summer/anna.png,night.png,night/anna",
        "photos/cem.png,night.png,night/cem",
    ]
    assert written("--style-weight", "1,3") == [
        "content,style,output,style_weight",
        "photos/cem.png,night.png,cem_night_style-weight-1,1",
        "photos/cem.png,night.png,cem_night_style-weight-3,3",
    ]
    assert "m.csv: 2 rows, 1 photograph x 1 style x style-weight 1, 3" in capsys.readouterr().out
    assert written("--sequence", "walk", "--size", "64")[0] == "content,style,sequence,output,size"
    for wrong in (["--sequence", "w", "--size", "32,64"], ["--blend-steps", "2", "--recursive"]):
        assert run("manifest", "photos", "night.png", "-o", "n.csv", *wrong) == 2
        assert wrong[0] in capsys.readouterr().err
    assert run("manifest", "photos", "photos", "-o", "p.csv") == 0, "each with itself"


@pytest.mark.parametrize("command", [["plan"], ["check"], ["run", "--dry-run"]])
def test_a_folder_of_previews_is_refused_before_a_run_would_refuse_it(
    output: OutputFolder, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    typed = [*command, "photos", "--style", "night.png", "-o", "out", "--cache", "none"]
    assert run(*typed) == 0
    keep_apart(output, is_preview=True)
    assert run(*typed) == 2
    assert "out: found previews; expected a folder without them" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_an_output_folder_that_is_a_file_is_refused_in_words(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"output folder .* is a file, or below a file; choose"):
        kept.what_is_kept(OutputFolder(tmp_path / name))
