"""What the ledger proves in a browser: a hole filled, a station that stopped, two sides, a list."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re

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


@pytest.fixture
def scanner(system: System, scripted_pacs) -> str:
    """The page of a system with a station that sent reports for six days, and for five days after no more."""
    add_people(system.database)
    days = [DAY - dt.timedelta(days=10 - number) for number in range(11)]
    studies = [
        dataclasses.replace(ct_study(with_rdsr=number < 6), date=day, accession_number=f"A{number}")
        for number, day in enumerate(days)
    ]
    destinations = {"DOSEQR": ("127.0.0.1", system.settings.store_port)}
    pacs = scripted_pacs(studies, destinations=destinations)
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start("echo", "query", "retrieve", "store", "web")
    criteria = {"types": ["CT"], "date_from": days[0].isoformat(), "date_until": days[-1].isoformat()}
    assert system.finished_query(criteria)["status"] == "completed"
    return f"http://127.0.0.1:{system.settings.web_port}"


def test_a_station_that_stops_sending_reports_raises_the_alert(page, scanner):
    # Given
    log_in(page, scanner)
    first, last = DAY - dt.timedelta(days=10), DAY
    # When
    page.goto(f"{scanner}/coverage?node=pacs&from={first}&until={last}")
    # Then
    since = DAY - dt.timedelta(days=4)
    expect(page.get_by_text(f"No dose report since {since}, in 5 studies in a row")).to_be_visible()
    shoot(page, "coverage-desktop")
    # When
    page.get_by_role("link", name=re.compile("^5 studies of .*Nothing")).click()
    # Then
    expect(page.get_by_role("row")).to_have_count(6)


def test_what_the_store_lacks_is_compared_retrieved_and_reconciled(page, scanner):
    # Given
    log_in(page, scanner)
    page.goto(f"{scanner}/comparisons")
    page.get_by_label("From").fill((DAY - dt.timedelta(days=10)).isoformat())
    page.get_by_label("Until").fill(DAY.isoformat())
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("The sides differ.")).to_be_visible()
    shoot(page, "comparison-desktop")
    # When
    page.get_by_role("button", name="Retrieve what store lacks (6 studies)").click()
    expect(page.get_by_role("article", name="Retrieve")).to_contain_text("completed")
    page.go_back()
    # Then
    expect(page.get_by_text("Nothing differs: both sides have the same dose objects.")).to_be_visible()
    # And the list of the RIS has its doses
    page.goto(f"{scanner}/reconciliations")
    lines = "\n".join(["Zugangsnummer", *(f"A{number}" for number in range(11))])
    page.get_by_label("List from the RIS").set_input_files(
        {"name": "list.csv", "mimeType": "text/csv", "buffer": lines.encode()}
    )
    page.get_by_role("button", name="Reconcile").click()
    expect(page.locator(".figures div", has_text="Has dose")).to_contain_text("6")
    expect(page.locator(".figures div", has_text="No dose object")).to_contain_text("5")
    shoot(page, "reconciliation-desktop")
