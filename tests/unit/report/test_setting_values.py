"""Which settings vary between the rows of a page."""

import json

from tasks.report.gallery.setting_values import NOTHING, SettingValues, places_of, text_of, varied


def names(*settings: dict[str, object]) -> list[str]:
    return [each.name for each in varied(settings)]  # type: ignore[arg-type]


def test_only_what_differs_varies() -> None:
    assert names({"size": 512, "steps": 60}, {"size": 256, "steps": 60}) == ["size"]
    assert names({"size": 512}) == names({"size": 512}, {}) == names() == []
    assert names({"tv_weight": 1}, {"tv_weight": 1.0}) == [], "as numbers, they are the same"


def test_values_are_in_their_order_and_those_without_one_last() -> None:
    rows = [{"seed": seed} for seed in (10, None, 9, 100, 9)]
    assert varied(rows) == (SettingValues("seed", ("9", "10", "100", NOTHING), is_number=True),)
    rows = [{"clip": text} for text in ("end", "", "Always")]
    assert varied(rows) == (SettingValues("clip", ("Always", "end", NOTHING), is_number=False),)
    rows = [{"enlarge": flag} for flag in (True, False)]
    assert varied(rows) == (SettingValues("enlarge", ("off", "on"), is_number=False),)


def test_what_another_setting_decides_is_left_out() -> None:
    compact, vgg = (
        {"encoder": "compact", "style_layers": "a"},
        {"encoder": "vgg", "style_layers": "b"},
    )
    assert names(compact, vgg) == ["encoder"]
    assert names(compact, vgg, vgg | {"style_layers": "c"}) == ["encoder", "style_layers"]
    assert names(compact, compact | {"style_layers": "c"}) == ["style_layers"]


def test_places_are_those_of_the_values() -> None:
    rows = [
        {"size": size, "clip": clip} for size, clip in ((512, "end"), (64, ""), (512, "always"))
    ]
    those = varied(rows)
    for row in rows:
        places = json.loads(places_of(row, those))
        shown = [each.values[place] for each, place in zip(those, places, strict=True)]
        assert shown == [text_of(row["size"]), text_of(row["clip"])]


def test_numbers_can_be_sorted_both_ways_and_texts_one_way() -> None:
    size, clip = varied([{"size": 1, "clip": "end"}, {"size": 2, "clip": "always"}])
    assert size.sorts == {
        "setting.size-up": "size, lowest first",
        "setting.size-down": "size, highest first",
    }
    assert clip.sorts == {"setting.clip-up": "clip, in order"}
    assert SettingValues("style_weight", ("1", "2"), is_number=True).label == "style weight"
