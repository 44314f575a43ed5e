"""Several people and a failing installation: roles, two browsers, a reload, a banner, an upload, in Chromium.

One installation serves all tests of this file: they follow one another, as people do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from shared.broker.memory.broker import MemoryBroker
from shared.database.models import Query, Retrieve
from shared.database.session import Database
from shared.settings import Settings
from simulator.behaviour import Behaviour
from simulator.scp import ScriptedPacs
from tests.e2e.test_web_journeys import fill_query, log_in
from tests.support.peers.studies import ct_study, mg_study
from tests.support.ports import free_port
from tests.support.servers.browser import DESKTOP, TIMEOUT_MS, shoot
from tests.support.servers.databases import prepare
from tests.support.services.in_process import System
from tests.support.services.web import add_people
from tests.support.waiting import wait_until

#: Within this time a banner has to be there, in milliseconds.
BANNER_MS = 5000


class Ward:
    """The services, a slow PACS, and the pages of its people."""

    def __init__(self, system: System, pacs: ScriptedPacs, browser: Browser) -> None:
        self.system = system
        self.pacs = pacs
        self.address = f"http://127.0.0.1:{system.settings.web_port}"
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.importer = self.page_of("importer")

    def page_of(self, name: str) -> Page:
        """Return a page of a fresh session of this person."""
        context = self._browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
        context.set_default_timeout(TIMEOUT_MS)
        self._contexts.append(context)
        page = context.new_page()
        log_in(page, self.address, name)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def newest(self, model: type[Query | Retrieve]) -> str:
        """Return the id of the newest job of a kind."""
        with self.system.database.read() as session:
            row = session.query(model).order_by(model.requested_at.desc()).first()
            return row.id if row is not None else ""

    def begin_query(self, *types: str) -> str:
        """Query as the importer does; return the id of the job."""
        page = self.importer
        page.goto(f"{self.address}/imports/query")
        fill_query(page, *types)
        with page.expect_navigation(url="**/imports/query?job=*"):
            page.get_by_role("button", name="Query", exact=True).click()
        job_id = page.url.rpartition("job=")[2].partition("#")[0]
        wait_until(lambda: self.system.status(job_id) != "")
        return job_id


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Ward]:
    """The installation of this file."""
    folder: Path = tmp_path_factory.mktemp("ward")
    settings = Settings(data_dir=folder, store_port=free_port(), web_port=free_port(), grace=5.0)
    database = Database(settings.database)
    prepare(database)
    add_people(database)
    broker = MemoryBroker()
    broker.declare()
    system = System(settings, broker, database)
    studies = [*(ct_study() for _ in range(8)), *(mg_study() for _ in range(2))]
    destinations = {"DOSEQR": ("127.0.0.1", settings.store_port)}
    pacs = ScriptedPacs(studies, Behaviour(), destinations=destinations).start()
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_remote("other", "127.0.0.1", free_port(), "OTHER")
    system.add_own_store()
    system.start("echo", "retrieve", "store", "web", "query")
    made = Ward(system, pacs, browser)
    yield made
    made.close()
    system.close()
    pacs.stop()
    broker.close()
    database.close()


def test_a_viewer_has_no_menu_of_imports_and_gets_403(ward: Ward) -> None:
    # Given
    page = ward.page_of("viewer")
    # Then
    expect(page.get_by_role("heading", level=1)).to_have_text("Start")
    expect(page.locator("summary", has_text="Imports")).to_have_count(0)
    expect(page.get_by_role("link", name="Query remote server")).to_have_count(0)
    # When
    response = page.goto(f"{ward.address}/imports/query")
    # Then
    assert response is not None
    assert response.status == 403


def test_a_reload_and_a_second_browser_show_the_same_query(ward: Ward) -> None:
    # Given
    ward.pacs.change(answer_delay_s=0.3)
    job_id = ward.begin_query("CT")
    page, other = ward.importer, ward.page_of("admin")
    # When
    page.reload()
    other.goto(f"{ward.address}/imports/query?job={job_id}")
    # Then
    for shown in (page, other):
        expect(shown.get_by_role("article", name="Query")).to_contain_text("running")
    ward.pacs.change(answer_delay_s=0.0)
    for shown in (page, other):
        expect(shown.get_by_role("article", name="Query")).to_contain_text("completed")
        expect(shown.locator("dl.figures").first).to_contain_text("Kept8")


def test_the_retrieve_after_a_changed_form_uses_the_original_selection(ward: Ward) -> None:
    # Given
    job_id = ward.begin_query("CT")
    page = ward.importer
    query = page.get_by_role("article", name="Query")
    expect(query).to_contain_text("completed")
    # When
    page.get_by_label("Remote node").select_option("other")
    page.get_by_role("group", name="Modalities").get_by_label("CT", exact=True).uncheck()
    page.get_by_label("From", exact=True).fill("2001-01-01")
    query.get_by_role("button", name="Retrieve", exact=True).click()
    # Then
    expect(page.get_by_role("article", name="Retrieve")).to_contain_text("completed")
    with ward.system.database.read() as session:
        retrieve = session.get_one(Retrieve, ward.newest(Retrieve))
    assert (retrieve.query_id, retrieve.remote_name, retrieve.arrived) == (job_id, "pacs", 8)


def test_a_query_is_raised_and_cancelled_by_its_buttons(ward: Ward) -> None:
    # Given
    ward.pacs.change(answer_delay_s=0.5)
    job_id = ward.begin_query("CT", "Mammography (MG)")
    query = ward.importer.get_by_role("article", name="Query")
    # When
    query.get_by_role("button", name="Raise priority").click()
    # Then
    expect(query).to_contain_text("Goes before others: importer")
    expect(query.get_by_role("button", name="Raise priority")).to_have_count(0)
    # When
    query.get_by_role("button", name="Cancel").click()
    # Then
    expect(query).to_contain_text("cancelled")
    assert ward.system.status(job_id) == "cancelled"
    ward.pacs.change(answer_delay_s=0.0)


def test_an_uploaded_list_shows_its_errors_and_is_queried(ward: Ward) -> None:
    # Given
    page = ward.importer
    page.goto(f"{ward.address}/imports/query")
    fill_query(page, "CT")
    page.get_by_label("By accession number or study UID").check()
    content = "Name;Accession number\nDoe;ACC000001\nDoe;ACC000001\nRoe;BAD*\n"
    # When
    page.get_by_label("The list as a file").set_input_files(
        {"name": "ris.csv", "mimeType": "text/csv", "buffer": content.encode()}
    )
    # Then
    report = page.locator("#list-report")
    expect(report).to_contain_text("1 accession number, read from 3 lines; 1 stood there before.")
    expect(report).to_contain_text("Line 4: holds a wildcard")
    shoot(page, "query-upload-desktop")
    # When
    report.get_by_label("Leave out the lines that are wrong").check()
    page.get_by_role("button", name="Query", exact=True).click()
    # Then
    expect(page.get_by_role("article", name="Query")).to_contain_text("completed")
    with ward.system.database.read() as session:
        query = session.get_one(Query, ward.newest(Query))
    assert query.criteria["accession_numbers"] == ["ACC000001"]


def test_the_banner_names_what_stopped_within_five_seconds(ward: Ward) -> None:
    # Given
    page = ward.page_of("viewer")
    page.goto(f"{ward.address}/jobs")
    expect(page.locator("#banner li")).to_have_count(0)
    # When: the workers of queries end, which began last
    began = time.monotonic()
    ward.system.stop_newest()
    # Then
    expect(page.locator("#banner")).to_contain_text("no query worker listens", timeout=BANNER_MS)
    expect(page.locator("#banner code")).to_have_text("doseqr serve query")
    assert time.monotonic() - began < BANNER_MS / 1000
    shoot(page, "banner-desktop")
    # When
    ward.system.start("query")
    # Then
    expect(page.locator("#banner li")).to_have_count(0, timeout=BANNER_MS)
