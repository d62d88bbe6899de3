"""Rows that are laid out from photographs, styles and settings."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from nst_core.errors import UserError
from nst_core.storage.files import write_atomic
from nst_core.storage.schemes import SCHEMES, Scheme
from nst_core.transfer.presets import resolve
from tasks.intake.layout.layout import LaidOut, Layout, lay_out
from tasks.intake.layout.naming import Named, Template, value_in_name
from tasks.intake.layout.numbering import Kept, Wanted, numbered
from tasks.intake.layout.pairing import pair
from tasks.intake.layout.pictures import Content, Style, find_contents, find_styles
from tasks.intake.layout.sweep import read_sweep
from tasks.intake.manifest import manifest_of
from tasks.store.output_folder import OutputFolder
from tasks.store.output_names import as_one_result, checked_output

PHOTOS = ("photos/2024/summer/anna.jpg", "photos/2024/ben.jpg", "photos/cem.jpg")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with photographs in nested folders and two styles."""
    for name in (*PHOTOS, "art/night.png", "art/wave.png"):
        write_atomic(tmp_path / name, b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(laid: LaidOut) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(laid.text))]


def outputs(folder: Path, contents: tuple[str, ...], *, recursive: bool = True) -> list[str]:
    laid = lay_out(Layout(contents, ("art/night.png",), recursive=recursive), folder / "out")
    return [row["output"] for row in rows(laid)]


def test_results_mirror_the_folders_of_the_originals(folder: Path) -> None:
    mirrored = ["2024/ben_night", "2024/summer/anna_night", "cem_night"]
    assert outputs(folder, ("photos",)) == mirrored
    assert outputs(folder, (str(folder / "photos"),)) == mirrored
    assert outputs(folder, ("photos/**/*.jpg",), recursive=False) == mirrored
    assert outputs(folder, ("photos",), recursive=False) == ["cem_night"]
    assert outputs(folder, ("photos/2024/ben.jpg", "photos/cem.jpg")) == ["ben_night", "cem_night"]
    assert outputs(folder, ("photos/2024/*/*.jpg",), recursive=False) == ["summer/anna_night"]


def test_several_folders_have_a_folder_each_and_no_picture_is_taken_twice(folder: Path) -> None:
    write_atomic(folder / "more" / "cem.jpg", b"")
    assert outputs(folder, ("photos/2024", "more")) == [
        *("2024/ben_night", "2024/summer/anna_night", "more/cem_night")
    ]
    assert outputs(folder, ("photos/cem.jpg", "photos/*.jpg")) == ["cem_night"]


def test_contents_in_object_storage_are_mirrored_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "memory", Scheme())
    root = UPath("memory://album")
    for name in ("x/a.jpg", "x/y/b.jpg", "s.png"):
        write_atomic(root / name, b"")
    try:
        contents, _ = find_contents(["memory://album/x"], root / "out", recursive=True)
        assert [each.path for each in contents] == ["a", "y/b"]
        contents, _ = find_contents(["memory://album/*/y/*.jpg"], root / "out")
        assert [each.path for each in contents] == ["x/y/b"]
        assert contents[0].cell == "memory://album/x/y/b.jpg"
    finally:
        root.fs.store.clear()


def test_results_styles_and_hidden_folders_are_no_contents(folder: Path) -> None:
    for name in ("out/pictures/cem_night.png", "out/contact_sheet.png", ".trash/old.jpg"):
        write_atomic(folder / name, b"")
    output = OutputFolder(folder / "out")
    layout = Layout((".",), ("art/night.png",), recursive=True)
    laid = lay_out(layout, output.root, output=output)
    found = {row["content"] for row in rows(laid)}
    assert found == {f"../{name}" for name in PHOTOS} | {"../art/wave.png"}
    left_out = {(each.path, each.why) for each in laid.seen[0].left_out}
    assert left_out == {
        ("out/pictures/cem_night.png", "results of runs"),
        ("out/contact_sheet.png", "results of runs"),
        ("art/night.png", "named as styles"),
        (".trash/old.jpg", "in hidden folders"),
    }
    # Who names a file means it.
    both = Layout(("art/night.png",), ("art/night.png",))
    assert len(rows(lay_out(both, output.root, output=output))) == 1


