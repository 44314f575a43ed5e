"""A person adds an address, tests it, and is notified of a recurring query that fails and is well again."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from playwright.sync_api import expect

from services.web.notifier.bootstrap import start_notifier
from shared.clock import utc_now
from shared.schedules.ledger import RunInProgressError, find_schedule, request_run
from simulator.behaviour import Behaviour, Fault
from tests.e2e.test_web_journeys import log_in
from tests.support.jobs.notifications import QUICK
from tests.support.jobs.schedules import plan_nightly
from tests.support.peers.studies import ct_study
from tests.support.servers.browser import PHONE, shoot
from tests.support.servers.receivers import mail_server
from tests.support.services.in_process import System
from tests.support.services.web import add_people
from tests.support.waiting import wait_until

TABLET = (820, 1180)
DAY = utc_now().astimezone().date() - timedelta(days=2)
ABORTS = Fault.model_validate({"operation": "find", "level": "SERIES", "kind": "abort", "always": True})


def run(system: System) -> None:
    """Let the recurring query run now; nobody may be running it."""

    def begun() -> bool:
        try:
            with system.database.write() as session:
                request_run(session, find_schedule(session, "nightly", lock=True), "ada", utc_now())
        except RunInProgressError:
            return False
        return True

    wait_until(begun)


def test_a_person_is_notified_that_a_query_fails_and_is_well(
    make_system, system, test_settings, scripted_pacs, page, monkeypatch
):
    # Given: a PACS that names a study and does not say what is in it.
    monkeypatch.setattr("services.query.scheduler.TICK_S", 0.2)
    monkeypatch.setattr("services.web.main.start_notifier", partial(start_notifier, pace=QUICK))
    with mail_server() as server:
        settings = test_settings.model_copy(
            update={
                "notification_mail_url": f"mailto://127.0.0.1:{server.port}/?from=doseqr@example.org"
                "&mode=insecure",
                "public_url": f"http://127.0.0.1:{test_settings.web_port}",
            }
        )
        here = make_system(system.broker, system.database, settings)
        add_people(here.database)
        pacs = scripted_pacs([ct_study(date=DAY)], faults=(ABORTS,))
        here.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
        here.add_own_store()
        here.start("query", "web")
        log_in(page, settings.public_url, "importer")
        # When: the form is wrong at first.
        page.get_by_text("Account of importer").click()
        page.get_by_role("link", name="Notifications").click()
        page.get_by_role("link", name="Add address").click()
        page.get_by_label("Name", exact=True).fill("my mail")
        page.get_by_label("Address", exact=True).fill("nobody")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("Must be an e-mail address")
        page.get_by_label("Address", exact=True).fill("eve@example.org")
        for size in (PHONE, TABLET):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            shoot(page, f"notification-form-{size[0]}")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), size
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name="Test now").click()
        # Then
        expect(page.get_by_role("status").first).to_contain_text("The server accepted it.")
        assert (server.subjects, server.recipients) == (["DoseQR: test"], ["eve@example.org"])
        # When
        plan_nightly(here.database, utc_now(), start=str(DAY))
        run(here)
        # Then
        wait_until(lambda: len(server.mails) == 2, 60)
        assert server.subjects[1] == "DoseQR: nightly: incomplete"
        # When
        pacs.behaviour = Behaviour()
        run(here)
        # Then
        wait_until(lambda: len(server.mails) == 3, 60)
        assert server.subjects[2] == "DoseQR: nightly: well again"
        body = server.mails[2].get_body(("plain", "html"))
        assert body is not None
        assert f"{settings.public_url}/schedules/1" in body.get_content()
        page.reload()
        table = page.get_by_role("table", name="Sent lately")
        expect(table.get_by_role("row", name="nightly: incomplete")).to_contain_text("sent")
        for size in (PHONE, TABLET, (1440, 900)):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            shoot(page, f"notifications-{size[0]}")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), size
        # When
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.get_by_role("button", name="Remove").click()
        # Then
        expect(page.get_by_text("No addresses yet.")).to_be_visible()
        here.stop()
