"""A real browser for the tests: Debian's Chromium without a window, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.servers.rabbitmq import skip_or_fail

#: The same engine twice; the first carries no windows, profiles and extensions, and takes half of the CPU.
EXECUTABLES = ("chromium-headless-shell", "chromium")
MISSING = f"no Chromium: install the package {EXECUTABLES[0]} or set DOSEQR_TEST_CHROMIUM"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: A desktop and a phone, in CSS pixels.
DESKTOP, PHONE = (1280, 900), (390, 844)
#: Milliseconds after which an expectation fails; generous, since it only bounds failing tests.
TIMEOUT_MS = 60_000


def executable() -> str | None:
    """Return the browser of this machine; None without one."""
    found = (shutil.which(name) for name in EXECUTABLES)
    return os.environ.get("DOSEQR_TEST_CHROMIUM") or next(filter(None, found), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for the session."""
    found = executable()
    if found is None:
        skip_or_fail(MISSING)
    assert found is not None
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages of fresh sessions; an error on the console fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def make(size: tuple[int, int] = DESKTOP, **options: object) -> Page:
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if _complains(message.type, message.text) else None
            ),
        )
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def _complains(kind: str, text: str) -> bool:
    """Return whether a console line is a defect; a refusal that a test provokes is none."""
    return kind == "error" and "Failed to load resource" not in text


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page of a desktop."""
    return new_page()


def shoot(page: Page, name: str) -> None:
    """Keep a picture of a page where DOSEQR_TEST_SHOTS names a folder."""
    folder = os.environ.get("DOSEQR_TEST_SHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
