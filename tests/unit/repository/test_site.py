"""The site that mkdocs builds from README.md and docs/."""

import logging
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.exceptions import Abort

from tests.site import DOCS, ROOT, build_site


class Loaded(HTMLParser):
    """What a page loads, in contrast to what it links to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        target = given.get("href" if tag == "link" else "src")
        if tag != "a" and target:
            self.targets.append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build_site(folder)
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    documents = {path.stem for path in [*ROOT.glob("*.md"), *DOCS.glob("*.md")]}
    pages = {path.stem for path in site.glob("*.html")}
    assert pages == documents - {"README"} | {"index", "404"}


def test_pages_load_only_files_of_the_site(site: Path) -> None:
    for page in site.glob("*.html"):
        targets = Loaded(page).targets
        assert targets
        if page.name != "404.html":  # Its addresses begin at the root of a server.
            missing = [target for target in targets if not (site / target).is_file()]
            assert missing == [], page.name


def test_links_between_the_readme_and_docs_lead_to_pages(site: Path) -> None:
    assert 'href="manifest.html#settings"' in (site / "options.html").read_text("utf-8")
    assert 'href="manifest.html"' in (site / "index.html").read_text("utf-8")
    assert 'href="index.html#devices"' in (site / "clusters.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "fault"),
    [("# In no menu", "new.md"), ("[a page](lost.md)", "lost.md"), ("[a](README.md#lost)", "lost")],
)
def test_a_page_in_no_menu_and_a_link_that_leads_nowhere_are_refused(
    text: str, fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs)
    page = docs / "new.md" if text.startswith("#") else docs / "recipes.md"
    page.write_text(text, "utf-8")
    with caplog.at_level(logging.WARNING, "mkdocs"), pytest.raises(Abort):
        build_site(tmp_path / "site", docs)
    assert fault in caplog.text
