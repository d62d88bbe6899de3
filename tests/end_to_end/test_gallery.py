"""The gallery of a real batch, made by the command and opened in a browser."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Opener
from tests.end_to_end.conftest import QUICK, Shell, make_shell
from tests.pictures import write_csv

HOSTILE = '"><script>alert(1)</script>.png'
FAILED_LINE, INVALID_LINE = 5, 6
CONTENTS, STYLES = 20, 15

pytestmark = pytest.mark.nights


@dataclass(frozen=True)
class Batch:
    """A shell with a finished grid in `out`, of which one row failed and one is invalid.

    Attributes:
        contents, styles: the number of each.
    """

    shell: Shell
    contents: int
    styles: int

    @property
    def rows(self) -> int:
        return self.contents * self.styles

    @property
    def done(self) -> int:
        return self.rows - 2

    @property
    def hostile_line(self) -> int:
        """Return the line of the row whose output, not its content, has the hostile name."""
        return 3 + INVALID_LINE

    @property
    def gallery(self) -> Path:
        return self.shell.folder / "out" / "gallery.html"

    def copied_to(self, folder: Path) -> "Batch":
        """Return a copy in another folder, to be run again."""
        shutil.copytree(self.shell.folder, folder)
        return Batch(Shell(folder, self.shell.environment), self.contents, self.styles)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Batch:
    shell = make_shell(tmp_path_factory.mktemp("gallery"), server_url)
    made = Batch(shell, CONTENTS, STYLES)
    contents = [f"contents/{number}.png" for number in range(CONTENTS - 1)] + [HOSTILE]
    styles = [f"styles/{number}.png" for number in range(STYLES)]
    for seed, name in enumerate((*contents, *styles)):
        shell.picture(name, seed, height=24 + seed % 9, width=32)
    rows = [[content, style, ""] for content in contents for style in styles]
    rows[FAILED_LINE - 2][2] = "file/in/the/way"
    rows[INVALID_LINE - 2][0::2] = "missing.png", "mended"
    rows[made.hostile_line - 2][2] = HOSTILE
    header = ("content", "style", "output")
    manifest = write_csv(shell.folder / "night.csv", header, *map(tuple, rows))
    (shell.folder / "out" / "pictures").mkdir(parents=True)
    (shell.folder / "out" / "pictures" / "file").write_text("no folder")
    result = shell.run("run", manifest, "--output", "out", *QUICK)
    assert result.returncode == 1, result.stderr
    assert f"{made.done} done, 1 failed, 1 invalid" in result.stdout
    return made


def table_of(batch: Batch) -> pd.DataFrame:
    return pd.read_csv(batch.shell.folder / "out" / "summary.csv").set_index("line")


def shown_lines(page: Page) -> list[int]:
    lines = "rows => rows.filter(row => !row.hidden).map(row => Number(row.dataset.line))"
    found: list[int] = page.locator(".row").evaluate_all(lines)
    return found


@pytest.mark.parametrize("width", [1280, 390])
def test_every_row_and_every_picture_is_shown(
    batch: Batch,
    opened: Opener,
    width: int,
) -> None:
    page = opened(batch.gallery, width=width).page
    assert shown_lines(page)[:3] == [FAILED_LINE, INVALID_LINE, 2]
    assert len(shown_lines(page)) == batch.rows
    assert f"{batch.done} of {batch.rows} pictures are here" in page.locator(".lead").inner_text()
    assert "Not a directory" in page.locator(f"#line-{FAILED_LINE} .why").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for image in page.locator("img[loading=lazy]").all()[:60]:
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
    broken = page.locator("img[loading=lazy]").evaluate_all(
        "images => images.filter(image => image.complete && !image.naturalWidth).length"
    )
    assert broken == 0


def test_the_page_shows_the_numbers_of_the_table(batch: Batch, opened: Opener) -> None:
    page = opened(batch.gallery, "#sort=loss-down").page
    table = table_of(batch)
    by_loss = table["total_loss"].sort_values(ascending=False, kind="stable").dropna()
    seen = shown_lines(page)
    assert [table.loc[line, "total_loss"] for line in seen[: batch.done]] == list(by_loss)
    facts = page.locator(f"#line-{seen[0]} .measured").text_content()
    assert f"{by_loss.iloc[0]:.3g}" in facts
    assert page.locator("svg").count() == batch.done


def test_filters_and_slider_work_on_real_pictures(batch: Batch, opened: Opener) -> None:
    page = opened(batch.gallery).page
    page.get_by_role("button", name="failed 1").click()
    assert shown_lines(page) == [FAILED_LINE]
    page.get_by_role("button", name="failed 1").click()
    page.get_by_role("combobox", name="Style", exact=True).select_option(
        f"styles/2.png ({batch.contents})"
    )
    assert len(shown_lines(page)) == batch.contents
    page.get_by_label("Find").fill("4_2.png")
    same_end = [number for number in range(batch.contents - 1) if number % 10 == 4]
    assert len(shown_lines(page)) == len(same_end), "4_2, 14_2 and so on"
    page.locator(".row:not([hidden]) a.result").first.click()
    for name in (".above", ".below"):
        page.locator(name).first.evaluate("image => image.decode()")
    page.get_by_role("slider").fill("80")
    assert (
        page.locator(".compared").first.evaluate(
            "compared => getComputedStyle(compared.querySelector('.above')).clipPath"
        )
        == "inset(0px 0px 0px 80%)"
    )
    page.keyboard.press("Escape")


def test_a_hostile_name_is_shown_as_text(batch: Batch, opened: Opener) -> None:
    page = opened(batch.gallery).page
    row = page.locator(f"#line-{batch.hostile_line}")
    assert row.locator("h3").text_content() == HOSTILE
    row.locator("a.result").click()
    page.locator(".above").first.evaluate("image => image.decode()")
    assert page.locator(".viewer h2").inner_text() == HOSTILE
    assert page.locator("script").count() == 1
    page.keyboard.press("Escape")
    page.get_by_label("Find").fill("<script>alert(1)</script>.png")
    # These are the rows of the content with that name, and the result with that name.
    assert len(shown_lines(page)) == batch.styles + 1


def test_the_second_run_shows_what_changed(batch: Batch, opened: Opener, tmp_path: Path) -> None:
    again = batch.copied_to(tmp_path / "again")
    before = (again.shell.folder / "night.csv").read_text()
    rows = list(csv.reader(before.splitlines()))
    del rows[-1]
    rows[INVALID_LINE - 1][0] = "contents/0.png"
    again.shell.picture("contents/0.png", 99, height=24, width=32)
    write_csv(again.shell.folder / "night.csv", *map(tuple, rows))
    result = again.shell.run("run", "night.csv", "--output", "out", *QUICK)
    # All rows of the changed content change, except the failed one; the invalid one is mended.
    changed = [
        line for line in range(2, 2 + batch.styles) if line not in (FAILED_LINE, INVALID_LINE)
    ]
    counts = f"{len(changed) + 1} done, {batch.rows - 1 - len(changed) - 2} cached, 1 failed"
    assert counts in result.stdout
    page = opened(again.gallery).page
    page.get_by_role("button", name=f"changed {len(changed)}").click()
    assert shown_lines(page) == changed
    assert "→" in page.locator("#line-2 .state").inner_text()
    page.get_by_role("button", name=f"changed {len(changed)}").click()
    page.get_by_role("button", name="mended 1").click()
    assert shown_lines(page) == [INVALID_LINE]
    page.get_by_text("1 gone since the previous run").click()
    assert page.locator(".gone li").inner_text() == f"script>_{batch.styles - 1}.png"
