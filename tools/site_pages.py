"""A hook of MkDocs: pages of the site that are not in docs/, and links to and from them.

In the repository, README.md links to `docs/manifest.md`, and docs/manifest.md to `../README.md`. On
the site, all pages are in one folder.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CHANGELOG.md", "SECURITY.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages; MkDocs makes README.md the first page, index.html."""
    for name in PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, **_context: object) -> str:
    """Return a page's text with its links as they are on the site."""
    return re.sub(r"\]\((?:docs/|\.\./)", "](", markdown)
