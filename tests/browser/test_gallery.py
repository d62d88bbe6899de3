"""The gallery in a real browser: what people see, press and type."""

import csv
import io
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as BrowserPage

from nst_core.images.write import encode_jpeg
from nst_core.storage.files import write_atomic
from tasks.report.gallery.page import Page, Shown, render
from tasks.report.selection import parse_only
from tests.browser.conftest import Opener
from tests.gallery_rows import row

HOSTILE = '"><script>alert(1)</script>.png'
RED, BLUE = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)
QUADRANTS = np.array([[(1, 0, 0), (0, 1, 0)], [(0, 0, 1), (1, 1, 1)]], np.float32)
ROWS = 300
WIDTHS = [1440, 390]
LARGE = {8: 1, 9: 1, 10: 1, 50: 2, 51: 1}
"""The scales of rows with larger pictures than the others; those of the last two are quadrants."""
WEIGHTS = (1.0, 3.0, 10.0)
LOSSES = [((number * 7919) % 1000 + 1) / 1000 for number in range(ROWS)]


def write_jpeg(path: Path, color: tuple[float, float, float], scale: int = 1) -> None:
    write_atomic(path, encode_jpeg(np.full((40 * scale, 60 * scale, 3), color, np.float32)))


def write_result(folder: Path, number: int) -> None:
    """Write the result of a row: blue, or quadrants of different colors."""
    path, scale = folder / "gallery" / f"{number}.jpg", LARGE.get(number, 0)
    if number >= 50 and scale:
        pixels = QUADRANTS.repeat(200 * scale, axis=0).repeat(300 * scale, axis=1)
        write_atomic(path, encode_jpeg(pixels))
    else:
        write_jpeg(path, BLUE, 10 if scale else 1)


def settings_of(number: int) -> dict[str, Any]:
    size = 256 if number % 2 else 512
    return {"style_weight": WEIGHTS[number % 3], "size": size, "encoder": "compact"}


def facts_of(number: int) -> dict[str, Any]:
    """Return the facts of one row of a large page."""
    name = f"picture-{number:04d}.png"
    return {
        "line": number + 2,
        "output": name,
        "result": Shown(
            *(name, f"gallery/{number}.jpg", f"gallery/{number}.jpg"),
            file="pictures/11.tif" if number == 11 else "",
        ),
        "total_loss": LOSSES[number % ROWS],
        "seconds": 61.0 * (number % 17),
        "curve": ((1.0, 0.5, 0.3), (0.6, 0.2)),
        "change": "new" if number % 10 == 0 else "same",
        "settings": settings_of(number),
    }


