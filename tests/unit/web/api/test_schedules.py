"""Recurring queries by the API: the same rules as on the page and the command line."""

from __future__ import annotations

import pytest

from services.web.live.service_status import ServiceStatus, ServiceWorkers
from shared.clock import utc_now
from shared.database.models import Schedule
from tests.support.services.web_api import problem

NEW = {
    "name": "nightly",
    "remote": "pacs",
    "store": "archive",
    "criteria": {"types": ["CT", "DX"], "exclude_descriptions": "phantom"},
    "retrieve": True,
    "when": "daily 06:30",
    "time_zone": "Europe/Berlin",
    "start": "2024-05-01",
}


@pytest.fixture
def nightly(api):
    # Two requests compare: how old the watermark is, and what is due next, change with the time.
    api.site.stands_at = utc_now()
    response = api.send("POST", "/schedules", NEW)
    assert response.status_code == 201, response.text
    return response.json


def test_a_schedule_is_added_and_returned(api, nightly):
    # When
    found = api.get("/schedules/nightly")
    [listed] = api.get("/schedules")
    # Then
    assert api.get("/schedules/1") == found
    assert {name: found[name] for name in ("name", "remote", "store", "when", "retrieve", "start")} == {
        name: NEW[name] for name in ("name", "remote", "store", "when", "retrieve", "start")
    }
    assert found["criteria"]["types"] == ["CT", "DX"]
    assert not set(found["criteria"]) & {"date_from", "study_instance_uids"}
    assert (found["owner"], found["paused"], found["runs"], found["holes"]) == ("admin", False, [], [])
    assert found["watermark"] == "2024-04-30T22:00:00Z"
    assert found["next_due_at"].endswith((":30:00Z",))
    assert listed["name"] == "nightly"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "7"}, "name"),
        ({"name": "nightly"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"remote": "nowhere"}, "remote"),
        ({"remote": "archive"}, "remote"),
        ({"store": "pacs"}, "store"),
        ({"criteria": {}}, "criteria.types"),
        ({"criteria": {"types": ["XX"]}}, "criteria.types.0"),
        ({"criteria": {"types": ["CT"], "date_from": "2024-05-01"}}, "criteria.date_from"),
        ({"criteria": {"types": ["CT"], "accession_numbers": ["A1"]}}, "criteria.accession_numbers"),
        ({"when": "hourly"}, "when"),
        ({"when": "61 * * * *"}, "when"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"start": "2024-02-30"}, "start"),
        ({"start": "2190-01-01"}, "start"),
        ({"retrieve": "yes"}, "retrieve"),
        ({"every": 5}, "every"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(api, nightly, values, field):
    # When
    other = {**NEW, "name": "other"}
    added = api.send("POST", "/schedules", other | values)
    api.send("POST", "/schedules", other)
    changed = api.send("PATCH", "/schedules/other", values)
    # Then
    problem(added, 422, field)
    problem(changed, 422, field)


def test_only_given_fields_change(api, nightly):
    # When
    changed = api.send("PATCH", "/schedules/nightly", {"when": "0 */2 * * mon-fri", "retrieve": False})
    # Then
    assert changed.status_code == 200
    differing = {name for name in nightly if changed.json[name] != nightly[name]}
    assert differing == {"when", "retrieve", "next_due_at"}


def test_a_schedule_is_paused_and_resumed(api, nightly):
    # When
    paused = api.send("PATCH", "/schedules/nightly", {"paused": True}).json
    resumed = api.send("PATCH", "/schedules/nightly", {"paused": False}).json
    # Then
    assert (paused["paused"], paused["next_due_at"]) == (True, None)
    assert (resumed["paused"], resumed["next_due_at"]) == (False, nightly["next_due_at"])


def test_another_start_moves_the_watermark(api, nightly):
    # When
    changed = api.send("PATCH", "/schedules/nightly", {"start": "2024-06-01"}).json
    # Then
    assert (changed["start"], changed["watermark"]) == ("2024-06-01", "2024-05-31T22:00:00Z")


def test_a_run_is_requested_once_with_the_id_of_its_job(api, nightly):
    # When
    first = api.send("POST", "/schedules/nightly/run", headers={"Idempotency-Key": "a"})
    again = api.send("POST", "/schedules/nightly/run", headers={"Idempotency-Key": "a"})
    # Then
    assert first.status_code == again.status_code == 202
    assert first.json == again.json
    assert first.json["id"].startswith("schedule-1-")
    assert first.headers["Location"] == f"/api/v1/jobs/{first.json['id']}"
    assert api.get("/schedules/1")["run_requested_at"] is not None


def test_without_a_worker_no_run_is_requested(api, nightly, monkeypatch):
    # Given
    workers = ServiceWorkers(broker_away=False, unattended=frozenset({"query"}))
    monkeypatch.setattr(ServiceStatus, "current", lambda _: workers)
    # When
    response = api.send("POST", "/schedules/nightly/run")
    # Then
    assert "doseqr serve query" in problem(response, 503)["advice"]
    assert api.get("/schedules/1")["run_requested_at"] is None


def test_a_removed_schedule_is_gone_and_its_name_free(api, nightly):
    # When
    removed = api.send("DELETE", "/schedules/nightly")
    # Then
    assert (removed.status_code, removed.data) == (204, b"")
    problem(api.send("GET", "/schedules/nightly"), 404)
    problem(api.send("POST", "/schedules/1/run"), 404)
    assert api.send("POST", "/schedules", NEW).status_code == 201


def test_every_change_is_in_the_audit_trail(api, nightly):
    # When
    api.send("PATCH", "/schedules/1", {"paused": True})
    api.send("POST", "/schedules/1/run")
    api.send("DELETE", "/schedules/1")
    # Then
    actions = [(entry["action"], entry["token"]) for entry in api.get("/audit")["items"]]
    assert actions == [
        ("schedule removed", "admin token"),
        ("schedule run requested", "admin token"),
        ("schedule edited", "admin token"),
        ("schedule added", "admin token"),
    ]
    with api.site.database.read() as session:
        assert session.get_one(Schedule, 1).removed_at is not None
