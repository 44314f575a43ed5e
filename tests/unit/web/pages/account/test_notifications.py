"""Each user keeps addresses of their own; administrators keep those of the installation besides."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from shared.clock import utc_now
from shared.database.models import (
    AuditEntry,
    NotificationAddress,
    NotificationDelivery,
    NotificationEvent,
)
from tests.support.services.web import Person, Site

SECRET = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"
NEW: dict[str, Any] = {
    "name": "my chat",
    "address": SECRET,
    "kinds": ["job"],
    "outcomes": ["failed"],
    "when": "daily",
    "digest_at": "07:30",
    "time_zone": "Europe/Berlin",
}


def rows(site: Site) -> list[NotificationAddress]:
    with site.database.read() as session:
        return list(session.scalars(select(NotificationAddress).order_by(NotificationAddress.id)))


def added(site: Site, user: str = "viewer", where: str = "/notifications/add", **values: Any) -> Person:
    person = site.person(user)
    assert person.post(where, {**NEW, **values}).status_code == 302
    return person


def test_a_viewer_adds_an_address_and_sees_no_secret(site):
    # When
    person = added(site)
    page = person.text("/notifications")
    # Then
    assert "my chat" in page
    assert "slack://…" in page
    assert "Daily at 07:30" in page
    for text in (page, person.text("/notifications/1/edit"), rows(site)[0].sealed):
        assert "TIiajkdnlazkcOXrIdevi7FQ" not in text


def test_an_address_keeps_the_chosen_language_of_its_messages(site):
    # When
    person = added(site, language="de")
    # Then
    assert rows(site)[0].language == "de"
    assert '<option selected value="de">' in person.text("/notifications/1/edit")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"name": ""}, "Must have 1 to 64 characters."),
        ({"address": ""}, "Must have at least 1 characters."),
        ({"address": "dbus://x"}, "dbus:// is not allowed here"),
        ({"address": "eve@example.org"}, "no mail server is set"),
        ({"kinds": []}, "Tick at least one."),
        ({"kinds": ["store"]}, "store is not for the role viewer"),
        ({"outcomes": []}, "Choose at least one end of a job."),
        ({"digest_at": "7"}, "Must be a time of day to the minute"),
        ({"time_zone": "Mars"}, "time zone"),
    ],
)
def test_a_wrong_value_is_shown_at_its_field(site, values, problem):
    # When
    response = site.person("viewer").post("/notifications/add", {**NEW, **values})
    # Then
    assert response.status_code == 422
    assert problem.casefold() in response.text.casefold()
    assert rows(site) == []


def test_all_problems_are_shown_at_once(site):
    # When
    response = site.person("viewer").post("/notifications/add", {"when": "daily", "time_zone": "Mars"})
    # Then
    assert response.text.count('class="alert-link"') == 4


def test_an_edit_without_an_address_keeps_it(site):
    # Given
    person = added(site)
    sealed = rows(site)[0].sealed
    # When
    person.post("/notifications/1/edit", {**NEW, "address": "", "when": "once", "outcomes": ["completed"]})
    # Then
    row = rows(site)[0]
    assert (row.sealed, row.digest_at, row.outcomes) == (sealed, "", ["completed"])


def test_an_address_is_paused_resumed_and_removed(site):
    # Given
    person = added(site)
    # When
    person.post("/notifications/1/pause")
    paused = rows(site)[0].paused_at
    person.post("/notifications/1/resume")
    resumed = rows(site)[0].paused_at
    person.post("/notifications/1/remove")
    # Then
    assert paused is not None
    assert resumed is None
    assert rows(site) == []
    with site.database.read() as session:
        actions = list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert actions[-4:] == [
        f"notification address {what}" for what in ("added", "paused", "resumed", "removed")
    ]


@pytest.mark.parametrize("action", ["edit", "test", "pause", "resume", "remove"])
def test_nobody_reaches_the_address_of_somebody_else(site, action):
    # Given
    added(site)
    added(site, "admin", "/notifications/system/add", kinds=["store"])
    # When
    others = [site.person("importer").post(f"/notifications/{number}/{action}") for number in (1, 2)]
    admin = site.person("admin").post(f"/notifications/1/{action}")
    # Then
    assert {response.status_code for response in (*others, admin)} == {404}


def test_addresses_of_the_installation_are_for_administrators(site):
    # Given
    admin = added(site, "admin", "/notifications/system/add", name="team", kinds=["store", "dead_letters"])
    # When
    page = admin.text("/notifications/system")
    # Then
    assert rows(site)[0].owner_id is None
    assert "team" in page
    assert "team" not in admin.text("/notifications")
    assert site.person("importer").get("/notifications/system").status_code == 403


def test_a_test_shows_what_really_happened(site):
    # Given
    person = added(site, address="json://127.0.0.1:9/hook")
    # When
    page = person.post("/notifications/1/test", follow_redirects=True).text
    again = person.post("/notifications/1/test", follow_redirects=True).text
    # Then
    assert "The test was not sent to my chat: The network address 127.0.0.1 is not allowed" in page
    assert "Not tested: the address was tested within the last 5 s" in again


def test_what_was_given_up_is_shown_to_its_owner_and_to_administrators(site):
    # Given
    person = added(site)
    event = NotificationEvent(
        key="job:1:0",
        kind="job",
        phase="ended",
        at=utc_now(),
        details={"job": "query", "node": "pacs", "status": "failed"},
    )
    site.add(event)
    site.add(
        NotificationDelivery(
            event_id=1,
            address_id=1,
            state="failed",
            attempts=6,
            due_at=utc_now(),
            detail="The server did not respond within 30 s.",
        )
    )
    # When
    pages = [person.text("/notifications"), site.person("admin").text("/notifications/system")]
    # Then
    for page in pages:
        assert "query of pacs: failed" in page
        assert "The server did not respond within 30 s." in page
    assert "Given up, of all users" in pages[1]
