"""What an open page keeps while it is refreshed, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from shared.broker.port import Delivery
from shared.database.models import Query, Retrieve
from tests.e2e.test_web_journeys import log_in
from tests.support.jobs.rows import a_query, a_retrieve, a_study
from tests.support.servers.browser import shoot
from tests.support.services.in_process import System
from tests.support.services.web import add_people

#: Where the pages take from how often an ended panel is polled.
POLLING = ("views.job_panel", "pages.query", "pages.jobs")


@pytest.fixture
def address(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a page that shows a finished query of three types; no worker takes its commands."""
    for module in POLLING:
        monkeypatch.setattr(f"services.web.{module}.POLL_ENDED_S", 1)
    add_people(system.database)
    system.add_remote("pacs", "127.0.0.1", 104, "PACS")
    system.add_own_store()
    with system.database.write() as session:
        session.add(a_query("q1", studies_found=3, studies_kept=3, objects_kept=9))
        session.flush()
        for number, name in enumerate(("CT", "MG", "DX")):
            session.add(a_study(f"1.{number}", "q1", type=name))
    system.start("web")
    yield f"http://127.0.0.1:{system.settings.web_port}"
    system.stop()


def test_unticked_types_stay_unticked_and_are_not_retrieved(system, page: Page, address):
    # Given
    log_in(page, address, "importer")
    page.goto(f"{address}/imports/query?job=q1")
    query = page.get_by_role("article", name="Query")
    for name in ("CT", "Radiography"):
        query.get_by_label(name, exact=True).uncheck()
    query.get_by_text("Why they were kept").click()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.counts'))")
    selected = page.evaluate("getSelection().toString()")
    # When
    with page.expect_response("**/jobs/q1/fragment*"):
        pass
    page.wait_for_timeout(500)
    # Then
    assert query.locator("input[type=checkbox]").evaluate_all("ticks => ticks.map(tick => tick.checked)") == [
        False,
        False,
        True,
    ]
    expect(query.locator("details[open]")).to_have_count(1)
    assert page.evaluate("getSelection().toString()") == selected
    # When
    query.get_by_role("button", name="Retrieve").click()
    expect(page.get_by_role("article", name="Retrieve")).to_contain_text("Queued")
    # Then
    taken: list[Delivery] = []

    def take(delivery: Delivery) -> None:
        taken.append(delivery)
        delivery.ack()

    system.broker.consume("retrieve", take, workers=1)
    deadline = time.monotonic() + 20
    while not taken and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert b'"types":["MG"]' in taken[0].message.body.replace(b" ", b"")


def test_a_change_comes_in_while_ticks_stay(system, page: Page, address):
    # Given
    log_in(page, address, "importer")
    page.goto(f"{address}/jobs/q1")
    page.get_by_label("CT", exact=True).uncheck()
    # When
    with system.database.write() as session:
        session.get_one(Query, "q1").objects_kept = 4321
    # Then
    expect(page.get_by_role("article", name="Query")).to_contain_text("321", timeout=30_000)
    expect(page.get_by_label("CT", exact=True)).not_to_be_checked()


def test_a_bar_does_not_go_back_and_shows_what_was_sent(system, page: Page, address):
    # Given
    with system.database.write() as session:
        session.add(
            a_retrieve("r1", "q1", status="running", asked=10, arrived=4, reported_completed=8, ended_at=None)
        )
    log_in(page, address, "importer")
    page.goto(f"{address}/jobs/r1")
    bar = page.locator("#arrived-r1")
    expect(bar).to_have_attribute("value", "4")
    shoot(page, "retrieve-running-desktop")
    # When: the ledger finds more to be expected
    with system.database.write() as session:
        session.get_one(Retrieve, "r1").asked = 40
    # Then
    expect(bar).to_have_attribute("max", "40")
    expect(bar).to_have_attribute("value", "16")
    expect(page.get_by_text("Arrived: 4 of 40 objects")).to_be_visible()


def test_the_list_of_jobs_and_the_title_follow_a_job(system, page: Page, new_page, address):
    # Given
    with system.database.write() as session:
        session.add(a_query("q2", status="running", slices_total=4, slices_complete=1, ended_at=None))
    log_in(page, address, "viewer")
    page.goto(f"{address}/jobs")
    row = page.locator("#job-q2")
    expect(row).to_contain_text("running")
    page.goto(f"{address}/jobs/q2")
    expect(page).to_have_title("▸ Query running, pacs · DoseQR")
    listing = page.context.new_page()
    listing.goto(f"{address}/jobs")
    # When
    with system.database.write() as session:
        session.get_one(Query, "q2").status = "completed"
    # Then
    expect(listing.locator("#job-q2")).to_contain_text("completed")
    page.bring_to_front()
    expect(page).to_have_title("✓ Query completed, pacs · DoseQR")
