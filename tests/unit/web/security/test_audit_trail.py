"""What people change is logged and written down; what strangers try is only logged."""

from __future__ import annotations

from sqlalchemy import select

from services.web.security.audit_trail import MAX_VALUE_LENGTH, record_audit
from shared.database.models import AuditEntry
from tests.support.services.web import Site


def entries(site: Site) -> list[AuditEntry]:
    with site.database.read() as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def test_a_change_is_written_with_its_user(site):
    # Given
    admin = site.person("admin")
    # When
    admin.post("/nodes/1/remove", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    # Then
    entry = entries(site)[-1]
    assert (entry.action, entry.user, entry.token) == ("node removed", "admin", "")
    assert entry.remote_address == "192.0.2.7"
    assert entry.details == {"node_id": 1}


def test_what_a_stranger_tries_fills_no_table(site):
    # When
    site.person().log_in("admin", "wrong")
    # Then
    assert entries(site) == []


def test_values_of_an_entry_are_bounded(site):
    # When
    with site.app.test_request_context("/"):
        details = {"text": "x" * 1000, "many": list(range(100)), "count": 3, "none": None, "flag": True}
        record_audit("tried", "admin", details, token="cron")
    # Then
    entry = entries(site)[-1]
    assert len(entry.details["text"]) == MAX_VALUE_LENGTH
    assert entry.details["many"] == [str(number) for number in range(20)]
    assert (entry.details["count"], entry.details["none"], entry.details["flag"]) == (3, None, True)
    assert entry.token == "cron"
