"""Writes docs/images: starts a demo, uses its page as a physicist does, and takes pictures on the way.

`make pictures` runs it. All that is seen is made up, and nothing of this machine is on it.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from services.cli.client.session import opened_database
from services.cli.local.ports import free_ports
from services.cli.local.rabbitmq import ensure_rabbitmq
from services.cli.local.system import FIRST_QUERY_DAYS, PACS_NAME, System, running
from services.cli.output.console import notice
from shared.broker.factory import MEMORY_URL
from shared.broker.rabbitmq.connection import remove_topology
from shared.clock import utc_now
from shared.logs import configure
from shared.settings import Settings
from shared.users.accounts import create_user
from tests.support.pictures.palette import with_palette
from tests.support.servers.browser import ARGUMENTS, executable

IMAGES = Path(__file__).parents[3] / "docs" / "images"
SIZE = {"width": 1280, "height": 900}
#: Milliseconds that a step may take; a query of the demo needs some seconds.
TIMEOUT_MS = 60_000
#: The largest file that the repository should hold, in bytes.
MOST_BYTES = 150_000
USER, PASSWORD = "ada", "pictures of made-up studies"


def main() -> int:
    """Write all pictures; returns the exit code."""
    configure("cli", "ERROR")
    with tempfile.TemporaryDirectory(prefix="doseqr-pictures-") as folder:
        web_port, store_port = free_ports(2)
        settings = Settings(
            data_dir=Path(folder), amqp_prefix="doseqr-pictures", web_port=web_port, store_port=store_port
        )
        with (
            ensure_rabbitmq(None, settings.data_dir, notice) as url,
            opened_database(settings, create=True) as database,
        ):
            with database.write() as session:
                create_user(session, USER, "importer", PASSWORD, utc_now())
            with running(settings.model_copy(update={"amqp_url": url}), database) as system:
                _walk(system)
            if url != MEMORY_URL:
                # The broker may be somebody else's.
                remove_topology(url, settings.amqp_prefix)
    return 0


def _walk(system: System) -> None:
    settings = system.settings
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        page = browser.new_page(viewport=SIZE, locale="en-GB", color_scheme="light", reduced_motion="reduce")  # type: ignore[arg-type]
        page.set_default_timeout(TIMEOUT_MS)
        address = f"http://127.0.0.1:{settings.web_port}"
        _log_in(page, address)
        _query(page, system)
        _take(page, "query")
        page.get_by_role("article", name="Query").get_by_role("link", name="Details").click()
        expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
        _take(page, "job")
        page.goto(f"{address}/calendar?node={PACS_NAME}")
        _take(page, "calendar")
        browser.close()


def _log_in(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Query remote server").first.wait_for()
    page.goto(f"{address}/imports/query")


def _query(page: Page, system: System) -> None:
    """Query and retrieve everything of the last days, until all of it has arrived."""
    today = system.settings.day_of(utc_now())
    page.get_by_label("Remote node").select_option(PACS_NAME)
    for tick in page.get_by_role("group", name="Modalities").get_by_role("checkbox").all():
        tick.check()
    page.get_by_label("From", exact=True).fill(str(today - timedelta(days=FIRST_QUERY_DAYS)))
    page.get_by_label("Until", exact=True).fill(str(today))
    page.get_by_label("Retrieve at once").check()
    page.get_by_role("button", name="Query", exact=True).click()
    expect(page.get_by_role("article", name="Retrieve")).to_contain_text("completed", timeout=TIMEOUT_MS)
    expect(page.locator("#nodes summary")).to_contain_text("respond", timeout=TIMEOUT_MS)


def _take(page: Page, name: str) -> None:
    page.evaluate("window.scrollTo(0, 0)")
    page.evaluate("document.activeElement?.blur()")
    picture = with_palette(page.screenshot())
    if len(picture) > MOST_BYTES:
        raise ValueError(f"{name}.png has {len(picture)} bytes, more than {MOST_BYTES}")
    (IMAGES / f"{name}.png").write_bytes(picture)
    notice(f"docs/images/{name}.png: {len(picture)} bytes")


if __name__ == "__main__":
    sys.exit(main())
