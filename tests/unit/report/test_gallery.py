"""The gallery's HTML, without a browser."""

import base64
import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from markupsafe import escape

from nst_core.transfer.losses.terms import LOSS_TERMS
from tasks.report.durations import measured_duration
from tasks.report.gallery.drawn import (
    CURVE_HEIGHT,
    CURVE_WIDTH,
    MOST_CURVE_POINTS,
    breakable,
    curve_lines,
    loss_text,
    share_text,
)
from tasks.report.gallery.orders import SORTS
from tasks.report.gallery.page import Page, Shown, render
from tasks.report.gallery.rows import OF_CONTENT_COLORS
from tasks.report.shown_terms import label_of
from tests.gallery_rows import row

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\u202e</style>"


def page(*rows: Any, **facts: Any) -> str:
    made_at = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
    return render(Page(**({"title": "night.csv", "made_at": made_at, "rows": rows} | facts)))


class ParsedPage(HTMLParser):
    """The elements of a page, with their attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.blocks: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, data: str) -> None:
        tag = self.elements[-1][0] if self.elements else ""
        if tag in ("style", "script") and tag not in self.blocks:
            self.blocks[tag] = data
        elif data.strip():
            self.texts.append(data.strip())

    def policy(self) -> dict[str, list[str]]:
        (content,) = (
            attributes["content"]
            for tag, attributes in self.elements
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        )
        rules = [rule.split() for rule in content.split(";")]
        return {rule[0]: rule[1:] for rule in rules}


def test_only_its_own_style_and_script_may_run() -> None:
    parsed = ParsedPage(page(row()))
    policy = parsed.policy()
    assert policy["default-src"] == ["'none'"]
    assert policy["base-uri"] == policy["form-action"] == ["'none'"]
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(parsed.blocks[tag].encode()).digest()).decode()
        assert policy[f"{tag}-src"] == [f"'sha256-{digest}'"]
    inline = [name for _, attributes in parsed.elements for name in attributes if name[:2] == "on"]
    assert inline == []
    assert not [1 for _, attributes in parsed.elements if "style" in attributes]


def test_the_page_names_no_other_place() -> None:
    html = page(row(), contact_sheet="contact_sheet.png")
    # A digest may contain two slashes, too.
    text = re.sub(r"(?m)^\s*//.*$|sha256-[\w+/]+=*", "", html)
    assert not re.search(r"""(https?:)?//[a-z]""", text)
    urls = [
        attributes[name]
        for _, attributes in ParsedPage(html).elements
        for name in ("href", "src")
        if name in attributes
    ]
    assert "summary.csv" in urls
    assert "contact_sheet.png" in urls
    assert not [url for url in urls if ":" in url or url.startswith("/")]


def test_all_text_is_escaped() -> None:
    hostile = row(
        HOSTILE,
        HOSTILE,
        output=HOSTILE,
        error=HOSTILE,
        warnings=HOSTILE,
        device=HOSTILE,
        stop_reason=HOSTILE,
        result=Shown(HOSTILE, "a.jpg", "a.png"),
    )
    html = page(hostile, title=HOSTILE, gone=(HOSTILE,))
    parsed = ParsedPage(html)
    assert [tag for tag, _ in parsed.elements].count("script") == 1
    assert not [1 for _, attributes in parsed.elements if "onerror" in attributes]
    assert parsed.texts.count(HOSTILE) >= 5
    assert "49" not in "".join(parsed.texts)
    assert len(parsed.elements) == len(ParsedPage(html.replace(HOSTILE, "")).elements)


def test_rows_that_are_not_done_come_first_then_lines_in_order() -> None:
    statuses = ("done", "pending", "interrupted", "cached", "invalid", "failed", "done")
    rows = [row(line=2 + place, status=status) for place, status in enumerate(statuses)]
    lines = re.findall(r'id="line-(\d+)"', page(*reversed(rows)))
    assert list(map(int, lines)) == [7, 6, 4, 3, 2, 5, 8]


def test_the_page_shows_all_counts() -> None:
    rows = [row(line=number, status="done", change="new") for number in range(5)]
    rows.append(row(line=9, status="failed", result=None, error="no room", change="broken"))
    html = page(*rows, compared_with=datetime(2026, 11, 23, tzinfo=UTC), gone=("old.png",))
    buttons = re.findall(r'data-value="(\w+)".*?<b>(\d+)</b>', html)
    expected = [("done", "5"), ("failed", "1"), ("yes", "0"), ("new", "5"), ("broken", "1")]
    assert buttons == expected, "yes is the button of starred rows, whose stars the browser keeps"
    assert "1 gone since the previous run" in html
    assert "<strong>5</strong> of 6 pictures are here" in html
    assert "All 5 pictures are here." in page(*rows[:5])