def test_styles_are_pictures_folders_and_blends(folder: Path) -> None:
    styles, _ = find_styles(["art", "art/wave.png", "art/night.png; art"], folder / "out")
    assert [(each.cell, each.name) for each in styles] == [
        ("../art/night.png", "night"),
        ("../art/wave.png", "wave"),
        ("../art/night.png; ../art", "night+art"),
    ]
    write_atomic(folder / "a; b.png", b"")
    (style,), _ = find_styles(["a; b.png"], folder)
    assert (style.cell, style.name) == ("a; b.png", "a; b")


@pytest.mark.parametrize(
    ("contents", "styles", "message"),
    [
        (
            ("nowhere",),
            ("art",),
            "nowhere: cannot be read: No such file or directory; check the path",
        ),
        (("photos/2024/*.png",), ("art",), r"photos/2024/\*.png: no pictures; expected a folder"),
        (("photos",), ("art/none.png",), "art/none.png: cannot be read"),
    ],
)
def test_what_is_not_there_is_named(
    folder: Path, contents: tuple[str, ...], styles: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        lay_out(Layout(contents, styles), folder)


CONTENTS = [Content(f"{name}.jpg", "", name) for name in "abcdefgh"]
STYLES = [Style(f"{name}.png", name) for name in "stu"]


def test_pairs_are_all_zipped_or_drawn() -> None:
    assert len(pair(CONTENTS, STYLES, "all", 0)) == 24
    assert pair(CONTENTS[:3], STYLES, "zip", 0) == [*zip(CONTENTS[:3], STYLES, strict=True)]
    with pytest.raises(UserError, match="found 8 contents and 3 styles; expected as many styles"):
        pair(CONTENTS, STYLES, "zip", 0)
    drawn = dict(pair(CONTENTS, STYLES, "random", 1))
    assert list(drawn) == CONTENTS
    assert set(drawn.values()) == set(STYLES)
    assert drawn != dict(pair(CONTENTS, STYLES, "random", 2))


def test_a_drawn_style_does_not_depend_on_other_contents_and_little_on_other_styles() -> None:
    drawn = dict(pair(CONTENTS, STYLES, "random", 1))
    assert dict(pair(CONTENTS[3:], STYLES[::-1], "random", 1)).items() <= drawn.items()
    new = Style("v.png", "v")
    more = dict(pair(CONTENTS, [*STYLES, new], "random", 1))
    assert all(style in (drawn[content], new) for content, style in more.items())


def test_commas_separate_values_but_not_within_a_text() -> None:
    typed = {
        "style_weight": ["1, 3", "1e1"],
        "tv_kind": ["l1,l2"],
        "enlarge": [True, False],
        "style_layers": ["relu1_1:1,relu2_1:0.5"],
        "style_measure": ["gram", "gram, moments"],
        "style_blend": ["1;3"],
    }
    sweep = read_sweep(typed)
    assert sweep.values == {
        "enlarge": ("true", "false"),
        "style_blend": ("1; 3",),
        "style_weight": ("1", "3", "10"),
        "tv_kind": ("l1", "l2"),
        "style_layers": ("relu1_1:1 relu2_1:0.5",),
        "style_measure": ("gram", "gram:1 moments:1"),
    }
    assert sweep.varied == ("enlarge", "style_weight", "tv_kind", "style_measure")
    assert len({tuple(choice.values()) for choice in sweep.choices()}) == 2 * 3 * 2 * 2
    assert all(resolve(choice) for choice in sweep.choices())


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            {"size": ["512,x", "3"]},
            "--size: found 'x'; .*\n--size: found '3'; expected a whole number",
        ),
        ({"style_weight": ["1,1.0"]}, "--style-weight: '1' is named twice"),
        ({"size": ["512,"]}, "--size: found ''"),
        ({"style_layers": ["conv9_9"]}, "--style-layers: "),
        ({"encoder": ["compact,vgg19"], "content_layers": ["conv4_2"]}, "--content-layers: "),
    ],
)
def test_values_that_cannot_be_used_are_refused_before_any_row(
    typed: dict[str, list[str | bool]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_sweep(typed)


def test_a_sweep_has_a_row_for_each_value_and_says_it(folder: Path) -> None:
    def swept(**typed: list[str | bool]) -> dict[str, dict[str, str]]:
        layout = Layout(("photos/cem.jpg",), ("art",), sweep=read_sweep(typed))
        return {row["output"]: row for row in rows(lay_out(layout, folder))}

    found = swept(style_weight=["1,0.5"], size=["64,32"], steps=["5"])
    assert list(found)[:2] == [
        "cem_night_size-64_style-weight-1",
        "cem_night_size-64_style-weight-0.5",
    ]
    assert len(found) == 8
    row = found["cem_wave_size-32_style-weight-0.5"]
    assert (row["size"], row["style_weight"], row["steps"]) == ("32", "0.5", "5")
    more = swept(style_weight=["7,1,0.5"], size=["64,32"], steps=["5"])
    assert found.items() <= more.items()
    assert len(more) == 12


def test_values_in_names_differ_whatever_they_are() -> None:
    texts = ["1; 3", "1; 30", "3; 1", "relu1_1:1", "relu1_1-1", "gram:1 moments:0.5", "x" * 99]
    assert len({value_in_name("style_blend", text) for text in texts}) == len(texts)
    assert value_in_name("style_weight", "0.5") == "0.5"
    assert value_in_name("enlarge", "true") == "on"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{folder}/{content}_{style}", "2024/summer/anna_night"),
        ("{style}/{folder}/{content}", "night/2024/summer/anna"),
        ("{content}-{size}-{style-weight}-{enlarge}", "anna-64-1-off"),
        ("{preset}/{content}.png", "standard/anna.png"),
    ],
)
def test_templates_may_name_any_setting(folder: Path, template: str, expected: str) -> None:
    sweep = read_sweep({"size": ["64"]})
    layout = Layout(
        ("photos",), ("art/night.png",), recursive=True, names=Template(template), sweep=sweep
    )
    names = [row["output"] for row in rows(lay_out(layout, folder))]
    assert expected in names


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{contents}_{style}", r"found the field \{contents\}; did you mean \{content\}\?"),
        ("{content!r}", "nothing but the name of a field"),
        ("{content:>9}", "nothing but the name of a field"),
        ("{}", "nothing but the name of a field"),
        ("{content", "a brace is missing"),
        ("../{content}", "expected a place inside the output folder"),
        ("/{content}", "expected a place inside the output folder"),
        ("x/../../{content}", "expected a place inside the output folder"),
        ("{content}.gif", "expected a name that ends in"),
    ],
)
def test_templates_that_cannot_be_used_are_refused(template: str, message: str) -> None:
    with pytest.raises(UserError, match=f"--names: .*{message}"):
        Template(template)


