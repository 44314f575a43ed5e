"""A person with a browser requests again what a PACS did not return."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from shared.contract.messages import AskAgain
from simulator.scp import ScriptedPacs
from tests.e2e.test_web_journeys import fill_query, log_in
from tests.support.peers.scripted_pacs import PacsFactory
from tests.support.peers.studies import ct_study, mg_study
from tests.support.services.in_process import System
from tests.support.services.web import add_people

#: The PACS never responds to queries for mammography.
NO_MG: dict[str, Any] = {"operation": "find", "level": "STUDY", "code": "MG", "kind": "abort", "always": True}


def incomplete_query(system: System, scripted_pacs: PacsFactory, page: Page) -> tuple[ScriptedPacs, Locator]:
    """Query in the page what a PACS does not return; return the PACS, and the query in the page."""
    address = f"http://127.0.0.1:{system.settings.web_port}"
    add_people(system.database)
    pacs = scripted_pacs([ct_study(), mg_study(), mg_study()])
    pacs.add_fault(**NO_MG)
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start("echo", "query", "retrieve", "store", "web")
    log_in(page, address, "importer")
    page.goto(f"{address}/imports/query")
    fill_query(page, "CT", "Mammography (MG)")
    page.get_by_role("button", name="Query", exact=True).click()
    query = page.get_by_role("article", name="Query", exact=True)
    expect(query).to_contain_text("incomplete")
    expect(query).to_contain_text("1 window missing")
    return pacs, query


def test_what_is_missing_is_requested_again_without_reloading(system, scripted_pacs, page):
    # Given
    pacs, query = incomplete_query(system, scripted_pacs, page)
    pacs.change(faults=(), answer_delay_s=0.2)
    # When
    with page.expect_navigation():
        query.get_by_role("button", name="Request the missing again").click()
    page.evaluate("document.body.dataset.mark = 'same page'")
    # Then
    expect(query).to_contain_text("completed")
    expect(query.locator("li", has=page.get_by_label("Mammography"))).to_contain_text("2")
    expect(query.get_by_role("button", name="Request the missing again")).to_have_count(0)
    expect(page.locator("#announcer")).to_contain_text("Query completed")
    assert page.evaluate("document.body.dataset.mark") == "same page"


def test_a_continuation_by_somebody_else_shows_in_an_open_page(system, scripted_pacs, page):
    # Given
    pacs, query = incomplete_query(system, scripted_pacs, page)
    page.evaluate("document.body.dataset.mark = 'same page'")
    job_id = str(query.locator("[id^=again-]").get_attribute("id")).removeprefix("again-")
    pacs.change(faults=())
    # When
    system.command(AskAgain(job_id=job_id, requested_by="somebody else"))
    # Then
    expect(query).to_contain_text("completed", timeout=40_000)
    assert page.evaluate("document.body.dataset.mark") == "same page"