def test_rows_with_warnings_show_them_and_can_be_filtered() -> None:
    odd = row(line=3, warnings="style: it has just one color")
    html = page(row(), odd)
    assert re.findall(r'data-line="(\d)"[^>]*data-warned="(\w+)"', html) == [
        ("2", "no"),
        ("3", "yes"),
    ]
    assert "style: it has just one color" in ParsedPage(html).texts
    assert re.findall(r'data-filter="warned".*?<b>(\d+)</b>', html) == ["1"]
    assert 'data-filter="warned"' not in page(row())


def test_pictures_are_loaded_lazily_and_have_a_fixed_size() -> None:
    shown = {"result": Shown("r", "gallery/r.jpg", "pictures/r.png")}
    images = [
        attributes
        for tag, attributes in ParsedPage(page(row(**shown))).elements
        if tag == "img" and "src" in attributes
    ]
    assert images == [
        {
            "src": "gallery/r.jpg",
            "alt": "result: r",
            "loading": "lazy",
            "decoding": "async",
            "width": "60",
            "height": "40",
        }
    ]


def test_a_curve_has_one_line_per_octave_on_a_logarithmic_scale() -> None:
    octaves = [np.geomspace(1, 0.1, 11), np.geomspace(0.5, 0.01, 6)]
    lines = [
        np.array([point.split(",") for point in line.split()], float)
        for line in curve_lines([list(octave) for octave in octaves])
    ]
    assert [len(line) for line in lines] == [11, 6]
    points = np.concatenate(lines)
    assert (np.diff(points[:, 0]) > 0).all()
    assert points[0, 0] == 0
    assert points[-1, 0] == pytest.approx(CURVE_WIDTH)
    heights = np.log(np.concatenate(octaves))
    expected = 1 + (0 - heights) / -np.log(0.01) * (CURVE_HEIGHT - 2)
    np.testing.assert_allclose(points[:, 1], expected, atol=0.06)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    losses = list(np.geomspace(1, 0.01, 1000))
    (line,) = curve_lines([losses])
    assert line.count(",") == MOST_CURVE_POINTS
    assert line.startswith("0.0,1.0 ")
    assert line.endswith(f"{CURVE_WIDTH}.0,{CURVE_HEIGHT - 1}.0")


@pytest.mark.parametrize(
    "octaves", [(), ((),), ((0.5,),), ((float("nan"), 0.5),), ((0.0, -1.0), (float("inf"), 1.0))]
)
def test_losses_that_make_no_curve_are_left_out(octaves: Any) -> None:
    assert curve_lines(octaves) == []
    assert "<svg" not in page(row(curve=octaves))


def test_a_constant_loss_is_a_flat_line() -> None:
    (line,) = curve_lines([(0.5, 0.5, 0.5)])
    assert len({point.split(",")[1] for point in line.split()}) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.7, "1 min 0 s"),
        (185, "3 min 5 s"),
        (7440, "2 h 4 min"),
    ],
)
def test_durations_are_readable(seconds: float | None, text: str) -> None:
    assert measured_duration(seconds) == text


def test_every_term_of_the_loss_is_shown_if_it_is_known() -> None:
    losses = {term: 0.25 + number for number, term in enumerate(LOSS_TERMS)}
    facts = dict(re.findall("<dt>(.*)</dt><dd>(.*)</dd>", page(row(term_losses=losses))))
    for term, loss in losses.items():
        assert facts[f"{label_of(term)} loss"] == loss_text(loss)
    facts = dict(re.findall("<dt>(.*)</dt><dd>(.*)</dd>", page(row(term_losses={"tv": 0.5}))))
    assert {name for name in facts if name.endswith(" loss")} == {"smoothness loss"}


def test_losses_in_other_colors_are_explained_where_they_are_shown() -> None:
    assert "The losses are" not in page(row(total_loss=0.5))
    noted = page(row(total_loss=25.0, loss_note=OF_CONTENT_COLORS))
    assert str(escape(OF_CONTENT_COLORS)) in noted
    assert "<dt>loss (in the photograph&#39;s colors)</dt><dd>25</dd>" in noted


def test_losses_and_shares_are_readable() -> None:
    assert loss_text(0.123456) == "0.123"
    assert loss_text(12345.6) == "1.23e+04"
    assert loss_text(None) == ""
    assert share_text(-0.5) == "\N{MINUS SIGN}50%"
    assert share_text(0.0123) == "+1.2%"


def test_all_styles_of_a_row_are_beside_each_other() -> None:
    styles = (Shown("s.png", "s.jpg", "s.jpg"), Shown("<t>.png", "t.jpg", "t.jpg"))
    several = row(style="s.png; <t>.png", styles=styles, blend="1; 3")
    parsed = ParsedPage(page(several))
    pictures = [each for tag, each in parsed.elements if tag == "img" and each.get("alt")]
    assert [each["alt"] for each in pictures if each["alt"].startswith("style")] == [
        *("style: s.png", "style: <t>.png")
    ]
    assert "a.png in the style of s.png; <t>.png (1; 3)" in parsed.texts


