"""The number of SQL statements of a page does not grow with the rows that it shows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.query.ledger.tally.ended_queries import add_up, due_queries
from shared.clock import utc_now
from shared.database.models import AuditEntry, Comparison, ReportSummary, StoredObject
from shared.users.accounts import create_user
from tests.support.jobs.rows import (
    a_find,
    a_query,
    a_retrieve,
    a_series,
    a_study,
    a_task,
    an_expected,
    an_object,
)
from tests.support.jobs.schedules import SITE, plan_nightly
from tests.support.services.web import PASSWORD, Site, a_node, statements
from tests.support.services.web_api import ApiClient

FEW, MANY = 3, 12
PAGES = (
    "/jobs",
    "/jobs/q0",
    "/jobs/q0/ledger",
    "/jobs/q0/charts",
    "/jobs/q0/studies",
    "/jobs/q0/fragment",
    "/jobs/r0",
    "/jobs/r0/ledger",
    "/jobs/r0/doses",
    "/imports/query",
    "/nodes",
    "/users",
    "/tokens",
    "/audit",
    "/system",
    "/schedules",
    "/calendar?node=pacs",
    "/coverage?node=pacs",
    "/coverage/studies?node=pacs",
    "/comparisons",
    "/comparisons/c0",
)
API = (
    "/jobs",
    "/jobs/q0",
    "/jobs/q0/studies",
    "/jobs/q0/objects",
    "/jobs/r0/objects",
    "/nodes",
    "/schedules",
    "/calendar?node=pacs",
    "/coverage?node=pacs",
    "/coverage/studies?node=pacs",
    "/comparisons",
    "/comparisons/c0",
    "/audit",
    "/system",
)


def add_rows(site: Site, begin: int, end: int) -> None:
    """Add rows of each kind that pages list."""
    now = utc_now()
    for number in range(begin, end):
        at = now - timedelta(hours=number)
        day = (now - timedelta(days=2 + number)).date()
        criteria = {"types": ["CT"], "date_from": day.isoformat(), "date_until": day.isoformat()}
        dates = {"requested_at": at, "days_from": day, "days_until": day, "studies_found": 1}
        site.add(a_query(f"q{number}", criteria=criteria, **dates))
        site.add(a_retrieve(f"r{number}", f"q{number}", requested_at=at))
        site.add(a_study("1.9", f"q{number}", study_date=f"{day:%Y%m%d}"))
        if begin == 0 and number == 0:
            site.add(a_task("q0", state="done", payload={"date_from": day.isoformat()}))
        uid = f"1.2.{number}"
        site.add(
            a_study(uid, "q0", study_date=f"{day:%Y%m%d}", station_name=f"CT{number}"),
            a_series(uid, f"{uid}.1", "q0"),
            an_object(uid, f"{uid}.1", f"{uid}.1.1", "q0"),
            a_find(1, "q0"),
            an_expected(uid, f"{uid}.1", f"{uid}.1.1", "r0"),
            StoredObject(
                sop_instance_uid=f"{uid}.1.1",
                series_instance_uid=f"{uid}.1",
                study_instance_uid=uid,
                sop_class_uid="1.2.840.10008.5.1.4.1.1.88.67",
                source="store",
                received_at=now,
                last_received_at=now,
            ),
            ReportSummary(
                sop_instance_uid=f"{uid}.1.1",
                summary={"kind": "ct", "events": 1, "figures": [], "software_versions": "1"},
                read_at=now,
            ),
            AuditEntry(at=at, action="query", user="admin", details={"job_id": f"q{number}"}),
            Comparison(
                id=f"c{number}",
                left_query=f"q{number}",
                left_name="pacs",
                right_name="store",
                requested_by="admin",
                requested_at=at,
            ),
        )
        a_node(site.database, "remote", f"pacs-{number}")
        plan_nightly(site.database, now, SITE, name=f"nightly {number}", store="archive")
        with site.database.write() as session:
            create_user(session, f"person{number}", "viewer", PASSWORD, now)


def add_up_all(site: Site) -> None:
    with site.database.write() as session:
        while (due := due_queries(session)) is not None:
            add_up(session, due)


def test_no_page_sends_a_statement_for_each_row(site: Site, api: ApiClient) -> None:
    # Given
    person = site.person("admin")
    sent: list[dict[str, int]] = []
    for begin, end in ((0, FEW), (FEW, MANY)):
        add_rows(site, begin, end)
        add_up_all(site)
        found: dict[str, int] = {}
        # When
        for address in PAGES:
            with statements(site.database) as of_page:
                person.text(address)
            found[address] = len(of_page)
        for path in API:
            with statements(site.database) as of_path:
                api.get(path)
            found[f"API {path}"] = len(of_path)
        sent.append(found)
    # Then
    grown = {
        address: (sent[0][address], number)
        for address, number in sent[1].items()
        if number > sent[0][address]
    }
    assert grown == {}


@pytest.mark.parametrize("address", ["/calendar?node=pacs", "/coverage?node=pacs"])
def test_queries_that_are_not_added_up_cost_no_statement_each(site: Site, address: str) -> None:
    # Given
    person = site.person("admin")
    add_rows(site, 0, FEW)
    with statements(site.database) as few:
        person.text(address)
    # When
    add_rows(site, FEW, MANY)
    with statements(site.database) as many:
        person.text(address)
    # Then
    assert len(many) == len(few)
