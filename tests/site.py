"""The documentation, built as a site."""

from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def build_site(folder: Path, docs: Path = DOCS) -> None:
    """Build the site from a folder of pages, as strictly as `make docs`."""
    build(
        load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(docs), site_dir=str(folder), strict=True)
    )