def test_a_template_that_gives_two_rows_one_name_is_refused(folder: Path) -> None:
    layout = Layout(("photos",), ("art",), recursive=True, names=Template("{content}"))
    with pytest.raises(UserError, match=r"night.png and .*wave.png would be 'ben'; add \{style\}"):
        lay_out(layout, folder)
    folders = replace(layout, names=Template("{style}"), styles=("art/wave.png",))
    with pytest.raises(UserError, match=r"add \{folder\} or \{content\}, which distinguishes them"):
        lay_out(folders, folder)
    alike = Layout(("photos/2024",), ("art/wave.png",), names=Template("{style}"))
    # Names that differ only in case are one name on some disks, whatever fields there are.
    write_atomic(folder / "photos/2024/Ben.gif", b"")
    with pytest.raises(UserError, match="no field distinguishes them; rename one of"):
        lay_out(alike, folder)
    # These differ in fields that the template has already.
    for name in ("odd/ab.jpg", "odd/a.jpg", "arts/c.png", "arts/bc.png"):
        write_atomic(folder / name, b"")
    joined = Layout(("odd",), ("arts",), names=Template("{content}{style}"))
    with pytest.raises(UserError, match="would be 'abc'; no field distinguishes them"):
        lay_out(joined, folder)
    sweep = read_sweep({"size": ["32,64"]})
    swept = Layout(("photos",), ("art/wave.png",), names=Template("{content}"), sweep=sweep)
    with pytest.raises(UserError, match=r"add \{size\}, which distinguishes them"):
        lay_out(swept, folder)


