"""The audit trail on the page: filtered, paged, and as CSV."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from html import unescape

import pytest

from shared.database.models import AuditEntry
from tests.support.jobs.rows import NOW


@pytest.fixture
def admin(site):
    """An administrator of a site where much was done."""
    with site.database.write() as session:
        session.add_all(
            AuditEntry(
                at=NOW + timedelta(hours=number),
                action="query" if number % 2 else "node edited",
                user="anna" if number % 3 else "ben",
                token="nightly" if number % 5 == 0 else "",
                remote_address="10.0.0.7",
                details={"number": number, "about": "=1+1"},
            )
            for number in range(230)
        )
    return site.person("admin")


def numbers_in(page: str) -> list[int]:
    return [int(found) for found in re.findall(r"number: (\d+)", page)]


def test_entries_are_paged_the_newest_first(admin):
    # When
    address, numbers = "/audit?user=anna", []
    while address:
        page = admin.text(address)
        numbers += numbers_in(page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = unescape(following[1]) if following else ""
    # Then
    assert numbers == [number for number in reversed(range(230)) if number % 3]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("action=query&token=nightly", lambda number: number % 10 == 5),
        ("from=2024-05-02&until=2024-05-02", lambda number: 12 <= number < 36),
        ("token=other", lambda number: False),
        ("from=nonsense&user=ben", lambda number: number % 3 == 0),
    ],
)
def test_the_export_holds_what_the_filter_finds(site, admin, monkeypatch, choice, wanted):
    # Given
    monkeypatch.setattr("services.web.pages.admin.audit_trail.EXPORTED_AT_ONCE", 50)
    monkeypatch.setattr(type(site.settings), "time_zone", "UTC", raising=False)
    # When
    lines = list(csv.reader(admin.text(f"/audit/audit.csv?{choice}").splitlines()))
    # Then
    assert lines[0] == ["at", "action", "user", "token", "remote_address", "details"]
    written = [int(re.findall(r'"number": (\d+)', line[5])[0]) for line in lines[1:] if "number" in line[5]]
    assert written == [number for number in reversed(range(230)) if wanted(number)]


def test_the_form_offers_the_actions_there_are(admin):
    # When
    page = admin.text("/audit?action=node+edited")
    # Then
    assert re.findall(r"<option[^>]*>([^<]+)", page)[:4] == ["Anything", "log-in", "node edited", "query"]
    assert "<option selected>node edited" in page
