"""Which settings vary between the rows of a batch."""

from dataclasses import replace
from pathlib import Path

from tasks.intake.manifest import manifest_of
from tasks.report.varied import DEFAULT, NOTHING, VariedSetting, named_settings, what_varies
from tasks.row import Fault, Row


def names(*settings: dict[str, object]) -> list[str]:
    return [each.name for each in what_varies(settings)]  # type: ignore[arg-type]


def test_only_what_differs_varies() -> None:
    assert names({"size": 512, "steps": 60}, {"size": 256, "steps": 60}) == ["size"]
    assert names({"size": 512}) == names({"size": 512}, {}) == names() == []
    assert names({"tv_weight": 1}, {"tv_weight": 1.0}) == [], "as numbers, they are the same"


def test_values_are_in_their_order_and_those_without_one_last() -> None:
    rows = [{"seed": seed} for seed in (10, None, 9, 100, 9)]
    assert what_varies(rows) == (
        VariedSetting("seed", ("9", "10", "100", NOTHING), is_number=True),
    )
    rows = [{"clip": text} for text in ("end", "", "Always")]
    assert what_varies(rows) == (
        VariedSetting("clip", ("end", "Always", NOTHING), is_number=False),
    )
    rows = [{"enlarge": flag} for flag in (True, False)]
    assert what_varies(rows) == (VariedSetting("enlarge", ("on", "off"), is_number=False),)


def test_a_setting_is_named_for_people() -> None:
    assert VariedSetting("style_weight", ("1", "2"), is_number=True).label == "style weight"


def rows_of(*lines: str) -> tuple[Row, ...]:
    return manifest_of(Path("m.csv"), "\n".join(lines)).rows


def test_only_settings_that_cells_name_are_shown_because_the_others_follow_from_them() -> None:
    rows = rows_of("content,style,encoder,color", "a,s,vgg19,style", "b,s,,", "c,s,compact,match")
    assert named_settings(rows) == {
        2: {"color": "style", "encoder": "vgg19"},
        3: {"color": "match", "encoder": "compact"},
        4: {"color": "match", "encoder": "compact"},
    }
    rows = rows_of("content,style,preset,size", "a,s,draft,", "b,s,,64", "c,s,,original")
    assert named_settings(rows) == {
        2: {"preset": "draft", "size": 256},
        3: {"preset": DEFAULT, "size": 64},
        4: {"preset": DEFAULT, "size": "original"},
    }


def test_settings_with_a_fault_are_not_known_but_those_of_a_missing_picture_are() -> None:
    wrong, right = rows_of("content,style,size", "a,s,tiny", "b,s,64")
    right = right.with_faults([Fault(right.line, "content", "b", "there is no such file")])
    assert named_settings([wrong, right]) == {3: {"size": 64}}


def test_a_preview_shows_the_values_of_its_row_in_full() -> None:
    (full,) = rows_of("content,style,size", "a,s,512")
    small = full.settings.model_copy(update={"size": 64})
    preview = replace(full, settings=small, in_full=full.settings)
    assert named_settings([preview]) == {2: {"size": 512}}
