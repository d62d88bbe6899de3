"""The documentation's site in a real browser, opened as files, without a server or a network."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opener
from tests.site import build_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build_site(folder)
    return folder


def test_the_search_finds_words_of_other_pages(site: Path, opened: Opener) -> None:
    page = opened(site / "index.html").page
    # The page listens to keys.
    page.locator("[data-md-component=search-query]").press_sequentially("sweeps")
    page.locator(".md-search-result__link").first.click()
    expect(page).to_have_url(re.compile(r"/photographs\.html"))


@pytest.mark.parametrize("name", ["index", "options", "architecture", "controls"])
def test_no_page_is_wider_than_a_telephone(name: str, site: Path, opened: Opener) -> None:
    page = opened(site / f"{name}.html", width=390).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