def test_every_id_is_there_once_and_every_reference_has_its_element() -> None:
    parsed = ParsedPage(page(row(), row(line=3), contact_sheet="contact_sheet.png"))
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    names = ("aria-labelledby", "aria-describedby", "for")
    wanted = {each[name] for _, each in parsed.elements for name in names if name in each}
    wanted |= {each["href"][1:] for _, each in parsed.elements if each.get("href", "")[:1] == "#"}
    assert {"rows", "viewer-name", "viewer-keys"} <= wanted <= set(ids)


def test_what_varies_is_on_the_card_and_in_the_controls() -> None:
    weights = (10.0, 1.0, 2.5, 1.0)
    rows = [
        row(line=2 + number, settings={"style_weight": weight, "size": 512, "clip": "end"})
        for number, weight in enumerate(weights)
    ]
    html = page(*rows, row(line=9, status="invalid", result=None, total_loss=None))
    parsed = ParsedPage(html)
    places = {
        int(each["data-line"]): each.get("data-settings")
        for _, each in parsed.elements
        if "data-line" in each
    }
    assert places == {2: "[2]", 3: "[0]", 4: "[1]", 5: "[0]", 9: None}
    (select,) = [each for _, each in parsed.elements if "data-setting" in each]
    assert select["name"] == "setting.style_weight"
    assert re.findall(r"<option>([0-9.]+)</option>", html) == ["1", "2.5", "10"]
    assert html.count("<dt>style weight</dt><dd>10</dd>") == 1
    assert html.count("<dt>style weight</dt>") == 4
    assert '<option value="setting.style_weight-down">style weight, highest first</option>' in html
    assert "data-setting=" not in page(*rows[1:2])


def test_small_results_are_marked_so_that_cards_do_not_enlarge_them() -> None:
    sizes = ((639, 400), (640, 400), (400, 640))
    rows = [row(line=n, width=width, height=height) for n, (width, height) in enumerate(sizes)]
    parsed = ParsedPage(page(*rows))
    results = [each["class"] for tag, each in parsed.elements if "result" in each.get("class", "")]
    assert results == ["result small", "result", "result"]


def test_a_card_without_any_picture_keeps_the_place_of_its_pictures() -> None:
    for facts, count in (({"status": "pending", "result": None}, 1), ({}, 0)):
        html = page(row(**facts))
        assert html.count('<div class="pictures empty">') == count
        assert html.count('<div class="pictures') == 1


def test_rows_can_be_sorted_by_numbers_both_ways_and_by_texts_one_way() -> None:
    rows = tuple(
        row(line=2 + at, settings={"size": size, "clip": clip})
        for at, (size, clip) in enumerate(((512, "end"), (64, "always")))
    )
    shown = Page("night.csv", datetime.now(UTC), rows)
    assert shown.sorts.items() - SORTS.items() == {
        ("setting.size-up", "size, lowest first"),
        ("setting.size-down", "size, highest first"),
        ("setting.clip-up", "clip, in order"),
    }


def test_rows_with_scores_show_them_and_can_be_sorted_by_them() -> None:
    rows = (
        row(line=2, style_score=0.914, content_score=0.5),
        row(line=3, style_score=None, content_score=-0.126),
        row(line=4),
    )
    html = page(*rows)
    found = re.findall(r'data-line="(\d)"[^>]*data-look="([^"]+)"', html)
    assert found == [("2", "0.0"), ("3", "0.0")], "each is the lowest by one of its scores"
    assert re.findall(r'data-style-score="([^"]+)"', html) == ["0.914"]
    assert re.findall(r'data-content-score="([^"]+)"', html) == ["0.5", "-0.126"]
    cards = re.findall(r"<dt>(\w+)<span> score</span></dt><dd>(.*?)</dd>", html)
    assert cards == [("style", "0.91"), ("content", "0.50"), ("content", "\N{MINUS SIGN}0.13")]
    assert "What the two scores mean" in html
    shown = Page("night.csv", datetime.now(UTC), rows)
    assert [*shown.sorts][:3] == ["listed", "look-up", "style-score-up"]
    assert shown.sorts["look-up"] == "look at these first"


def test_a_page_without_scores_does_not_mention_them() -> None:
    assert "score" not in "".join(ParsedPage(page(row())).texts)
    assert not [name for name in Page("m", datetime.now(UTC), (row(),)).sorts if "score" in name]


def test_the_lines_of_long_names_end_where_words_do() -> None:
    assert breakable("2024/anna_night_size-512.jpg") == (
        "2024/<wbr>anna_<wbr>night_<wbr>size-512.jpg"
    )
    assert breakable("_<b>_") == "_<wbr>&lt;b&gt;_"
    assert '<h3 dir="ltr">2024/<wbr>anna.jpg</h3>' in page(row(output="2024/anna.jpg"))
