"""The gallery in a real browser: what people see, press and type."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import expect

from nst_core.images.write import encode_jpeg
from nst_core.storage.files import write_atomic
from tasks.report.gallery.page import Page, Shown, render
from tests.browser.conftest import Opener
from tests.gallery_rows import row

HOSTILE = '"><script>alert(1)</script>.png'
RED, BLUE = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)
ROWS = 300
LOSSES = [((number * 7919) % 1000 + 1) / 1000 for number in range(ROWS)]


def write_jpeg(path: Path, color: tuple[float, float, float]) -> None:
    write_atomic(path, encode_jpeg(np.full((40, 60, 3), color, np.float32)))


def facts_of(number: int) -> dict[str, Any]:
    """Return the facts of one row of a large page."""
    name = f"picture-{number:04d}.png"
    return {
        "line": number + 2,
        "output": name,
        "result": Shown(name, f"gallery/{number}.jpg", f"gallery/{number}.jpg"),
        "total_loss": LOSSES[number % ROWS],
        "seconds": float(number % 17),
        "curve": ((1.0, 0.5, 0.3), (0.6, 0.2)),
        "change": "new" if number % 10 == 0 else "same",
    }


SPECIAL: dict[int, dict[str, Any]] = {
    40: {"status": "failed", "result": None, "total_loss": None, "error": "MemoryError: no room"},
    41: {"status": "invalid", "result": None, "total_loss": None, "error": f"line 43: {HOSTILE}"},
    42: {"output": HOSTILE, "status": "cached"},
    43: {"change": "moved", "previous_loss": 2 * LOSSES[43]},
    44: {"change": "changed", "previous_loss": LOSSES[44] / 1.1},
}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of 300 rows with two styles, in a folder with its pictures."""
    folder = tmp_path_factory.mktemp("gallery")
    return write_gallery(folder, ROWS)


def write_gallery(folder: Path, count: int) -> Path:
    write_jpeg(folder / "gallery" / "content.jpg", RED)
    rows = []
    for number in range(count):
        write_jpeg(folder / "gallery" / f"{number}.jpg", BLUE)
        style = HOSTILE if number % 3 == 0 else "styles/night.png"
        made = row("photos/content.png", style, **(facts_of(number) | SPECIAL.get(number, {})))
        shown = Shown("photos/content.png", "gallery/content.jpg", "gallery/content.jpg")
        rows.append(made.__class__(**{**made.__dict__, "content": shown}))
    page = Page(
        title=HOSTILE,
        made_at=datetime(2026, 11, 24, 6, 30, tzinfo=UTC),
        rows=tuple(rows),
        gone=(HOSTILE, "old.png"),
        compared_with=datetime(2026, 11, 23, 6, 30, tzinfo=UTC),
    )
    path = folder / "gallery.html"
    path.write_text(render(page))
    return path


def lines(page: BrowserPage) -> list[int]:
    """Return the lines of the rows that are shown, in their order."""
    shown = "rows => rows.filter(row => !row.hidden).map(row => Number(row.dataset.line))"
    found: list[int] = page.locator(".row").evaluate_all(shown)
    return found


def shown_count(page: BrowserPage) -> str:
    return page.locator(".shown").inner_text()