SPECIAL: dict[int, dict[str, Any]] = {
    40: {"status": "failed", "result": None, "total_loss": None, "error": "MemoryError: no room"},
    41: {
        "settings": {},
        "status": "invalid",
        "result": None,
        "total_loss": None,
        "error": f"line 43: {HOSTILE}",
    },
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
        write_result(folder, number)
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


def field(page: BrowserPage, name: str) -> Locator:
    return page.get_by_role("combobox", name=name, exact=True)


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

    field(page, "Style").select_option("styles/night.png (200)")
    assert len(lines(page)) == 200
    field(page, "Style").select_option("")

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
    order = field(page, "Order")
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
    order.select_option("unfinished first")
    assert lines(page)[:3] == [42, 43, 2]


def test_a_view_can_be_linked_to(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    page.get_by_role("button", name="new 30").click()
    page.get_by_label("Find").fill("picture-01")
    field(page, "Order").select_option("lowest loss first")
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


def pixels_of(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(float) / 255


def share_of_content(page: BrowserPage) -> float:
    """Return how much of the width shows the red content, on a line above the handle."""
    shown = pixels_of(page.locator(".compared").first.screenshot())
    line = shown[shown.shape[0] // 4]
    return float((line[:, 0] > line[:, 2]).mean())


def wait_for_pictures(page: BrowserPage) -> None:
    # `wait_for_function` cannot be used: the page's own policy forbids its polling.
    for image in page.locator(".pane:not([hidden]) img[src]").all():
        image.evaluate("image => image.decode()")
    # Decoding may end before the page knows of it.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def open_viewer(page: BrowserPage, line: int) -> None:
    page.locator(f"#line-{line} a.result").click()
    wait_for_pictures(page)


def test_the_slider_moves_between_content_and_result(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    open_viewer(page, 12)
    slider = page.get_by_role("slider")
    assert share_of_content(page) == pytest.approx(0.5, abs=0.02)
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "70"
    assert slider.get_attribute("aria-valuetext") == "70% photograph"
    assert share_of_content(page) == pytest.approx(0.7, abs=0.02)
    drag(page, 0.7, 0.2)
    assert share_of_content(page) == pytest.approx(0.2, abs=0.03)
    assert slider.input_value() == "20"
    page.keyboard.press("Tab")
    slider.focus()
    page.keyboard.press("Home")
    assert share_of_content(page) == pytest.approx(0, abs=0.02)
    assert page.get_by_role("dialog", name="picture-0010.png").is_visible(), "no other picture"


def drag(page: BrowserPage, start: float, end: float) -> None:
    """Drag from one place to another, as shares of the width of the picture."""
    box = page.locator(".compared").first.bounding_box()
    assert box is not None
    down = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, down)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, down, steps=5)
    page.mouse.up()


def test_the_viewer_works_by_keyboard_alone(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    page.locator("#line-12 a.result").focus()
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="picture-0010.png")
    assert viewer.is_visible()
    stage = page.get_by_role("group", name="picture")
    assert stage.evaluate("stage => stage === document.activeElement")
    assert "loss 0.191" in viewer.locator(".facts").inner_text()
    for key, expected in (
        *(("ArrowRight", 11), ("PageDown", 12), ("ArrowLeft", 11), ("PageUp", 10)),
        *(("ArrowLeft", 9), ("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("End", 299)),
        *(("ArrowRight", 299), ("ArrowLeft", 298)),
    ):
        page.keyboard.press(key)
        name = f"picture-{expected:04d}.png"
        assert page.get_by_role("dialog", name=name).is_visible(), key
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    focused = page.evaluate("document.activeElement.closest('.row').id")
    assert focused == "line-300", "focus is where the viewer was last"


def test_the_viewer_steps_through_the_rows_that_are_shown(gallery: Path, opened: Opener) -> None:
    page = opened(gallery, "#change=new&sort=line").page
    open_viewer(page, 2)
    assert page.get_by_role("button", name="previous").is_disabled()
    page.get_by_role("button", name="next").click()
    assert page.get_by_role("dialog", name="picture-0010.png").is_visible()
    assert page.get_by_role("link", name="open").get_attribute("href").endswith("gallery/10.jpg")
    page.get_by_role("button", name="previous").click()
    # A button that takes no more clicks must not keep the keys to itself.
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("dialog", name="picture-0010.png").is_visible()
    page.get_by_role("button", name="close").click()
    assert page.get_by_role("dialog").count() == 0


def width_of(page: BrowserPage, pane: int = 0) -> float:
    """Return how wide a picture is, including the parts that are not seen."""
    box = page.locator(".pane").nth(pane).locator(".compared").bounding_box()
    assert box is not None
    return box["width"]


def is_filled(page: BrowserPage) -> bool:
    """Return whether a picture that is seen whole is as large as its pane, in one direction."""
    boxes = [page.locator(where).first.bounding_box() for where in (".pane", ".compared")]
    pane, picture = [box for box in boxes if box is not None]
    return any(abs(pane[side] - picture[side]) < 1 for side in ("width", "height"))


def scales(page: BrowserPage) -> list[str]:
    return page.locator(".pane:not([hidden]) .scale").all_inner_texts()


def test_no_result_is_larger_than_its_pixels_without_saying_so(
    gallery: Path, opened: Opener
) -> None:
    page = opened(gallery, "#cards=large").page
    card = pixels_of(page.locator("#line-2 a.result").screenshot())
    is_blue = (card[..., 2] > 0.6) & (card[..., 0] < 0.3)
    assert is_blue.any(axis=0).sum() == pytest.approx(60, abs=2)
    open_viewer(page, 2)
    assert is_filled(page)
    assert scales(page) == [f"enlarged, shown at {width_of(page) / 60:.0%}"]
    page.get_by_role("button", name="1:1").click()
    assert width_of(page) == pytest.approx(60)
    assert scales(page) == ["100%"]
    page.keyboard.press("+")
    assert width_of(page) == pytest.approx(75)
    assert scales(page) == ["enlarged, shown at 125%"]
    for _ in range(20):
        page.keyboard.press("-")
    assert scales(page) == ["100%"], "nothing is smaller than its pixels without need"
    page.get_by_role("button", name="fit").click()
    assert is_filled(page)
    for dense in (1, 2):
        other = opened(gallery, device_scale_factor=dense).page
        open_viewer(other, 12)
        for _ in range(20):
            other.keyboard.press("+")
        assert scales(other) == ["enlarged, shown at 800%"], "there is a largest scale"
        other.get_by_role("button", name="1:1").click()
        assert width_of(other) == pytest.approx(600 / dense), "pixels of the screen count"
        assert scales(other) == ["100%"]


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until the page has answered a wheel or a finger, which it does in its own time."""
    for _ in range(200):
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail("the page did not answer")


def color_at(page: BrowserPage, x: float, y: float) -> str:
    """Return the color of the quadrants at a point of the screen."""
    clip = {"x": x, "y": y, "width": 1, "height": 1}
    red, green, blue = (pixels_of(page.screenshot(clip=clip)) > 0.5)[0, 0]
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    return names.get((red, green, blue), "none")


def test_the_wheel_zooms_where_the_pointer_is_and_a_drag_pans(
    gallery: Path, opened: Opener
) -> None:
    page = opened(gallery, width=1440).page
    open_viewer(page, 52)
    page.get_by_role("slider").fill("0")
    box = page.locator(".pane").first.bounding_box()
    whole = page.locator(".compared").first.bounding_box()
    assert box is not None
    assert whole is not None
    assert whole["width"] <= box["width"] + 0.1
    # A point a little to the upper left of the middle of the picture, in the first quadrant.
    x, y = whole["x"] + whole["width"] * 0.48, whole["y"] + whole["height"] * 0.48
    assert color_at(page, x, y) == "red"
    page.mouse.move(x, y)
    for _ in range(2):
        page.mouse.wheel(0, -250)
    eventually(lambda: width_of(page) == pytest.approx(math.e * whole["width"], rel=0.01))
    wider = page.locator(".compared").first.bounding_box()
    assert wider is not None
    share = (x - wider["x"]) / wider["width"]
    assert share == pytest.approx(0.48, abs=0.01), "the same spot is under the pointer"
    assert color_at(page, x, y) == "red"
    assert color_at(page, x + 300, y + 200) == "white"
    page.mouse.down()
    page.mouse.move(x - 250, y + 10, steps=4)
    page.mouse.up()
    panned = page.locator(".compared").first.bounding_box()
    assert panned is not None
    assert panned["x"] - wider["x"] == pytest.approx(-250, abs=1)
    assert panned["y"] - wider["y"] == pytest.approx(10, abs=1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 5000, y, steps=2)
    page.mouse.up()
    ended = page.locator(".compared").first.bounding_box()
    assert ended is not None
    assert ended["x"] == pytest.approx(box["x"], abs=1), "no more than to the border"
    page.mouse.move(x, y)
    for _ in range(3):
        page.mouse.wheel(0, 400)
    eventually(lambda: width_of(page) == pytest.approx(whole["width"], abs=0.1))
    page.mouse.dblclick(x, y)
    assert width_of(page) == pytest.approx(max(1200, 2 * whole["width"]), abs=1)


def test_keys_zoom_and_move_the_picture(gallery: Path, opened: Opener) -> None:
    page = opened(gallery, width=1440).page
    open_viewer(page, 52)
    page.keyboard.press("1")
    whole = page.locator(".compared").first.bounding_box()
    for _ in range(4):
        page.keyboard.press("+")
    before = page.locator(".compared").first.bounding_box()
    assert whole
    assert before
    assert before["width"] == pytest.approx(1200 * 1.25**4, rel=0.01)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    after = page.locator(".compared").first.bounding_box()
    assert after
    assert after["x"] < before["x"]
    assert after["y"] < before["y"]
    assert page.get_by_role("dialog", name="picture-0050.png").is_visible()
    page.keyboard.press("ArrowRight")
    wait_for_pictures(page)
    assert width_of(page) > 1200, "the next picture is seen in the same view"
    page.keyboard.press("0")
    box = page.locator(".pane").first.bounding_box()
    assert box
    assert width_of(page) <= box["width"]


def test_two_fingers_zoom(gallery: Path, opened: Opener) -> None:
    page = opened(gallery, width=390, height=844, has_touch=True).page
    page.locator("#line-52 a.result").tap()
    wait_for_pictures(page)
    before = width_of(page)
    box = page.locator(".pane").first.bounding_box()
    assert box
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *places: float) -> None:
        points = [{"x": across + x, "y": down, "id": number} for number, x in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -40)
    touch("touchStart", -40, 40)
    for apart in (50, 60, 80, 100, 120):
        touch("touchMove", -apart, apart)
    touch("touchEnd")
    eventually(lambda: width_of(page) == pytest.approx(3 * before, rel=0.05))
    assert page.evaluate("visualViewport.scale") == 1, "only the picture is zoomed"


@pytest.mark.parametrize("width", WIDTHS)
def test_two_results_show_the_same_spot_side_by_side(
    gallery: Path, opened: Opener, width: int
) -> None:
    page = opened(gallery, width=width).page
    page.get_by_label("Find").fill("picture-005")
    page.get_by_role("button", name="A/B: compare picture-0051.png").click()
    assert "picture-0051.png" in page.get_by_role("status").last.inner_text()
    page.get_by_role("button", name="A/B: compare picture-0050.png").click()
    wait_for_pictures(page)
    name = "A: picture-0051.png B: picture-0050.png"
    assert page.get_by_role("dialog", name=name).is_visible()
    assert page.locator(".pane:visible").count() == 2
    assert width_of(page, 0) == pytest.approx(width_of(page, 1), abs=0.1)
    assert not page.get_by_role("slider").is_visible()
    boxes = [pane.bounding_box() for pane in page.locator(".pane").all()]
    assert boxes[0]
    assert boxes[1]
    is_beside = boxes[0]["y"] == boxes[1]["y"]
    assert is_beside == (width == 1440), "on narrow screens, they are below each other"
    page.mouse.move(boxes[1]["x"] + 100, boxes[1]["y"] + 150)
    whole = width_of(page)
    page.mouse.wheel(0, -250)
    page.mouse.wheel(0, -250)
    eventually(lambda: width_of(page) == pytest.approx(math.e * whole, rel=0.01))
    page.mouse.down()
    page.mouse.move(boxes[1]["x"] + 60, boxes[1]["y"] + 130, steps=3)
    page.mouse.up()
    places = [
        (box["x"] - pane["x"], box["y"] - pane["y"], box["width"])
        for box, pane in zip(
            (each.bounding_box() for each in page.locator(".compared").all()), boxes, strict=True
        )
        if box and pane
    ]
    assert places[0] == pytest.approx(places[1], abs=0.1), "both move together"
    for x in (30, 200, 330):
        for y in (130, 200):
            there = [color_at(page, pane["x"] + x, pane["y"] + y) for pane in boxes if pane]
            assert there[0] == there[1]
    one, other = (
        float(text.removeprefix("enlarged, shown at ").split("%")[0]) for text in scales(page)
    )
    assert one == pytest.approx(2 * other, abs=1), "the first has half the pixels"


def test_keys_change_the_second_result_and_end_the_comparison(
    gallery: Path, opened: Opener
) -> None:
    page = opened(gallery, width=1440).page
    page.get_by_label("Find").fill("picture-005")
    page.get_by_role("button", name="A/B: compare picture-0051.png").click()
    page.get_by_role("button", name="A/B: compare picture-0050.png").click()
    wait_for_pictures(page)
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("dialog", name="A: picture-0051.png B: picture-0052.png").is_visible()
    page.keyboard.press("c")
    assert page.get_by_role("dialog", name="picture-0051.png").is_visible()
    assert page.locator(".pane:visible").count() == 1
    page.keyboard.press("c")
    assert page.get_by_role("dialog", name="A: picture-0051.png B: picture-0052.png").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_two_results_are_labeled_by_what_distinguishes_them(
    gallery: Path, opened: Opener, width: int
) -> None:
    page = opened(gallery, width=width).page
    page.get_by_label("Find").fill("picture-005")
    for number in (50, 51):
        page.get_by_role("button", name=f"A/B: compare picture-00{number}.png").click()
    wait_for_pictures(page)
    for _ in range(20):
        page.keyboard.press("+")
    labels = page.locator(".tag.left")
    # The styles differ, too: `script` is what is left of the hostile path.
    assert labels.all_inner_texts() == [
        "A: night.png · style weight 10 · size 512",
        "B: script>.png · style weight 1 · size 256",
    ]
    for pane in page.locator(".pane").all():
        room, box = pane.bounding_box(), pane.locator(".tags").bounding_box()
        assert room
        assert box
        assert box["height"] < 60, "it hides little of the picture"
        cut = "labels => labels.filter((label) => label.scrollWidth > label.clientWidth).length"
        assert pane.locator(".tag").evaluate_all(cut) == 0
        assert room["x"] <= box["x"]
        assert box["x"] + box["width"] <= room["x"] + room["width"]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_second_of_two_results_is_asked_for_wherever_the_page_is(
    gallery: Path, opened: Opener, width: int
) -> None:
    page = opened(gallery, width=width).page
    asked = page.get_by_text("to compare it with picture-0250.png")
    button = page.get_by_role("button", name="A/B: compare picture-0250.png")
    button.click()
    expect(asked).to_be_in_viewport(ratio=1)
    cancel = page.get_by_role("button", name="Cancel")
    cancel.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not cancel.is_visible()
    expect(button).to_be_focused()
    page.keyboard.press("Space")
    expect(asked).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    assert asked.count() == 0
    assert button.get_attribute("aria-pressed") == "false"


def test_readers_are_told_what_the_picture_shows_now(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    open_viewer(page, 12)
    told = page.locator(".viewer").get_by_role("status")
    page.keyboard.press("ArrowRight")
    assert told.text_content() == "picture-0011.png, 12 of 298"
    assert page.locator(".facts").inner_text().startswith("12 of 298 · done")
    page.keyboard.press("s")
    assert told.text_content() == "starred"
    page.keyboard.press("s")
    assert told.text_content() == "not starred"


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_hides_the_picture(gallery: Path, opened: Opener, width: int) -> None:
    page = opened(gallery, width=width).page
    open_viewer(page, 2)
    # The rows of this page have no picture of their style, which may make the bar higher.
    page.locator(".styled").evaluate("image => { image.src = 'gallery/content.jpg'; }")
    page.wait_for_function("document.querySelector('.styled').offsetWidth > 0")
    stage = page.locator(".stage").bounding_box()
    assert stage
    for name in (".bar", ".foot", ".styled"):
        box = page.locator(name).bounding_box()
        assert box
        is_above = box["y"] + box["height"] <= stage["y"]
        assert is_above or box["y"] >= stage["y"] + stage["height"]
    shown, handle = page.locator(".edge").first.evaluate(
        """edge => [edge.parentElement.getBoundingClientRect().height,
            Number.parseFloat(getComputedStyle(edge, '::after').height)]"""
    )
    assert handle <= 0.3 * shown, "the picture is covered by the handle of its edge"


def test_the_focus_is_never_below_the_controls(gallery: Path, opened: Opener) -> None:
    page = opened(gallery, width=1440).page
    page.locator("#line-60 a.result").focus()
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        focus, controls = page.evaluate(
            """() => [document.activeElement.getBoundingClientRect().top,
                document.querySelector('.controls').getBoundingClientRect().bottom]"""
        )
        assert focus >= controls


@pytest.mark.parametrize("width", WIDTHS)
def test_no_part_of_a_card_is_cut_off(gallery: Path, opened: Opener, width: int) -> None:
    page = opened(gallery, width=width).page
    cut = page.locator(".row").evaluate_all(
        """cards => cards.slice(0, 60).filter((card) => {
            const right = card.getBoundingClientRect().right;
            const parts = [...card.querySelectorAll('.words *')];
            return parts.some((part) => part.getBoundingClientRect().right > right);
        }).map((card) => card.id)"""
    )
    assert cut == []


def test_a_wide_result_is_not_enlarged_on_a_large_card(tmp_path: Path, opened: Opener) -> None:
    write_jpeg(tmp_path / "gallery" / "r.jpg", BLUE, 5)
    wide = row(width=640, height=427, result=Shown("r.jpg", "gallery/r.jpg", "gallery/r.jpg"))
    path = tmp_path / "gallery.html"
    path.write_text(render(Page("night.csv", datetime.now(UTC), (wide,))))
    page = opened(path, "#cards=large", width=1240).page
    card, image = (page.locator(name).bounding_box() for name in ("a.result", "a.result img"))
    assert card
    assert image
    assert card["width"] > 800
    assert image["width"] == 640
    assert image["x"] == pytest.approx(card["x"] + (card["width"] - 640) / 2, abs=1)


@pytest.mark.parametrize("width", WIDTHS)
def test_losses_are_on_cards_of_all_sizes_and_filter(
    gallery: Path, opened: Opener, width: int
) -> None:
    page = opened(gallery, "#cards=small&sort=loss-up", width=width).page
    page.get_by_label("Loss up to").fill("0.1")
    expected = [line for line in range(2, ROWS + 2) if LOSSES[line - 2] <= 0.1]
    assert sorted(lines(page)) == [line for line in expected if line not in (42, 43)]
    facts = page.locator(".row:not([hidden]) .measured").first
    assert facts.inner_text().split() == ["loss", str(min(LOSSES))]
    page.reload()
    assert page.get_by_label("Loss up to").input_value() == "0.1"
    assert len(lines(opened(gallery, "#loss=nonsense").page)) == ROWS


@pytest.mark.parametrize("width", WIDTHS)
def test_what_varies_is_on_the_card_and_filters_and_sorts(
    gallery: Path, opened: Opener, width: int
) -> None:
    page = opened(gallery, width=width).page
    card = page.locator("#line-4 .varies")
    assert card.locator("dt, dd").all_text_contents() == ["style weight", "10", "size", "512"]
    assert field(page, "Encoder").count() == 0, "it is the same in all rows"
    field(page, "Style weight").select_option("10")
    expected = [line for line in range(2, ROWS + 2) if line % 3 == 1 and line != 43]
    assert sorted(lines(page)) == expected
    field(page, "Size").select_option("256")
    assert sorted(lines(page)) == [line for line in expected if line % 2]
    url = page.url
    page.reload()
    assert field(page, "Size").input_value() == "256"
    assert sorted(lines(page)) == [line for line in expected if line % 2]
    assert "setting.size=256" in url
    page.get_by_label("Find").fill("no such row")
    page.get_by_role("button", name="Show all").click()
    assert len(lines(page)) == ROWS
    field(page, "Order").select_option("style weight, highest first")
    weights = [WEIGHTS[(line - 2) % 3] for line in lines(page)[:-1]]
    assert weights == sorted(weights, reverse=True)
    assert lines(page)[-1] == 43, "a row without settings comes last"
    field(page, "Order").select_option("style weight, lowest first")
    assert weights[::-1] == [WEIGHTS[(line - 2) % 3] for line in lines(page)[:-1]]
    odd = opened(gallery, "#setting.size=7&setting.nothing=1&cards=huge").page
    assert len(lines(odd)) == ROWS, "what the page does not know is left out"


SCORES = {
    2: (0.9, 0.5),
    3: (1.1, 0.02),
    4: (0.2, 0.6),
    5: (0.95, 0.4),
    6: (None, None),
    7: (1, -0.1),
}
"""Style and content scores by line."""


def write_scored(folder: Path) -> Path:
    """Write a page of rows with scores, and of one without."""
    write_jpeg(folder / "a.jpg", BLUE)
    rows = [
        row(
            line=line,
            output=f"{line}.png",
            result=Shown(f"{line}.png", "a.jpg", "a.jpg"),
            style_score=style,
            content_score=content,
        )
        for line, (style, content) in SCORES.items()
    ]
    path = folder / "gallery.html"
    path.write_text(render(Page("night.csv", datetime(2026, 11, 24, tzinfo=UTC), tuple(rows))))
    return path


@pytest.mark.parametrize("width", WIDTHS)
def test_the_lowest_scores_can_be_looked_at_first(
    tmp_path: Path, opened: Opener, width: int
) -> None:
    path = write_scored(tmp_path)
    page = opened(path, width=width).page
    field(page, "Order").select_option("look at these first")
    # Each is the lowest of six by one of the scores; then the second lowest, and so on.
    assert lines(page) == [4, 7, 2, 3, 5, 6]
    page.reload()
    assert lines(page) == [4, 7, 2, 3, 5, 6], "the URL says so"
    field(page, "Order").select_option("highest content score first")
    assert lines(page) == [4, 2, 5, 3, 7, 6]
    field(page, "Order").select_option("lowest style score first")
    assert lines(page) == [4, 2, 5, 7, 3, 6]
    page.locator("#line-7 a.result").click()
    assert (
        "style score 1.00 · content score \N{MINUS SIGN}0.10"
        in page.locator(".viewer .facts").inner_text()
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_scores_are_explained_and_fit_on_small_cards(
    tmp_path: Path, opened: Opener, width: int
) -> None:
    page = opened(write_scored(tmp_path), "#cards=small", width=width).page
    summary = page.get_by_text("What the two scores mean")
    assert not page.get_by_text("How much of the style a picture has taken on").is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("How much of the style a picture has taken on").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    tops = page.locator("#line-4 .scores div").evaluate_all(
        "parts => parts.map((part) => part.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1], "both are on one line"
    assert page.locator("#line-4 .scores dt").all_text_contents() == [
        "style score",
        "content score",
    ]
    assert page.locator("#line-6 .scores").count() == 0


def grid(page: BrowserPage) -> list[list[tuple[float, float]]]:
    """Return top and bottom of the cards in each row of the grid, as far as the screen reaches."""
    boxes = page.locator(".row:not([hidden])").evaluate_all(
        """cards => cards.slice(0, 60).map((card) => {
            const box = card.getBoundingClientRect();
            return [box.top, box.bottom];
        })"""
    )
    by_top: dict[float, list[tuple[float, float]]] = {}
    for top, bottom in boxes:
        by_top.setdefault(round(top), []).append((top, bottom))
    return list(by_top.values())


@pytest.mark.parametrize("width", WIDTHS)
def test_cards_come_in_three_sizes_without_holes_between_them(
    gallery: Path, opened: Opener, width: int
) -> None:
    page = opened(gallery, width=width).page
    across = {}
    for cards in ("large", "medium", "small"):
        field(page, "Size of pictures").select_option(cards)
        found = grid(page)
        across[cards] = len(found[0])
        for beside in found[:-1]:
            bottoms = [bottom for _, bottom in beside]
            assert len(beside) == across[cards]
            assert max(bottoms) - min(bottoms) < 1
        heights = page.locator(".pictures").evaluate_all(
            "all => [...new Set(all.slice(0, 60).map((each) => Math.round(each.offsetHeight)))]"
        )
        assert len(heights) == 1, "rows without a result have pictures of the same height"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert across["large"] <= across["medium"] < across["small"]
    page.reload()
    assert field(page, "Size of pictures").input_value() == "small"
    page.get_by_label("Find").fill("picture-00")
    assert {len(beside) for beside in grid(page)[:-1]} == {across["small"]}


@pytest.mark.parametrize("width", WIDTHS)
def test_stars_stay_and_can_be_saved_as_lists(gallery: Path, opened: Opener, width: int) -> None:
    page = opened(gallery, width=width).page
    assert not page.get_by_role("group", name="Starred").is_visible()
    star = page.get_by_role("button", name="star picture-0010.png")
    star.focus()
    page.keyboard.press("Space")
    assert star.get_attribute("aria-pressed") == "true"
    open_viewer(page, 13)
    page.keyboard.press("s")
    page.keyboard.press("End")
    page.get_by_role("button", name="star picture-0299.png").and_(
        page.locator(".viewer button")
    ).click()
    page.keyboard.press("Escape")
    page.reload()
    assert page.get_by_role("button", name="starred 3").is_visible()
    page.get_by_role("button", name="starred 3").click()
    assert lines(page) == [12, 13, 301]
    assert page.get_by_label("Starred lines").input_value() == "12-13,301"
    with page.expect_download() as lines_file:
        page.get_by_role("button", name="Save lines").click()
    text = lines_file.value.path().read_text()
    assert lines_file.value.suggested_filename == "starred.txt"
    assert [*map(list, parse_only(text).lines)] == [[12, 13], [301]]
    with page.expect_download() as table_file:
        page.get_by_role("button", name="Save table").click()
    rows = list(csv.DictReader(table_file.value.path().read_text().splitlines()))
    assert [row["output"] for row in rows] == [
        f"picture-{number:04d}.png" for number in (10, 11, 299)
    ]
    assert [float(row["style_weight"]) for row in rows] == [3, 10, 10]
    assert float(rows[0]["total_loss"]) == LOSSES[10]
    assert rows[0]["content"] == "photos/content.png"
    page.get_by_role("button", name="Remove all stars").click()
    assert lines(page) == []
    page.reload()
    assert page.get_by_role("button", name="starred 0").is_visible()


def test_each_page_has_its_own_stars_and_says_if_it_cannot_keep_them(
    gallery: Path, opened: Opener
) -> None:
    page = opened(gallery).page
    page.get_by_role("button", name="star picture-0010.png").click()
    page.evaluate("localStorage.setItem(starsKey, '{damaged')")
    page.reload()
    assert page.get_by_role("button", name="starred 0").is_visible()
    other = gallery.with_name("other.html")
    other.write_bytes(gallery.read_bytes())
    page.get_by_role("button", name="star picture-0011.png").click()
    page.goto(other.as_uri())
    assert page.get_by_role("button", name="starred 0").is_visible()
    # As in a browser that keeps nothing for files.
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('no room'); }; }")
    page.get_by_role("button", name="star picture-0011.png").click()
    assert page.get_by_role("button", name="starred 1").is_visible()
    assert page.get_by_text("This browser does not keep them").is_visible()


def test_a_star_that_goes_while_only_stars_are_shown_leaves_the_focus_on_the_page(
    gallery: Path, opened: Opener
) -> None:
    page = opened(gallery).page
    page.get_by_role("button", name="star picture-0010.png").click()
    page.get_by_role("button", name="starred 1").click()
    open_viewer(page, 12)
    page.keyboard.press("s")
    page.keyboard.press("Escape")
    # The page answers to the end of the viewer a moment later.
    expect(page.locator(".row:not([hidden])")).to_have_count(0)
    expect(page.locator("#rows")).to_be_focused()


def test_the_result_can_be_downloaded(gallery: Path, opened: Opener) -> None:
    page = opened(gallery).page
    open_viewer(page, 12)
    link = page.get_by_role("link", name="download")
    assert link.get_attribute("href").endswith("gallery/10.jpg")
    assert link.get_attribute("download") is not None


def test_a_result_that_browsers_do_not_show_is_downloaded_as_it_is(
    gallery: Path, opened: Opener
) -> None:
    page = opened(gallery).page
    open_viewer(page, 13)
    shown, saved = (
        page.get_by_role("link", name=name).get_attribute("href") for name in ("open", "download")
    )
    assert shown.endswith("gallery/11.jpg")
    assert saved == "pictures/11.tif"


def test_nothing_moves_by_itself_for_people_who_do_not_want_it(
    gallery: Path, opened: Opener
) -> None:
    durations = """() => [...new Set([...document.querySelectorAll('*')].map(
        (element) => getComputedStyle(element).transitionDuration))]"""
    assert opened(gallery, reduced_motion="reduce").page.evaluate(durations) == ["0s"]
    assert len(opened(gallery, reduced_motion="no-preference").page.evaluate(durations)) > 1


def focused_in_turn(page: BrowserPage) -> list[tuple[str, str]]:
    """Return where the focus goes with the Tab key, until it leaves the page, with its outlines."""
    seen: list[tuple[str, str]] = []
    while len(seen) < 50:
        element, style = page.evaluate(
            """() => [document.activeElement.outerHTML.slice(0, 80),
                getComputedStyle(document.activeElement).outlineStyle]"""
        )
        if element.startswith("<body"):
            break
        seen.append((element, style))
        page.keyboard.press("Tab")
    return seen


def test_the_focus_is_visible_wherever_it_goes(gallery: Path, opened: Opener) -> None:
    page = opened(gallery, "#text=picture-0010").page
    page.keyboard.press("Tab")
    on_page = focused_in_turn(page)
    assert 15 < len(on_page) < 50
    page.locator("#line-12 a.result").focus()
    page.keyboard.press("Enter")
    page.locator(".viewer button:enabled").first.focus()
    in_viewer = focused_in_turn(page)
    assert 8 < len(in_viewer) < 50
    assert [element for element, style in (*on_page, *in_viewer) if style == "none"] == []


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
    field(page, "Style").select_option(f"{HOSTILE} (100)")
    assert len(lines(page)) == 100


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
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
    assert page.get_by_role("status").first.inner_text() == "300 rows"
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
            document.querySelector('[data-do="star"]').click();
            return ['.tools button', '.varies dt', '.varies dd', '.starred label',
                '.starred button', '.starred input', '.lead', '.bad', '.made', '.made a',
                '.choices button', '.since', '.shown',
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
    field(page, "Order").select_option("highest loss first")
    assert len(lines(page)) == 2000
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".row img").last.evaluate("image => image.decode()")
    assert len(watched.requests) < 1000