def test_files_with_one_stem_get_numbers_that_stay(folder: Path) -> None:
    layout = Layout(("photos/2024",), ("art/night.png",))
    first = lay_out(layout, folder)
    assert [row["output"] for row in rows(first)] == ["ben_night"]
    # In the order of names, this is before ben.jpg.
    for name in ("ben.gif", "Ben.png", "ann.jpg"):
        write_atomic(folder / "photos/2024" / name, b"")
    second = lay_out(layout, folder, kept=Kept(first.named, first.named))
    named = {Path(row["content"]).name: row["output"] for row in rows(second)}
    assert named == {
        "ben.jpg": "ben_night",
        "ann.jpg": "ann_night",
        "ben.gif": "ben_night-2",
        "Ben.png": "Ben_night-3",
    }
    assert rows(second)[0] == rows(first)[0], "an earlier row keeps its line"


NAMES = st.text(st.sampled_from("aA.\u00e9e\u0301 -_\n\u202e;,=\\jpg2"), min_size=1, max_size=12)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8, unique=True))
def test_names_are_always_allowed_and_distinct(stems: list[tuple[str, str]]) -> None:
    wanted = [
        Wanted(
            f"{at}", style, Template().name(Named(Content("", "f", stem), Style("", style), {}, ()))
        )
        for at, (stem, style) in enumerate(stems)
    ]
    names = numbered(wanted, Kept())
    assert len({as_one_result(checked_output(name)) for name in names}) == len(names)
    given = [Wanted(row.content, row.style, name) for row, name in zip(wanted, names, strict=True)]
    again = numbered(wanted[::-1], Kept(names=given))
    assert again[::-1] == names


def test_laid_out_rows_are_read_back(folder: Path) -> None:
    odd = ["=1+1.jpg", " lead.jpg", 'quo"te, x.jpg', "a.jpg.png"]
    for name in odd:
        write_atomic(folder / "odd" / name, b"")
    sweep = read_sweep({"style_measure": ["gram, moments"], "match_colors": [False]})
    laid = lay_out(Layout(("odd",), ("art",), sweep=sweep), folder)
    read = manifest_of(folder / "m.csv", laid.text).rows
    assert [row.faults for row in read] == [()] * 8
    assert {row.content.name for row in read} == set(odd)
    assert {row.settings.style_measure for row in read} == {"gram:1 moments:1"}
    assert not any(row.settings.match_colors for row in read)


def test_no_name_of_another_photograph_is_given_again_while_it_exists() -> None:
    rows = [Wanted(f"{year}/a.jpg", "s.png", "a_s") for year in (2023, 2024, 2025)]
    there = {row.content for row in rows}
    given: list[Wanted] = []
    for row, expected in zip(rows, ("a_s", "a_s-2", "a_s-3"), strict=True):
        (name,) = numbered([row], Kept(names=given, is_there=there.__contains__))
        assert name == expected
        given.append(Wanted(row.content, row.style, name))
    for row, expected in zip(rows, ("a_s", "a_s-2", "a_s-3"), strict=True):
        assert numbered([row], Kept(names=given, is_there=there.__contains__)) == [expected]
    there.remove("2024/a.jpg")
    new = Wanted("2026/a.jpg", "s.png", "a_s")
    assert numbered([new], Kept(names=given, is_there=there.__contains__)) == ["a_s-2"]
    # With a template, a photograph's other style is a change of its row.
    other = Wanted("2023/a.jpg", "t.png", "a_s")
    kept = Kept(names=given, is_there=there.__contains__)
    assert numbered([other], kept, has_template=True) == ["a_s"]
    assert numbered([other], kept) == ["a_s-2"]
