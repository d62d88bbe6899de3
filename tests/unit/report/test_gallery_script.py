"""The pure functions of the page's script, run by the JavaScript engine that Playwright brings."""

import csv
import json
import random
import subprocess
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import playwright
import pytest

from tasks.report.gallery.page import SCRIPTS
from tasks.report.selection import parse_only

PURE = SCRIPTS[:3]
ENGINE = next((Path(playwright.__file__).parent / "driver").glob("node*"))


def evaluate(expression: str, **values: Any) -> Any:
    """Return the value of an expression in which the pure functions and these values are known."""
    folder = resources.files("tasks.report.gallery") / "template"
    given = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    parts = ['"use strict";', *((folder / name).read_text() for name in PURE), given]
    program = "\n".join([*parts, f"process.stdout.write(JSON.stringify({expression}));"])
    done = subprocess.run([ENGINE, "-"], input=program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_pure_functions_know_neither_the_page_nor_the_window() -> None:
    folder = resources.files("tasks.report.gallery") / "template"
    for name in PURE:
        text = (folder / name).read_text()
        assert not {"document", "window", "localStorage"} & set(text.replace(".", " ").split()), (
            name
        )


def test_the_whole_script_can_be_parsed() -> None:
    folder = resources.files("tasks.report.gallery") / "template"
    script = '"use strict";\n' + "".join((folder / name).read_text() for name in SCRIPTS)
    done = subprocess.run(
        [ENGINE, "--check", "-"], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_lines_are_those_that_only_reads_back() -> None:
    chosen = random.Random(3)
    sets = [sorted(chosen.sample(range(2, 60), chosen.randrange(1, 40))) for _ in range(30)]
    texts = evaluate("sets.map((lines) => onlyText(lines.reverse()))", sets=sets)
    for lines, text in zip(sets, texts, strict=True):
        assert [line for part in parse_only(text).lines for line in part] == lines
        runs = sum(line - 1 not in lines for line in lines)
        assert text.count(",") == runs - 1, "as few parts as there are runs of lines"


def test_csv_is_what_other_programs_read() -> None:
    cells = [
        ["line", 'say "no"', "two\nlines", "a,b"],
        [3, "=1+1", "'quoted", "-5"],
        ["", "é", 0.5, "x"],
    ]
    text = evaluate("csvText(cells)", cells=cells)
    assert [*csv.reader(text.splitlines(keepends=True))] == [
        ["line", 'say "no"', "two\nlines", "a,b"],
        ["3", "'=1+1", "''quoted", "'-5"],
        ["", "é", "0.5", "x"],
    ]


def test_stored_stars_are_read_whatever_is_stored() -> None:
    texts = [None, "", "{", "3", "null", '["a", 1, "b", null, "a"]', '{"a": 1}', "[]"]
    read = evaluate("texts.map((text) => [...starsOf(text)])", texts=texts)
    assert read == [[], [], [], [], [], ["a", "b"], [], []]


def test_a_choice_and_its_fragment_are_the_same() -> None:
    fragment = "status=failed&status=invalid&starred=yes&setting.style_weight=3&style=2&text=a+b"
    fragment += "&loss=0.5&sort=loss-up"
    back, choice = evaluate(
        "[fragmentOf(choiceOf(fragment)), choiceOf(fragment)]", fragment=fragment
    )
    assert sorted(parse_qsl(back)) == sorted(parse_qsl(fragment))
    assert (choice["text"], choice["sort"], choice["cards"]) == ("a b", "loss-up", "medium")
    assert evaluate("fragmentOf(choiceOf('cards=medium&sort=listed&nonsense=1'))") == ""


def test_rows_are_chosen_by_all_that_is_asked_for() -> None:
    rows = [
        {
            "status": status,
            "change": "",
            "warned": "no",
            "starred": starred,
            "style": style,
            "settings": {"size": size},
            "loss": None if size is None else 0.12345 if size == "256" else 0.5,
            "text": f"{status} {size}",
        }
        for status, starred, style, size in product(
            ("done", "failed"), ("yes", "no"), ("0", "1"), ("256", "512", None)
        )
    ]
    for fragment, expected in (
        ("", rows),
        ("status=failed", [row for row in rows if row["status"] == "failed"]),
        ("status=failed&status=done", rows),
        (
            "starred=yes&style=1",
            [row for row in rows if (row["starred"], row["style"]) == ("yes", "1")],
        ),
        ("setting.size=512", [row for row in rows if row["settings"] == {"size": "512"}]),
        ("setting.size=512&setting.other=1", []),
        ("loss=0.5", [row for row in rows if row["loss"] is not None]),
        ("loss=0.123", [row for row in rows if row["loss"] == 0.12345]),
        ("loss=0.122", []),
        ("text=LED+256", [row for row in rows if row["text"] == "failed 256"]),
    ):
        program = "rows.filter((row) => isChosen(row, choiceOf(f), wordsOf(choiceOf(f).text)))"
        assert evaluate(program, rows=rows, f=fragment) == expected


def test_rows_without_a_number_come_last_in_both_directions() -> None:
    rows = [
        {"place": place, "line": 9 - place, "loss": loss, "setting.size": loss}
        for place, loss in enumerate((3, None, 1, 2, None, 2))
    ]
    shuffled = random.Random(1).sample(rows, len(rows))
    for sort, key in (
        ("listed", lambda row: row["place"]),
        ("line", lambda row: row["line"]),
        ("loss-up", lambda row: (row["loss"] is None, row["loss"] or 0, row["line"])),
        ("setting.size-down", lambda row: (row["loss"] is None, -(row["loss"] or 0), row["line"])),
    ):
        assert evaluate("inOrder(rows, sort)", rows=shuffled, sort=sort) == sorted(rows, key=key)


ROOM = {"width": 800, "height": 600, "ratio": 1}
LARGE, SMALL = {"width": 2400, "height": 1200}, {"width": 60, "height": 40}


@pytest.mark.parametrize(
    ("picture", "ratio", "width"),
    [(LARGE, 1, 800), (LARGE, 4, 800), (SMALL, 1, 800), (SMALL, 2, 800)],
)
def test_a_whole_picture_fills_the_room_whatever_its_size(
    picture: dict[str, int], ratio: float, width: float
) -> None:
    room = ROOM | {"ratio": ratio}
    place, zoom = evaluate(
        "[placed(WHOLE, picture, room), actualZoom(picture, room)]", picture=picture, room=room
    )
    assert place["width"] == pytest.approx(width)
    assert place["height"] == pytest.approx(width * picture["height"] / picture["width"])
    assert place["left"] == pytest.approx((800 - width) / 2)
    assert zoom * width * ratio == pytest.approx(picture["width"])


def test_zooming_keeps_the_spot_under_the_pointer() -> None:
    numbers = random.Random(2)
    views = [
        {
            "zoom": numbers.uniform(3, 6),
            "x": numbers.uniform(0.4, 0.6),
            "y": numbers.uniform(0.4, 0.6),
        }
        for _ in range(50)
    ]
    points = [{"x": numbers.uniform(300, 500), "y": numbers.uniform(200, 400)} for _ in views]
    program = """views.map((view, number) => {
        const after = zoomedAt(view, 1.3, points[number], picture, room);
        return [placed(view, picture, room), placed(after, picture, room)];
    })"""
    pairs = evaluate(program, views=views, points=points, picture=LARGE, room=ROOM)
    for point, (before, after) in zip(points, pairs, strict=True):
        assert after["width"] == pytest.approx(1.3 * before["width"])
        for axis, side, length in (("x", "left", "width"), ("y", "top", "height")):
            spots = [(point[axis] - place[side]) / place[length] for place in (before, after)]
            assert spots[0] == pytest.approx(spots[1])


def test_views_stay_within_limits() -> None:
    program = """[
        zoomedAt(WHOLE, 0.01, { x: 0, y: 0 }, picture, room),
        zoomedAt(WHOLE, 1e9, { x: 0, y: 0 }, picture, room),
        panned({ zoom: 4, x: 0.5, y: 0.5 }, 1e6, -1e6, picture, room),
        panned(WHOLE, 50, 50, picture, room),
    ]"""
    out, far, cornered, whole = evaluate(program, picture=LARGE, room=ROOM)
    smallest, largest, *_ = evaluate(program, picture=SMALL, room=ROOM)
    assert smallest["zoom"] == pytest.approx(60 / 800), "a small picture at its own size"
    assert largest["zoom"] == 1, "it is more than 800% already"
    assert out == whole == {"zoom": 1, "x": 0.5, "y": 0.5}
    assert far["zoom"] == pytest.approx(8 * 3), "800% of 2400 pixels, of which 800 were seen"
    assert cornered["x"] == pytest.approx(400 / (800 * 4)), "the left border is at the room's"
    assert cornered["y"] == pytest.approx(1 - 300 / (400 * 4)), "the lower border is at the room's"


def test_two_fingers_hold_what_is_below_them() -> None:
    view = {"zoom": 4, "x": 0.5, "y": 0.5}
    before = [{"x": 300, "y": 300}, {"x": 500, "y": 300}]
    after = [{"x": 260, "y": 330}, {"x": 560, "y": 330}]
    program = """(() => {
        const next = pinched(view, before, after, picture, room);
        return [placed(view, picture, room), placed(next, picture, room)];
    })()"""
    one, other = evaluate(program, view=view, before=before, after=after, picture=LARGE, room=ROOM)
    for here, there in zip(before, after, strict=True):
        for axis, side, length in (("x", "left", "width"), ("y", "top", "height")):
            spot = (here[axis] - one[side]) / one[length]
            assert (there[axis] - other[side]) / other[length] == pytest.approx(spot)


def test_the_edge_is_in_what_is_seen_of_the_picture() -> None:
    place = {"left": -400, "top": 0, "width": 1600, "height": 600}
    program = (
        "[edgeShare(25, place, room), percentAt(200, place, room), percentAt(-9, place, room)]"
    )
    share, percent, outside = evaluate(program, place=place, room=ROOM)
    assert share == pytest.approx((400 + 200) / 1600)
    assert (percent, outside) == (25, 0)


def test_pictures_beside_each_other_are_as_large_as_the_smaller_one() -> None:
    large, small = {"width": 1024, "height": 683}, {"width": 512, "height": 342}
    first, second = evaluate("[beside(a, b), beside(b, a)]", a=large, b=small)
    assert first == pytest.approx({"width": 512, "height": 341.5})
    assert second == small


@pytest.mark.parametrize(
    ("width", "ratio", "text", "is_enlarged"),
    [
        (2400, 1, "100%", False),
        (1200, 2, "100%", False),
        (120, 1, "5.0%", False),
        (2406, 1, "100%", False),
        (3600, 1, "enlarged, shown at 150%", True),
    ],
)
def test_a_scale_says_whether_a_picture_is_larger_than_its_pixels(
    width: float, ratio: float, text: str, is_enlarged: bool
) -> None:
    scale = evaluate(
        "scaleOf({ width }, picture, { ratio })", width=width, ratio=ratio, picture=LARGE
    )
    assert scale == {"text": text, "isEnlarged": is_enlarged}


def test_wheels_and_trackpads_zoom_in_both_directions() -> None:
    turns = [
        {"deltaY": down, "deltaMode": mode, "ctrlKey": pinch}
        for down, mode, pinch in ((-100, 0, False), (100, 0, False), (-3, 1, False), (-9, 0, True))
    ]
    closer, farther, lines, pinch = evaluate("turns.map(wheelFactor)", turns=turns)
    assert closer > 1 > farther
    assert closer * farther == pytest.approx(1)
    assert lines > 1
    assert pinch > 1


def test_keys_do_what_the_page_says() -> None:
    cases = [
        *(("ArrowLeft", False, False, "before"), ("ArrowRight", False, False, "after")),
        *(("ArrowRight", True, False, "right"), ("ArrowUp", False, False, "up")),
        *(
            ("ArrowRight", False, True, ""),
            ("Home", False, True, ""),
            ("PageDown", False, True, "after"),
        ),
        *(
            ("+", True, False, "closer"),
            ("=", False, False, "closer"),
            ("0", False, False, "whole"),
        ),
        *(("1", False, True, "pixels"), ("S", True, False, "star"), ("c", False, False, "pair")),
        *(("Enter", False, False, ""), ("constructor", False, False, ""), ("x", True, False, "")),
    ]
    found = evaluate(
        "cases.map(([key, isShifted, isSlider]) => actionOf(key, isShifted, isSlider))", cases=cases
    )
    assert found == [expected for *_, expected in cases]
