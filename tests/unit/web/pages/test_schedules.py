"""Recurring queries on the page: list, form, pause, run, history."""

from __future__ import annotations

import pytest

from shared.database.models import Schedule, ScheduleRun
from shared.schedules.ledger import job_id_of
from tests.support.jobs.rows import NOW, a_query, a_retrieve
from tests.support.jobs.schedules import plan_nightly
from tests.support.services.web import Site

FORM = {
    "name": "Nightly CT",
    "remote": "1",
    "store": "2",
    "types": "CT",
    "kind": "daily",
    "at": "06:30",
    "time_zone": "Europe/Berlin",
    "ignore_known": "y",
}


@pytest.fixture
def nightly(site: Site) -> Site:
    """A page with the recurring query `nightly` (1)."""
    plan_nightly(site.database, NOW, store="archive", start="2024-05-01")
    return site


def schedule(site: Site, schedule_id: int = 1) -> Schedule:
    with site.database.read() as session:
        return session.get_one(Schedule, schedule_id)


def test_a_schedule_is_added_in_the_name_of_its_owner(site):
    # When
    response = site.person("importer").post("/schedules/add", FORM | {"retrieve": "y", "start": "2024-05-01"})
    # Then
    assert response.headers["Location"] == "/schedules/1"
    added = schedule(site)
    assert (added.name, added.recurrence, added.owner) == ("Nightly CT", "daily 06:30", "importer")
    assert (added.retrieve, str(added.start), added.criteria["types"]) == (True, "2024-05-01", ["CT"])


@pytest.mark.parametrize(
    ("given", "recurrence"),
    [
        ({"kind": "every", "every": "45"}, "every 45 minutes"),
        ({"kind": "weekdays", "at": "07:00"}, "weekdays 07:00"),
        ({"kind": "cron", "cron": "*/20 6-18 * * mon-fri"}, "*/20 6-18 * * mon-fri"),
    ],
)
def test_each_form_of_when_is_kept_and_shown_again(site, given, recurrence):
    # Given
    importer = site.person("importer")
    # When
    importer.post("/schedules/add", FORM | given)
    page = importer.text("/schedules/1/edit")
    # Then
    assert schedule(site).recurrence == recurrence
    field = {"every": "every", "weekdays": "at", "cron": "cron"}[given["kind"]]
    assert f'value="{given[field]}"' in page


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"name": ""}, "name", "Must have 1 to 64 characters."),
        ({"remote": ""}, "remote", "Choose one."),
        ({"types": ""}, "types", "Tick at least one modality."),
        ({"at": ""}, "at", "Must be"),
        ({"at": "25:00"}, "at", "There is no such time of day."),
        ({"kind": "every", "every": "0"}, "every", "Every 1 to 1440 minutes."),
        ({"kind": "every", "every": "many"}, "every", "Must be such as"),
        ({"kind": "cron", "cron": "0 6 31 2 *"}, "cron", "Is never due"),
        ({"kind": ""}, "kind", "Must be such as"),
        ({"time_zone": "Mars/Base"}, "time_zone", "Must be a time zone"),
        ({"start": "2024-02-30"}, "start", "There is no such date."),
        ({"exclude_descriptions": "x" * 300}, "exclude_descriptions", "characters"),
    ],
)
def test_what_is_wrong_stands_at_its_field(site, changes, field, problem):
    # When
    response = site.person("importer").post("/schedules/add", FORM | changes)
    # Then
    assert response.status_code == 422
    assert f'href="#{field}' in response.text
    assert problem in response.text


def test_all_problems_are_shown_together(site):
    # When
    wrong = {"name": "", "types": "", "at": "", "time_zone": "x y", "start": "soon"}
    response = site.person("importer").post("/schedules/add", FORM | wrong)
    # Then
    for field in wrong:
        assert f'href="#{field}"' in response.text


def test_a_name_that_is_taken_stands_at_its_field(nightly):
    # When
    response = nightly.person("importer").post("/schedules/add", FORM | {"name": "nightly"})
    # Then
    assert "There is already a recurring query of this name." in response.text


def test_an_edit_keeps_what_the_form_shows(nightly):
    # Given
    before = schedule(nightly)
    importer = nightly.person("importer")
    # When
    importer.post("/schedules/1/edit", FORM | {"name": "nightly", "start": "2024-05-01", "at": "05:00"})
    # Then
    after = schedule(nightly)
    assert (after.recurrence, after.watermark, after.revision) == ("daily 05:00", before.watermark, 0)


def test_a_schedule_is_paused_resumed_run_and_removed(nightly):
    # Given
    importer = nightly.person("importer")
    # When
    importer.post("/schedules/1/pause")
    paused = importer.text("/schedules")
    importer.post("/schedules/1/resume")
    importer.post("/schedules/1/run")
    shown = importer.text("/schedules/1")
    importer.post("/schedules/1/remove")
    # Then
    assert ">paused<" in paused
    assert "now, requested" in shown
    assert schedule(nightly).removed_at is not None
    assert importer.get("/schedules/1").status_code == 404


def test_the_page_shows_what_the_runs_brought(nightly):
    # Given
    job_id = job_id_of(1, NOW)
    days = [{"date_from": "2024-05-01", "date_until": "2024-05-02"}]
    moment = NOW.isoformat()
    plan = {"at": moment, "until": moment, "spans": [[moment, moment]], "late": [], "days": days}
    run = {"job_id": job_id, "retrieve_id": f"{job_id}-r", "plan": plan, "status": "completed"}
    nightly.add(
        a_query(job_id, studies_found=17, studies_kept=11),
        a_retrieve(f"{job_id}-r", job_id, asked=13, arrived=12),
        ScheduleRun(schedule_id=1, due_at=NOW, began_at=NOW, ended_at=NOW, **run),
    )
    # When
    page = nightly.person("importer").text("/schedules/1/state")
    # Then
    assert "12 of 13" in page
    assert ">17<" in page
    assert "2024-05-01 to 2024-05-02" in page
    assert f"/jobs/{job_id}" in page


def test_a_viewer_sees_no_menu_and_gets_403(nightly):
    # Given
    viewer = nightly.person("viewer")
    # When
    statuses = {
        viewer.get(address).status_code for address in ("/schedules", "/schedules/add", "/schedules/1")
    }
    # Then
    assert statuses == {403}
    assert "/schedules" not in viewer.text("/jobs")
    assert viewer.post("/schedules/1/run").status_code == 403
    assert schedule(nightly).run_requested_at is None