def test_failed_rows_come_first_with_their_reasons(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    assert lines(page)[:3] == [42, 43, 2]
    assert lines(page)[2:] == [line for line in range(2, ROWS + 2) if line not in (42, 43)]
    assert "298 of 300 pictures are here, 2 are not." in page.locator(".lead").inner_text()
    first = page.locator(".row").first
    assert first.get_by_text("MemoryError: no room").is_visible()
    assert first.get_by_role("heading", name="picture-0040.png").is_visible()


def test_filters_by_status_change_style_and_text(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    failed = page.get_by_role("button", name="failed 1")
    failed.click()
    assert lines(page) == [42]
    assert shown_count(page) == "1 of 300 rows"
    page.get_by_role("button", name="invalid 1").click()
    assert lines(page) == [42, 43]
    failed.click()
    page.get_by_role("button", name="invalid 1").click()
    assert shown_count(page) == "300 rows"

    page.get_by_role("button", name="new 30").click()
    assert [line for line in lines(page) if line != 42] == list(range(2, ROWS + 2, 10))[:4] + list(
        range(52, ROWS + 2, 10)
    )
    page.get_by_role("button", name="new 30").click()

    page.get_by_label("Style").select_option("styles/night.png (200)")
    assert len(lines(page)) == 200
    page.get_by_label("Style").select_option("")

    page.get_by_label("Find").fill("PICTURE-012")
    assert lines(page) == list(range(122, 132))
    page.get_by_label("Find").fill("memoryerror room")
    assert lines(page) == [42]
    page.get_by_label("Find").fill("no such row")
    assert lines(page) == []
    page.get_by_role("button", name="Show all").click()
    assert len(lines(page)) == ROWS


def test_sorts_by_loss_time_line_and_change_of_loss(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    with_loss = {number + 2: LOSSES[number] for number in range(ROWS) if number not in (40, 41)}
    order = page.get_by_label("Order")
    order.select_option("highest loss first")
    by_loss = lines(page)
    assert [with_loss[line] for line in by_loss[:-2]] == sorted(with_loss.values(), reverse=True)
    assert by_loss[-2:] == [42, 43], "rows without a loss come last"
    order.select_option("lowest loss first")
    assert [with_loss[line] for line in lines(page)[:-2]] == sorted(with_loss.values())
    order.select_option("line")
    assert lines(page) == list(range(2, ROWS + 2))
    order.select_option("slowest first")
    seconds = [(line - 2) % 17 for line in lines(page)]
    assert seconds == sorted(seconds, reverse=True)
    order.select_option("largest change of loss first")
    assert lines(page)[:2] == [45, 46]
    # A row that has just come into view is drawn, and gets its text, a moment later.
    moved = expect(page.locator("#line-45 .state"))
    moved.to_contain_text("moved", use_inner_text=True)
    moved.to_contain_text("(−50%)", use_inner_text=True)  # noqa: RUF001 - as people write it
    order.select_option("not done first")
    assert lines(page)[:3] == [42, 43, 2]


def test_a_view_can_be_linked_to(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    page.get_by_role("button", name="new 30").click()
    page.get_by_label("Find").fill("picture-01")
    page.get_by_label("Order").select_option("lowest loss first")
    seen = lines(page)
    url = page.url
    page.reload()
    assert lines(page) == seen
    assert page.get_by_label("Find").input_value() == "picture-01"
    assert page.get_by_role("button", name="new 30").get_attribute("aria-pressed") == "true"
    other = opened(gallery, url[url.index("#") :]).page
    assert lines(other) == seen
    odd = opened(gallery, "#status=nonsense&style=99&sort=sideways&x=%E0").page
    assert len(lines(odd)) == ROWS, "what the page does not know is left out"


def screenshot(page: BrowserPage, selector: str) -> np.ndarray:
    picture = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return np.asarray(picture).astype(float) / 255


def share_of_content(page: BrowserPage) -> float:
    """Return how much of the width shows the red content, on a line above handle and tags."""
    seen = screenshot(page, ".compared")
    line = seen[seen.shape[0] // 4]
    return float((line[:, 0] > line[:, 2]).mean())


def open_viewer(page: BrowserPage, line: int) -> None:
    page.locator(f"#line-{line} a.result").click()
    # `wait_for_function` cannot be used: the page's own policy forbids its polling.
    for name in (".above", ".below"):
        page.locator(name).evaluate("image => image.decode()")


def test_the_slider_moves_between_content_and_result(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    open_viewer(page, 12)
    slider = page.get_by_role("slider")
    assert share_of_content(page) == pytest.approx(0.5, abs=0.02)
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "70"
    assert slider.get_attribute("aria-valuetext") == "70% content"
    assert share_of_content(page) == pytest.approx(0.7, abs=0.02)
    box = page.locator(".compared").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.7, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, middle, steps=5)
    page.mouse.up()
    assert share_of_content(page) == pytest.approx(0.2, abs=0.03)
    page.keyboard.press("Home")
    assert share_of_content(page) == pytest.approx(0, abs=0.02)


def test_the_viewer_works_by_keyboard_alone(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    page.locator("#line-12 a.result").focus()
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="picture-0010.png")
    assert viewer.is_visible()
    assert page.get_by_role("slider").evaluate("slider => slider === document.activeElement")
    assert "loss 0.191" in viewer.locator(".facts").inner_text()
    page.keyboard.press("PageDown")
    assert page.get_by_role("dialog", name="picture-0011.png").is_visible()
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    assert page.get_by_role("dialog", name="picture-0009.png").is_visible()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    focused = page.evaluate("document.activeElement.closest('.row').id")
    assert focused == "line-11", "focus is where the viewer was last"


def test_the_viewer_steps_through_the_rows_that_are_shown(gallery: Path, opened: Opener) -> None:
    page = opened(gallery, "#change=new&sort=line").page
    open_viewer(page, 2)
    assert page.get_by_role("button", name="previous").is_disabled()
    page.get_by_role("button", name="next").click()
    assert page.get_by_role("dialog", name="picture-0010.png").is_visible()
    page.get_by_role("button", name="1:1").click()
    assert page.locator(".compared").evaluate("compared => compared.offsetWidth") == 60
    page.get_by_role("button", name="1:1").click()
    assert page.locator(".compared").evaluate("compared => compared.offsetWidth") > 600
    assert page.get_by_role("link", name="open").get_attribute("href").endswith("gallery/10.jpg")
    page.get_by_role("button", name="close").click()
    assert page.get_by_role("dialog").count() == 0


def test_hostile_names_are_shown_as_text(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.locator("#line-44 h3").text_content() == HOSTILE
    page.get_by_text("2 gone since the previous run").click()
    assert page.locator(".gone li").first.inner_text() == HOSTILE
    open_viewer(page, 44)
    assert page.locator(".viewer h2").inner_text() == HOSTILE
    assert page.locator("script").count() == 1
    page.keyboard.press("Escape")
    page.get_by_label("Style").select_option(f"{HOSTILE} (100)")
    assert len(lines(page)) == 100


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_nothing_is_wider_than_the_screen(
    gallery: Path, opened: Opener, width: int, scheme: str
) -> None:
    page = opened(gallery, width=width, color_scheme=scheme).page
    for summary in page.locator(".more summary").all()[:4]:
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = int(paper.removeprefix("rgb(").split(",")[0])
    assert (light > 200) == (scheme == "light")
    open_viewer(page, 12)
    assert page.locator(".viewer").evaluate("viewer => viewer.scrollWidth") <= width
    assert page.get_by_role("button", name="close").is_visible()
    assert share_of_content(page) == pytest.approx(0.5, abs=0.03)


def test_the_page_is_readable_without_a_script(gallery: Path, opened: Opener) -> None:
    page = opened(gallery, java_script_enabled=False).page
    assert page.locator(".row").count() == ROWS
    assert page.get_by_text("MemoryError: no room").is_visible()
    assert not page.locator(".controls").is_visible()
    assert page.locator("#line-12 a.result").get_attribute("href") == "gallery/10.jpg"


def test_the_page_is_accessible_without_sight(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    unnamed = page.locator("button, a[href], input, select").evaluate_all(
        """elements => elements
            .filter(element => element.checkVisibility())
            .filter(element => !(element.getAttribute('aria-label') || element.textContent.trim()
                || element.labels?.length || element.querySelector('img[alt]')))
            .map(element => element.outerHTML)"""
    )
    assert unnamed == []
    assert page.locator(".row img:not([alt])").count() == 0
    levels = page.locator("h1, h2, h3").evaluate_all(
        "heads => heads.filter(head => !head.closest('dialog')).map(head => head.tagName)"
    )
    assert levels == ["H1", "H2", *["H3"] * ROWS]
    assert page.get_by_role("list").first.get_by_role("listitem").count() == ROWS
    curve = page.locator("#line-2 svg")
    assert curve.get_attribute("aria-label") == "loss from 1 to 0.2, step by step"
    assert page.get_by_role("status").inner_text() == "300 rows"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "rows"
    page.get_by_label("Find").fill("picture-01")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert len(lines(page)) == 100, "what was chosen stays chosen"


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast of two colors, as WCAG 2 defines it."""

    def luminance(color: list[float]) -> float:
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in (value / 255 for value in color)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(gallery: Path, opened: Opener, scheme: str) -> None:
    page = opened(gallery, color_scheme=scheme).page
    colors = page.evaluate(
        """() => {
            const parts = (color) => color.match(/[0-9.]+/g).slice(0, 3).map(Number);
            const paperOf = (element) => {
                const color = getComputedStyle(element).backgroundColor;
                const isClear = color === 'rgba(0, 0, 0, 0)';
                return isClear ? paperOf(element.parentElement) : parts(color);
            };
            return ['.lead', '.bad', '.made', '.made a', '.choices button', '.since', '.shown',
                'h3', '.state', '.why', 'dt', 'dd', '.more summary'].map((name) => {
                const element = document.querySelector(name);
                return [name, parts(getComputedStyle(element).color), paperOf(element)];
            });
        }"""
    )
    faint = [name for name, ink, paper in colors if contrast(ink, paper) < 4.5]
    assert faint == []


@pytest.mark.nights
def test_two_thousand_rows_load_few_pictures_and_can_be_searched(
    tmp_path: Path, opened: Opener
) -> None:
    watched = opened(write_gallery(tmp_path, 2000))
    page = watched.page
    page.wait_for_load_state("load")
    requests = {url for url in watched.requests if url.endswith(".jpg")}
    assert 5 < len(requests) < 200
    page.get_by_label("Find").fill("picture-1999")
    assert lines(page) == [2001]
    page.get_by_label("Find").fill("")
    page.get_by_label("Order").select_option("highest loss first")
    assert len(lines(page)) == 2000
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".row img").last.evaluate("image => image.decode()")
    assert len(watched.requests) < 1000
