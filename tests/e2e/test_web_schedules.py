"""A person with a browser adds a recurring query, runs it, and reads what it brought."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from shared.clock import utc_now
from tests.e2e.test_web_journeys import log_in
from tests.support.peers.studies import ct_study
from tests.support.servers.browser import PHONE, shoot
from tests.support.services.web import add_people

TABLET = (820, 1180)
DAY = utc_now().astimezone().date() - timedelta(days=2)


def test_a_recurring_query_is_added_run_and_paused(system, scripted_pacs, page, monkeypatch):
    # Given
    monkeypatch.setattr("services.query.scheduler.TICK_S", 0.2)
    address = f"http://127.0.0.1:{system.settings.web_port}"
    add_people(system.database)
    pacs = scripted_pacs([ct_study(date=DAY), ct_study(date=DAY, with_rdsr=False)])
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start("echo", "query", "retrieve", "web")
    log_in(page, address, "importer")
    # When: the form is wrong at first
    page.goto(f"{address}/schedules")
    page.get_by_role("link", name="Add recurring query").click()
    page.get_by_label("Name", exact=True).fill("Nightly CT")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_label("First study date").fill(str(DAY))
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Tick at least one modality.")
    page.get_by_label("CT", exact=True).check()
    page.get_by_role("button", name="Add", exact=True).click()
    # Then
    expect(page.get_by_role("heading", name="Nightly CT")).to_be_visible()
    expect(page.get_by_text("daily 06:30")).to_be_visible()
    # When: it runs now
    page.get_by_role("button", name="Run now").click()
    # Then: what it brought shows without a reload
    row = page.get_by_role("table", name="Runs").locator("tbody tr")
    expect(row).to_contain_text("completed")
    expect(row.locator("[data-label=Found]")).to_have_text("2")
    expect(row.locator("[data-label=Kept]")).to_have_text("1")
    shoot(page, "schedule")
    # When
    page.get_by_role("button", name="Pause").click()
    # Then
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.goto(f"{address}/schedules")
    expect(page.get_by_role("row", name="Nightly CT")).to_contain_text("paused")
    shoot(page, "schedules")
    # Then
    for size in (PHONE, TABLET):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        for path in ("/schedules", "/schedules/add", "/schedules/1"):
            page.goto(address + path)
            shoot(page, f"{path.strip('/').replace('/', '-')}-{size[0]}")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (path, size)
