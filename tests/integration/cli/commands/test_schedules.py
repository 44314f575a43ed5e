"""`doseqr schedules` adds, shows, changes and runs recurring queries."""

from __future__ import annotations

import pytest

from shared.clock import utc_now
from shared.database.models import ScheduleRun
from shared.database.session import Database
from shared.schedules.ledger import job_id_of
from tests.support.jobs.rows import a_query
from tests.support.services.cli import Doseqr

ADD = ("schedules", "add", "nightly", "--remote", "pacs", "--store", "doseqr", "--ct", "--dx")


@pytest.fixture
def nightly(doseqr: Doseqr) -> Doseqr:
    """A `doseqr` with the recurring query `nightly`."""
    added = doseqr.with_nodes()(*ADD, "--retrieve", "--daily", "06:30", "--time-zone", "Europe/Berlin")
    assert added.code == 0, added.err
    return doseqr


def test_a_schedule_is_added_listed_and_shown(nightly):
    # When
    [listed] = nightly("schedules", "list", "--json").json
    shown = nightly("schedules", "show", "nightly", "--json").json
    words = nightly("schedules", "show", "1").out
    # Then
    assert listed | {"watermark_lag_s": 0} == {name: shown[name] for name in listed} | {"watermark_lag_s": 0}
    assert (listed["when"], listed["retrieve"], listed["criteria"]["types"]) == (
        "daily 06:30",
        True,
        ["CT", "DX"],
    )
    assert "query and retrieve: pacs to doseqr, DX,CT" in words
    assert "complete from" in words


@pytest.mark.parametrize(
    ("options", "when"),
    [
        (("--every", "45"), "every 45 minutes"),
        (("--weekdays", "0700"), "weekdays 07:00"),
        (("--cron", "*/20 6-18 * * mon-fri"), "*/20 6-18 * * mon-fri"),
    ],
)
def test_each_form_of_when_is_kept(doseqr, options, when):
    assert doseqr.with_nodes()(*ADD, *options, "--json").json["when"] == when


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (ADD, "when"),
        ((*ADD, "--daily", "06:30", "--every", "5"), "when"),
        ((*ADD, "--cron", "0 6 31 2 *"), "when"),
        ((*ADD, "--every", "0"), "when"),
        ((*ADD[:5], "--store", "doseqr", "--ct", "--daily", "06:30"), "store"),
        ((*ADD[:7], "--daily", "06:30"), "criteria.types"),
        ((*ADD, "--daily", "06:30", "--time-zone", "Mars/Base"), "time_zone"),
        ((*ADD, "--daily", "06:30", "--start", "tomorrow"), "start"),
        (("schedules", "show", "other"), "schedule"),
    ],
)
def test_wrong_usage_names_the_field(doseqr, arguments, field):
    # When
    arguments = tuple("pacs" if part == "--store" and field == "store" else part for part in arguments)
    result = doseqr.with_nodes()(*arguments, "--json")
    # Then
    assert result.code == 2
    if field != "store":
        assert result.json["error"]["field"] == field


def test_only_given_options_change_a_schedule(nightly):
    # Given
    before = nightly("schedules", "show", "1", "--json").json
    # When
    edited = nightly("schedules", "edit", "nightly", "--mg", "--only-query", "--exclude", "phantom", "--json")
    # Then
    after = edited.json
    assert {name for name in before if before[name] != after[name]} <= {
        *("criteria", "retrieve", "watermark_lag_s", "next_due_at")
    }
    assert after["criteria"] == before["criteria"] | {
        "types": ["MG"],
        "exclude_descriptions": ["phantom"],
    }


def test_a_schedule_is_paused_resumed_and_removed(nightly):
    # When
    paused = nightly("schedules", "pause", "nightly", "--json").json
    resumed = nightly("schedules", "resume", "nightly", "--json").json
    removed = nightly("schedules", "remove", "nightly")
    # Then
    assert (paused["paused"], resumed["paused"], removed.code) == (True, False, 0)
    assert nightly("schedules", "list", "--json").json == []


def test_a_run_without_workers_is_refused(nightly, services):
    # Given
    services.close()
    # When
    result = nightly("schedules", "run", "nightly")
    # Then
    assert result.code == 4


def test_a_run_is_requested_and_not_waited_for(nightly, services):
    # When
    result = nightly("schedules", "run", "nightly", "--no-wait", "--json")
    # Then
    assert result.code == 0, result.err
    assert result.json["id"].startswith("schedule-1-")


def test_the_runs_show_what_they_brought(nightly):
    # Given
    database, due_at = Database(nightly.settings.database), utc_now().replace(microsecond=0)
    job_id = job_id_of(1, due_at)
    with database.write() as session:
        session.add(a_query(job_id, schedule_id=1, schedule_name="nightly", studies_found=5, studies_kept=3))
        run = {"began_at": due_at, "ended_at": due_at, "status": "completed", "job_id": job_id}
        session.add(ScheduleRun(schedule_id=1, due_at=due_at, **run))
    database.close()
    # When
    [run_json] = nightly("schedules", "show", "nightly", "--json").json["runs"]
    words = nightly("schedules", "show", "nightly").out.splitlines()[-1].split("\t")
    # Then
    assert (run_json["counts"]["found"], run_json["counts"]["kept"], run_json["job"]) == (5, 3, job_id)
    assert words[1:2] + words[3:5] == ["completed", "5", "3"]
