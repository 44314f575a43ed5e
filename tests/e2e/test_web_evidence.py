"""The calendar in a browser: a hole is clicked, filled in, and complete."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.peers.studies import DAY, ct_study
from tests.support.servers.browser import shoot
from tests.support.services.in_process import System
from tests.support.services.web import PASSWORD, add_people


@pytest.fixture
def address(system: System, scripted_pacs) -> str:
    """The page of a system with a PACS of three CT studies of one day."""
    add_people(system.database)
    pacs = scripted_pacs([ct_study() for _ in range(3)])
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start("echo", "query", "web")
    return f"http://127.0.0.1:{system.settings.web_port}"


def log_in(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("User name").fill("importer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Log in")


def test_a_hole_clicked_and_filled_becomes_complete(system, page, address):
    # Given
    log_in(page, address)
    calendar = f"{address}/calendar?node=pacs&month={DAY:%Y-%m}"
    page.goto(calendar)
    day = f"CT, {DAY:%A %d %B}"
    hole = page.get_by_role("link", name=f"{day}: not asked")
    # When
    hole.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("From", exact=True)).to_have_value(DAY.isoformat())
    expect(page.get_by_label("CT", exact=True)).to_be_checked()
    page.get_by_role("button", name="Query", exact=True).click()
    expect(page.get_by_role("article", name="Query")).to_contain_text("completed")
    page.goto(calendar)
    # Then
    expect(page.get_by_text(f"{day}: complete, 3 studies")).to_be_attached()
    expect(hole).to_have_count(0)
    shoot(page, "calendar-desktop")
