"""A real Chromium, which tells everything that a page does."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


def chromium() -> str | None:
    """Where the browser is, if there is one."""
    named = os.environ.get("NST_BATCH_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """As long as a module: Playwright has an event loop run meanwhile, which Prefect would join."""
    path = chromium()
    if path is None:
        told = "no Chromium: install one, or name it in NST_BATCH_CHROMIUM"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path,
            args=list(OPTIONS),
            # Chromium makes a socket there, whose path cannot be longer than some hundred bytes.
            env={**os.environ, "TMPDIR": "/tmp"},
        )
        yield started
        started.close()


@dataclass
class Watched:
    """A page, and all that it said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.said.append(f"lost {request.url}"))

    def _refuse(self, dialog: Any) -> None:
        self.said.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def check(self, folder: Path) -> None:
        """Nothing was said, and nothing asked for but files of the folder."""
        assert self.said == []
        outside = [url for url in self.asked if not url.startswith(f"{folder.as_uri()}/")]
        assert outside == []


Opener = Callable[..., Watched]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opener]:
    """Opens a page and watches it; in the end it must have been silent and at home."""
    watched: list[tuple[Watched, Path]] = []

    def open_page(
        path: Path, fragment: str = "", width: int = 1280, height: int = 900, **options: Any
    ) -> Watched:
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        seen = Watched(page)
        seen.listen()
        watched.append((seen, path.parent))
        page.goto(path.as_uri() + fragment)
        return seen

    yield open_page
    for seen, folder in watched:
        seen.check(folder)
        seen.page.close()
