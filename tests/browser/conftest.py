"""A real Chromium, in which all messages and requests of a page are recorded."""

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
    """Return the path of the browser, or None if there is no browser."""
    named = os.environ.get("NST_BATCH_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a browser for one module only: Prefect would join the event loop of Playwright."""
    path = chromium()
    if path is None:
        reason = "no Chromium: install one, or name it in NST_BATCH_CHROMIUM"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path,
            args=list(OPTIONS),
            # Chromium creates a socket there, whose path is limited to about a hundred bytes.
            env={**os.environ, "TMPDIR": "/tmp"},
        )
        yield started
        started.close()


@dataclass
class Watched:
    """A page, with all its messages and all URLs that it requested."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", self._note_failure)

    def _note_failure(self, request: Any) -> None:
        # A page that is left or loaded again gives up the pictures that are still to come.
        if request.failure != "net::ERR_ABORTED":
            self.messages.append(f"lost {request.url}: {request.failure}")

    def _refuse(self, dialog: Any) -> None:
        self.messages.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def check(self, folder: Path) -> None:
        """Assert that there was no message, and no request except for files of the folder."""
        assert self.messages == []
        outside = [url for url in self.requests if not url.startswith(f"{folder.as_uri()}/")]
        assert outside == []


Opener = Callable[..., Watched]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opener]:
    """Yield a function that opens pages, and check their messages and requests in the end."""
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
