"""The gallery of a real batch of three hundred rows, made by the command and seen in a browser."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Opener
from tests.end_to_end.conftest import QUICK, Shell, make_shell
from tests.pictures import write_csv

HOSTILE = '"><script>alert(1)</script>.png'
CONTENTS, STYLES = 20, 15
FAILED_LINE, INVALID_LINE, HOSTILE_LINE = 50, 51, 52

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Shell:
    """A shell in whose folder the batch is done, in `out`."""
    shell = make_shell(tmp_path_factory.mktemp("gallery"), server_url)
    contents = [f"contents/{number}.png" for number in range(CONTENTS - 1)] + [HOSTILE]
    styles = [f"styles/{number}.png" for number in range(STYLES)]
    for seed, name in enumerate((*contents, *styles)):
        shell.picture(name, seed, height=24 + seed % 9, width=32)
    rows = [[content, style, ""] for content in contents for style in styles]
    rows[FAILED_LINE - 2][2] = "file/in/the/way"
    rows[INVALID_LINE - 2][0::2] = "missing.png", "mended"
    rows[HOSTILE_LINE - 2][2] = HOSTILE
    header = ("content", "style", "output")
    manifest = write_csv(shell.folder / "night.csv", header, *map(tuple, rows))
    (shell.folder / "out" / "pictures").mkdir(parents=True)
    (shell.folder / "out" / "pictures" / "file").write_text("no folder")
    result = shell.run("run", manifest, "--output", "out", *QUICK)
    assert result.returncode == 1, result.stderr
    assert "298 done, 1 failed, 1 invalid" in result.stdout
    return shell


def table_of(batch: Shell) -> pd.DataFrame:
    return pd.read_csv(batch.folder / "out" / "summary.csv").set_index("line")


def gallery_of(batch: Shell) -> Path:
    return batch.folder / "out" / "gallery.html"


def shown_lines(page: Page) -> list[int]:
    lines = "rows => rows.filter(row => !row.hidden).map(row => Number(row.dataset.line))"
    found: list[int] = page.locator(".row").evaluate_all(lines)
    return found


@pytest.mark.parametrize("width", [1280, 390])
def test_every_row_is_there_and_every_picture_is_seen(
    batch: Shell,
    opened: Opener,
    width: int,
) -> None:
    page = opened(gallery_of(batch), width=width).page
    assert shown_lines(page)[:3] == [FAILED_LINE, INVALID_LINE, 2]
    assert len(shown_lines(page)) == 300
    assert "298 of 300 pictures are here" in page.locator(".lead").inner_text()
    assert "Not a directory" in page.locator(f"#line-{FAILED_LINE} .why").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for image in page.locator("img[loading=lazy]").all()[:60]:
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
    broken = page.locator("img[loading=lazy]").evaluate_all(
        "images => images.filter(image => image.complete && !image.naturalWidth).length"
    )
    assert broken == 0


def test_the_page_has_the_numbers_of_the_table(batch: Shell, opened: Opener) -> None:
    page = opened(gallery_of(batch), "#sort=loss-down").page
    table = table_of(batch)
    by_loss = table["total_loss"].sort_values(ascending=False, kind="stable").dropna()
    seen = shown_lines(page)
    assert [table.loc[line, "total_loss"] for line in seen[:298]] == list(by_loss)
    facts = page.locator(f"#line-{seen[0]} .measured").text_content()
    assert f"{by_loss.iloc[0]:.3g}" in facts
    assert page.locator("svg").count() == 298


def test_filter_sort_and_slider_on_real_pictures(batch: Shell, opened: Opener) -> None:
    page = opened(gallery_of(batch)).page
    page.get_by_role("button", name="failed 1").click()
    assert shown_lines(page) == [FAILED_LINE]
    page.get_by_role("button", name="failed 1").click()
    page.get_by_label("Style").select_option("styles/3.png (20)")
    assert len(shown_lines(page)) == 20
    page.get_by_label("Find").fill("7_3.png")
    assert len(shown_lines(page)) == 2, "7_3 and 17_3"
    page.locator(".row:not([hidden]) a.result").first.click()
    for name in (".above", ".below"):
        page.locator(name).evaluate("image => image.decode()")
    page.get_by_role("slider").fill("80")
    assert (
        page.locator(".compared").evaluate(
            "compared => getComputedStyle(compared.querySelector('.above')).clipPath"
        )
        == "inset(0px 0px 0px 80%)"
    )
    page.keyboard.press("Escape")


def test_a_hostile_name_does_nothing(batch: Shell, opened: Opener) -> None:
    page = opened(gallery_of(batch)).page
    row = page.locator(f"#line-{HOSTILE_LINE}")
    assert row.locator("h3").text_content() == HOSTILE
    row.locator("a.result").click()
    page.locator(".above").evaluate("image => image.decode()")
    assert page.locator(".viewer h2").inner_text() == HOSTILE
    assert page.locator("script").count() == 1
    page.keyboard.press("Escape")
    page.get_by_label("Find").fill("<script>alert(1)</script>.png")
    # The rows of the content of that name, and the result of that name.
    assert len(shown_lines(page)) == STYLES + 1


def test_the_second_run_says_what_changed(batch: Shell, opened: Opener) -> None:
    before = (batch.folder / "night.csv").read_text()
    rows = list(csv.reader(before.splitlines()))
    del rows[-1]
    rows[INVALID_LINE - 1][0] = "contents/3.png"
    batch.picture("contents/0.png", 99, height=24, width=32)
    write_csv(batch.folder / "night.csv", *map(tuple, rows))
    result = batch.run("run", "night.csv", "--output", "out", *QUICK)
    assert "16 done, 282 cached, 1 failed" in result.stdout
    page = opened(gallery_of(batch)).page
    page.get_by_role("button", name="changed 15").click()
    assert shown_lines(page) == list(range(2, 2 + STYLES))
    assert "→" in page.locator("#line-2 .state").inner_text()
    page.get_by_role("button", name="changed 15").click()
    page.get_by_role("button", name="mended 1").click()
    assert shown_lines(page) == [INVALID_LINE]
    page.get_by_text("1 gone since the run before").click()
    assert page.locator(".gone li").inner_text() == "script>_14.png"
