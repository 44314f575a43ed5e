"""People with a browser: all services, a scripted PACS, and the page between."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from shared.clock import utc_now
from shared.database.models import RetrieveTask
from shared.users.accounts import create_user
from tests.support.peers.studies import DAY, ct_study, fl_study, mg_study, mr_study
from tests.support.ports import free_port
from tests.support.servers.browser import PHONE, shoot
from tests.support.services.in_process import System
from tests.support.services.web import PASSWORD, add_people
from tests.support.waiting import wait_until

STUDIES = 12


@pytest.fixture
def address(system: System) -> str:
    """The address of the page; a test starts the services."""
    return f"http://127.0.0.1:{system.settings.web_port}"


@pytest.fixture
def hospital(system: System, scripted_pacs, address) -> Iterator[System]:
    """All services, a PACS with some studies, our own store, one node that is dead, and people."""
    add_people(system.database)
    pacs = scripted_pacs(
        [
            *(ct_study() for _ in range(STUDIES)),
            *(mg_study() for _ in range(3)),
            fl_study(with_rdsr=False),
            mr_study(),
        ],
        destinations={"DOSEQR": ("127.0.0.1", system.settings.store_port)},
        answer_delay_s=0.02,
        store_pause_s=0.05,
    )
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.add_remote("dead", "127.0.0.1", free_port(), "DEAD")
    system.start("echo", "query", "retrieve", "store", "web")
    yield system
    system.stop()


def log_in(page: Page, address: str, name: str, password: str = PASSWORD) -> None:
    """Log in; who may query begins with that page, others with the start page."""
    page.goto(address if name == "viewer" else f"{address}/imports/query")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Log in")


def fill_query(page: Page, *types: str) -> None:
    page.get_by_label("Remote node").select_option("pacs")
    page.get_by_label("Store node").select_option("doseqr")
    for name in types:
        page.get_by_label(name, exact=True).check()
    page.get_by_label("From", exact=True).fill(DAY.isoformat())
    page.get_by_label("Until", exact=True).fill(DAY.isoformat())


def test_a_query_and_its_retrieve_are_followed_to_their_end(hospital, page, address, new_page):
    # Given
    log_in(page, address, "importer")
    page.get_by_text("Imports").click()
    page.get_by_role("link", name="Query remote server").click()
    nodes = page.get_by_role("region", name="Nodes")
    expect(nodes.get_by_text("2 of 3 nodes respond; dead does not.")).to_be_visible()
    expect(page.locator("[data-state-of=remote]")).to_contain_text("Answers")
    expect(nodes.locator("li", has_text="dead")).to_contain_text("Connection refused")
    expect(nodes.locator("li", has_text="pacs")).to_contain_text(re.compile(r"Answers\s+\([0-9.]+ ms\)"))
    shoot(page, "query-open-desktop")
    fill_query(page, "CT", "Mammography (MG)")
    # When
    page.get_by_role("button", name="Query", exact=True).click()
    query = page.get_by_role("article", name="Query")
    # Then
    expect(query).to_contain_text("completed")
    expect(query.locator("li", has=page.get_by_label("CT"))).to_contain_text(str(STUDIES))
    expect(query.locator("li", has=page.get_by_label("Mammography"))).to_contain_text("3")
    shoot(page, "query-ended-desktop")
    # When
    query.get_by_role("button", name="Retrieve").click()
    retrieve = page.get_by_role("article", name="Retrieve")
    # Then
    expect(retrieve).to_contain_text("completed")
    expect(retrieve).to_contain_text(f"Arrived: {STUDIES + 12} of {STUDIES + 12} objects")
    shoot(page, "retrieve-ended-desktop")
    # And another browser shows the same
    other = new_page(PHONE)
    log_in(other, address, "viewer")
    other.get_by_role("link", name="Jobs", exact=True).click()
    other.get_by_role("link", name=re.compile("^Query")).click()
    expect(other.get_by_role("article", name="Retrieve")).to_contain_text("completed")
    shoot(other, "job-phone")


def test_progress_comes_without_reloading(hospital, page, address):
    # Given
    log_in(page, address, "importer")
    fill_query(page, "CT")
    page.get_by_role("button", name="Query", exact=True).click()
    page.wait_for_url("**job=*")
    # When: the page is marked, so that a reload would show
    page.evaluate("document.body.dataset.mark = 'same page'")
    # Then
    expect(page.get_by_role("button", name="Retrieve")).to_be_visible()
    assert page.evaluate("document.body.dataset.mark") == "same page"
    expect(page.locator("#announcer")).to_contain_text("Query completed")


def test_a_retrieve_is_paused_and_resumed_by_its_buttons(hospital, scripted_pacs, page, address):
    # Given
    destinations = {"DOSEQR": ("127.0.0.1", hospital.settings.store_port)}
    slow = scripted_pacs([mg_study(images=40)], destinations=destinations, store_pause_s=0.1)
    hospital.add_remote("slow", slow.host, slow.port, slow.ae_title)
    log_in(page, address, "importer")
    job_id = hospital.query({"types": ["MG"]}, remote="slow", retrieve=True)
    wait_until(lambda: slow.witness.objects_sent >= 3)
    # When
    page.goto(f"{address}/jobs/{job_id}-r")
    page.get_by_role("button", name="Pause").click()
    # Then
    expect(page.get_by_text("Paused by importer since")).to_be_visible()
    wait_until(lambda: not has_queued_or_running_tasks(hospital, f"{job_id}-r"), 2.0)
    sent = slow.witness.objects_sent
    shoot(page, "retrieve-paused-desktop")
    assert slow.witness.objects_sent == sent
    # When
    page.get_by_role("button", name="Resume").click()
    # Then
    retrieve = page.get_by_role("article", name="Retrieve")
    expect(retrieve).to_contain_text("completed")
    expect(retrieve).to_contain_text("Failed0")
    assert hospital.retrieve_json(f"{job_id}-r")["counts"]["arrived"] == slow.witness.objects_sent


def has_queued_or_running_tasks(system: System, job_id: str) -> bool:
    with system.database.read() as session:
        tasks = session.query(RetrieveTask).filter_by(job_id=job_id)
        return any(task.state in ("queued", "running") for task in tasks)


def test_a_first_log_in_leads_to_an_own_password(system, page, address):
    # Given
    with system.database.write() as session:
        create_user(session, "first", "admin", "one-time-password", utc_now(), must_change_password=True)
    system.start("web")
    # When
    log_in(page, address, "first", "one-time-password")
    # Then
    expect(page.get_by_role("heading", level=1)).to_have_text("Change password")
    shoot(page, "password-desktop")
    # When
    page.get_by_label("Present password").fill("one-time-password")
    page.get_by_label("New password", exact=True).fill("an own password")
    page.get_by_label("New password again").fill("an own password")
    page.get_by_role("button", name="Change password").click()
    # Then
    expect(page.get_by_role("heading", level=1)).to_have_text("Start")


def test_without_workers_the_page_names_the_command_to_start(system, page, address):
    # Given
    add_people(system.database)
    system.add_remote("pacs", "127.0.0.1", free_port(), "PACS")
    system.add_own_store()
    system.start("web")
    log_in(page, address, "importer")
    expect(page.get_by_text("doseqr serve query").first).to_be_visible()
    fill_query(page, "CT")
    # When
    page.get_by_role("button", name="Query", exact=True).click()
    # Then
    expect(page.get_by_role("article", name="Query")).to_contain_text("Queued, waiting for a worker.")
    expect(page.locator("#banner")).to_contain_text("doseqr serve query")
    shoot(page, "query-no-workers-desktop")
    # When
    system.start("query", "echo")
    # Then
    expect(page.get_by_role("article", name="Query")).to_contain_text("pacs")
    expect(page.locator("#banner")).not_to_contain_text("doseqr serve query")


def test_mistakes_are_shown_at_their_fields(hospital, page, address):
    # Given
    log_in(page, address, "importer")
    fill_query(page, "CT")
    page.get_by_label("Until", exact=True).fill("2024-01-01")
    # Then: while typing
    expect(page.locator("#date_from-error")).to_contain_text("is after")
    # When
    page.get_by_role("button", name="Query", exact=True).click()
    # Then
    summary = page.get_by_role("alert").filter(has_text="There is a problem")
    expect(summary).to_be_focused()
    expect(page.get_by_label("From", exact=True)).to_have_attribute("aria-invalid", "true")
    shoot(page, "query-mistake-desktop")
    # When
    page.get_by_label("Until", exact=True).fill("2025-01-01")
    # Then
    expect(page.locator("#date_from-error")).to_have_text("")
    expect(page.locator("#preview")).to_contain_text("stresses the remote server")


def test_an_administrator_adds_edits_tests_and_removes_a_node(hospital, page, address):
    # Given
    log_in(page, address, "admin")
    page.get_by_role("link", name="Nodes").click()
    # When
    page.get_by_role("link", name="Add remote node").click()
    page.get_by_label("Name", exact=True).fill("new one")
    page.get_by_label("Host", exact=True).fill("127.0.0.1")
    page.get_by_label("Port", exact=True).fill("70000")
    page.get_by_label("AE title", exact=True).fill("A" * 17)
    page.get_by_role("button", name="Add").click()
    # Then
    expect(page.get_by_role("alert").get_by_role("listitem")).to_have_count(2)
    shoot(page, "node-mistake-desktop")
    # When
    page.get_by_label("Port", exact=True).fill(str(free_port()))
    page.get_by_label("AE title", exact=True).fill("NEWONE")
    page.get_by_role("button", name="Add").click()
    row = page.get_by_role("row", name=re.compile("new one"))
    expect(row).to_be_visible()
    # When
    row.get_by_role("button", name="Test new one").click()
    # Then
    expect(page.get_by_role("row", name=re.compile("new one"))).to_contain_text("Connection refused")
    shoot(page, "nodes-desktop")
    # When
    page.get_by_role("link", name="Edit new one").click()
    expect(page.get_by_role("radio", name="C-MOVE")).to_be_checked()
    page.get_by_label("Name", exact=True).fill("renamed")
    page.get_by_role("radio", name="C-GET").check()
    shoot(page, "node-edit-desktop")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name=re.compile("renamed"))).to_be_visible()
    # Then
    page.get_by_role("link", name="Profile of renamed").click()
    expect(page.get_by_text("Fetched with C-GET")).to_be_visible()
    page.get_by_role("link", name="Change how objects are retrieved").click()
    expect(page.get_by_role("radio", name="C-GET")).to_be_checked()
    page.get_by_role("link", name="Back", exact=True).click()
    # When
    page.get_by_role("link", name="Remove renamed").click()
    shoot(page, "node-remove-desktop")
    page.get_by_role("button", name="Remove").click()
    # Then
    expect(page.get_by_text("The node renamed is removed.")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("renamed"))).to_have_count(0)


def test_a_query_needs_no_mouse(hospital, page, address):
    # Given
    page.goto(address)

    def tab_to(name: str, most: int = 40) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            label = page.evaluate(
                "() => { const e = document.activeElement;"
                " return (e.labels?.[0]?.textContent || e.textContent || '').trim(); }"
            )
            if label == name:
                return
        pytest.fail(f"{name} is not reached by the Tab key")

    # When
    tab_to("Skip to the content")
    tab_to("User name")
    page.keyboard.type("importer")
    tab_to("Password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Start")
    tab_to("Imports")
    page.keyboard.press("Enter")
    tab_to("Query remote server")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    tab_to("Remote node")
    page.keyboard.type("pacs")
    tab_to("CT")
    page.keyboard.press("Space")
    tab_to("From")
    page.keyboard.type(f"{DAY:%m%d%Y}")
    tab_to("Until")
    page.keyboard.type(f"{DAY:%m%d%Y}")
    tab_to("Query")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    # Then
    expect(page.get_by_role("button", name="Retrieve")).to_be_visible()
    # When
    tab_to("Retrieve", 80)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    # Then
    expect(page.get_by_role("article", name="Retrieve")).to_contain_text("completed")


def test_a_study_is_explained_on_the_job_page(hospital, page, address):
    # Given
    log_in(page, address, "importer")
    fill_query(page, "CT", "Fluoroscopy (RF, XA)")
    page.get_by_role("button", name="Query", exact=True).click()
    expect(page.get_by_role("button", name="Retrieve")).to_be_visible()
    page.get_by_role("link", name="Details").click()
    # When
    page.get_by_label("Decision").select_option("Dropped")
    page.get_by_role("region", name="Studies").get_by_role("button", name="Show").click()
    study = page.locator("details.study").first
    study.locator("summary").first.click()
    # Then
    expect(study).to_contain_text("C-FIND requests for it")
    shoot(page, "job-desktop")


def test_without_a_script_a_query_still_runs(hospital, new_page: Callable[..., Page], address):
    # Given
    page = new_page(java_script_enabled=False)
    log_in(page, address, "importer")
    fill_query(page, "CT")
    # When
    page.get_by_role("button", name="Query", exact=True).click()
    job_id = re.search(r"job=([0-9a-f]+)", page.url)
    assert job_id is not None
    hospital.wait_for_end(job_id[1])
    page.reload()
    # Then
    expect(page.get_by_role("button", name="Retrieve")).to_be_visible()
    # When
    page.get_by_role("button", name="Test again").click()
    # Then
    expect(page.get_by_role("region", name="Nodes")).to_be_visible()


def test_an_administrator_has_a_node_measured_and_limits_it(hospital, page, address):
    # Given
    log_in(page, address, "admin")
    page.get_by_role("link", name="Nodes").click()
    page.get_by_role("link", name="Profile of pacs").click()
    # When
    page.get_by_role("button", name="Measure").click()
    # Then
    expect(page.get_by_role("status").filter(has_text="Measured with")).to_be_visible()
    expect(page.get_by_role("row", name="Matches on modalities")).to_contain_text("yes")
    # When
    page.get_by_role("link", name="Change the limits").click()
    page.get_by_label("Requests a minute").fill("120")
    page.get_by_label("Hours in which it takes requests").fill("evenings")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Must be hours of the day").first).to_be_visible()
    page.get_by_label("Hours in which it takes requests").fill("00:00-24:00")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Profile of pacs").click()
    # Then
    expect(page.get_by_text("120 requests a minute, at 00:00-24:00")).to_be_visible()


def test_an_estimate_is_shown_while_the_form_is_filled_in(hospital, page, address):
    # Given
    log_in(page, address, "importer")
    hospital.finished_query({"types": ["CT"], "date_from": str(DAY), "date_until": str(DAY)})
    # When
    page.goto(f"{address}/imports/query")
    fill_query(page, "CT")
    # Then
    shown = page.locator("[data-estimate]")
    expect(shown).to_contain_text(re.compile(r"About .* studies, .* \(judged by 1 earlier query\)"))
    # When
    page.get_by_label("By accession number or study UID").check()
    page.get_by_label("Accession numbers").fill("A1\nA*")
    # Then
    expect(page.get_by_text("Line 2: must hold no wildcard")).to_be_visible()
