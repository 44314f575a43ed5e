"""Old entries of the audit trail go, in steps; the others stay, and one entry says what was removed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from services.web.security import audit_retention
from services.web.security.audit_retention import AuditRetention
from shared.database.models import AuditEntry
from shared.database.session import Database
from shared.reading.retention.preview import retention_preview
from shared.retention.policy import RetentionPolicy
from tests.support.servers.databases import prepare

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
POLICY = RetentionPolicy(audit_days=1095)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with 25 entries, of the last 2,400 days."""
    database = Database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    prepare(database)
    with database.write() as session:
        session.add_all(
            AuditEntry(at=NOW - timedelta(days=100 * number), action="log-in", user="ada")
            for number in range(25)
        )
    yield database
    database.close()


def entries(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.at)))


def test_old_entries_of_the_audit_trail_go_as_the_preview_shows(database, monkeypatch, tmp_path):
    # Given
    monkeypatch.setattr(audit_retention, "ENTRIES_AT_ONCE", 4)
    with database.read() as session:
        shown = retention_preview(session, POLICY, tmp_path, NOW)["audit"]
    # When
    AuditRetention(database, POLICY, lambda: NOW).tick()
    # Then
    assert (shown["entries"], shown["days"]) == (14, 1095)
    assert entries(database) == ["log-in"] * 11 + ["retention of audit"]
    with database.read() as session:
        after = retention_preview(session, POLICY, tmp_path, NOW)["audit"]
        removal = session.scalars(select(AuditEntry).where(AuditEntry.action == "retention of audit")).one()
    assert after["entries"] == 0
    assert after["run"] is not None
    assert after["run"]["removed_ever"] == {"entries": 14}
    assert (removal.user, removal.details) == ("retention", {"entries": 14})


def test_all_entries_stay_where_none_is_to_go(database):
    # When
    AuditRetention(database, RetentionPolicy(), lambda: NOW).tick()
    # Then
    assert entries(database) == ["log-in"] * 25


def test_a_stop_in_the_middle_ends_no_run(database, monkeypatch):
    # Given
    monkeypatch.setattr(audit_retention, "ENTRIES_AT_ONCE", 4)
    stopped = AuditRetention(database, POLICY, lambda: NOW)
    stopped.stop()
    # When
    stopped.tick()
    AuditRetention(database, POLICY, lambda: NOW + timedelta(minutes=3)).tick()
    # Then: the next one has gone on
    assert entries(database).count("log-in") == 11
