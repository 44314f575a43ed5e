"""`doseqr retention apply` lets each kind begin whose time is limited, and no other."""

from __future__ import annotations

import pytest

from services.cli.client.session import opened_database
from shared.retention.runs import runs
from tests.support.services.cli import Doseqr


def requested(doseqr: Doseqr) -> set[str]:
    with opened_database(doseqr.settings) as database, database.read() as session:
        return {name for name, row in runs(session).items() if row.requested_at is not None}


@pytest.mark.parametrize(
    ("days", "code", "begun"),
    [
        # Of the audit trail alone, by default.
        ({}, 0, {"audit"}),
        ({"JOB": "30"}, 0, {"jobs", "audit"}),
        ({"FILE": "30", "AUDIT": "0"}, 0, {"files"}),
        ({"AUDIT": "0"}, 2, set()),
    ],
)
def test_each_kind_with_a_limit_begins(
    doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch, days: dict[str, str], code: int, begun: set[str]
) -> None:
    # Given
    for kind, number in days.items():
        monkeypatch.setenv(f"DOSEQR_{kind}_RETENTION_DAYS", number)
    # When
    result = doseqr("retention", "apply")
    # Then
    assert result.code == code
    assert requested(doseqr) == begun
    assert ("DOSEQR_AUDIT_RETENTION_DAYS" in result.err) == (code == 2)
