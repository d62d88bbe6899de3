"""The files that documents name: other pages, pictures, tests and tools."""

import re
from pathlib import Path

import pytest

from flows.cli.app import app

ROOT = Path(__file__).parents[3]
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
TESTS = {path.name for path in (ROOT / "tests").rglob("test_*.py")}


def headings_of(document: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def targets_in(document: Path) -> list[str]:
    """Return what links and pictures of a page point to, on the web not included."""
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    return [target for target in targets if not target.startswith(("http:", "https:", "mailto:"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for target in targets_in(document):
        name, _, heading = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        if heading:
            assert heading in headings_of(path), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_tests_and_scripts_that_are_named_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    missing = {*re.findall(r"\b(test_\w+\.py)\b", text)} - TESTS
    assert not missing
    for script in re.findall(r"\b((?:tests|tools|benchmarks)/[\w/]+\.py)\b", text):
        assert (ROOT / script).exists(), script


def test_every_picture_of_the_documents_is_shown() -> None:
    shown = {target for document in DOCUMENTS for target in targets_in(document)}
    names = {Path(target).name for target in shown}
    assert {path.name for path in (ROOT / "docs" / "pictures").iterdir()} <= names


COMMANDS = {name for name in app if not name.startswith("-")}


def test_the_lists_of_commands_are_complete() -> None:
    (listed,) = re.findall(
        r"^\* The commands are (.+?)\.$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M | re.S
    )
    assert {name.removeprefix("nst-batch ") for name in re.findall("`(.+?)`", listed)} == COMMANDS
    rows = re.findall(r"^\| `nst-batch ([a-z]+)", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert {*rows} == COMMANDS
