"""An installation with something on each page: jobs in all states, long names, evidence, empty parts."""

from __future__ import annotations

from datetime import timedelta

from shared.clock import utc_now
from shared.database.models import (
    Comparison,
    HandoverBatch,
    LongList,
    LongListPart,
    NodeCheck,
    NotificationAddress,
    ReportSummary,
    StoredObject,
)
from shared.dose.summary import FigureJson
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
from tests.support.jobs.schedules import plan_nightly
from tests.support.services.in_process import System
from tests.support.services.web import add_people

#: The longest name that a node may have, without a place to break.
LONG = "Radiologische_Gemeinschaftspraxis_am_Klinikum_Nord_und_Umgebung_"
ROOT = "1.2.826.0.1.3680043.10.1452.2"
RDSR = "1.2.840.10008.5.1.4.1.1.88.67"

#: Every page by the endpoint that makes it; `q1` and `r1` are jobs, `1` a node, address or recurring query.
PAGES = {
    "start.show": ("/start",),
    "setup.show": ("/nodes/1/setup",),
    "setup.sheet": ("/nodes/1/setup/sheet",),
    "response_times.show": ("/nodes/1/response-times",),
    "query.form": ("/imports/query", "/imports/query?job=q1", "/imports/query?job=q2"),
    "study_lists.listing": ("/imports/lists",),
    "study_lists.show": ("/imports/lists/l1",),
    "jobs.listing": ("/jobs", "/jobs?q=nothing"),
    "jobs.detail": ("/jobs/q1", "/jobs/q2", "/jobs/q3", "/jobs/r1", "/jobs/r2"),
    "jobs.study": (f"/jobs/q1/studies/{ROOT}.1",),
    "ledger.show": (
        "/jobs/q1/ledger",
        "/jobs/q1/ledger?part=finds",
        "/jobs/q1/ledger?part=objects",
        "/jobs/r1/ledger?part=objects",
        "/jobs/r1/ledger",
    ),
    "trace.show": ("/jobs/q1/trace", "/jobs/r1/trace"),
    "charts.show": ("/jobs/q1/charts", "/jobs/q3/charts"),
    "doses.show": ("/jobs/r1/doses?sort=dlp",),
    "schedules.listing": ("/schedules",),
    "schedules.show": ("/schedules/1",),
    "schedules.add": ("/schedules/add",),
    "schedules.edit": ("/schedules/1/edit",),
    "schedules.confirm_removal": ("/schedules/1/remove",),
    "calendar.show": ("/calendar",),
    "coverage.show": ("/coverage",),
    "coverage.studies": ("/coverage/studies",),
    "comparisons.listing": ("/comparisons",),
    "comparisons.detail": ("/comparisons/c1",),
    "reconciliations.form": ("/reconciliations",),
    "nodes.listing": ("/nodes",),
    "nodes.add": ("/nodes/add/remote", "/nodes/add/store"),
    "nodes.edit": ("/nodes/1/edit",),
    "nodes.confirm_removal": ("/nodes/1/remove",),
    "profiles.show": ("/nodes/1/profile",),
    "users.listing": ("/users",),
    "tokens.listing": ("/tokens",),
    "audit.listing": ("/audit",),
    "retention.show": ("/system/retention",),
    "system.show": ("/system",),
    "notifications.listing": ("/notifications",),
    "notifications.system_listing": ("/notifications/system",),
    "notifications.add": ("/notifications/add",),
    "notifications.system_add": ("/notifications/system/add",),
    "notifications.edit": ("/notifications/1/edit",),
    "auth.password": ("/password",),
    "second_factor.show": ("/account/second-factor",),
}
#: Pages that are examined by themselves, parts of pages, and what is no page.
ELSEWHERE = frozenset(
    {
        "auth.home",
        "auth.login",
        "provider_log_in.begin",
        "provider_log_in.callback",
        "second_step.form",
        "system.explain",
        "audit.export",
        "comparisons.differences",
        "exports.document",
        "exports.record",
        "exports.table",
        "jobs.reports",
        "comparisons.result",
        "jobs.about",
        "jobs.fragment",
        "jobs.results",
        "jobs.rows",
        "jobs.studies_fragment",
        "live.banner",
        "live.stream",
        "nodes.status",
        "profiles.status",
        "query.latest",
        "schedules.state",
        "start.state",
        "study_lists.state",
        "system.part",
        "health.live",
        "health.ready",
        "bootstrap.static",
        "static",
    }
)


def furnish(system: System) -> None:
    """Write what the pages show; no service needs to run."""
    add_people(system.database)
    system.add_remote(LONG, "pacs.radiology.example.org", 11112, "LONGAETITLE16CHR")
    system.add_own_store()
    system.add_remote("Nuklearmedizin", "::1", 104, "DEAD")
    _jobs(system)
    _studies(system)
    _retrieved(system)
    _others(system)


def _jobs(system: System) -> None:
    now = utc_now()
    dates = {"date_from": "2024-04-01", "date_until": "2024-04-30"}
    criteria = {"types": ["CT", "MG", "NM"], **dates, "exclude_descriptions": ["phantom", "qa"]}
    incomplete = {"status": "incomplete", "slices_failed": 1, "slices_total": 45, "slices_complete": 44}
    counts = {"studies_found": 12, "studies_examined": 11, "studies_kept": 6, "studies_missing": 1}
    times = {"requested_at": now - timedelta(hours=3), "started_at": now - timedelta(hours=2, minutes=59)}
    running = {
        "status": "running",
        "started_at": now - timedelta(minutes=2),
        "note": "waits for one of 4 associations",
    }
    with system.database.write() as session:
        ok = {"ok": True, "outcome": "answers", "rtt_ms": 3.0, "checked_at": now}
        session.add(NodeCheck(node_id=1, **ok))
        session.add(NodeCheck(node_id=2, **ok))
        session.add(NodeCheck(node_id=3, ok=False, outcome="connection refused", checked_at=now))
        names = {"remote_name": LONG, "requested_by": "admin", "criteria": criteria}
        ended = {"ended_at": now - timedelta(hours=2, minutes=40), "objects_kept": 9, "finds": 88}
        session.add(a_query("q1", **names, **incomplete, **counts, **times, **ended))
        progress = {"slices_total": 30, "slices_complete": 12, "studies_found": 480, "studies_examined": 133}
        session.add(a_query("q2", **names, **running, **progress, studies_kept=20, requested_at=now))
        session.add(a_query("q3", **names, status="failed", failure="remote_unreachable", requested_at=now))
        session.add(a_query("q4", **names, status="cancelled", requested_at=now - timedelta(days=1)))
        session.flush()
        for number in range(3):
            payload = {"code": "CT", "date_from": "2024-04-01", "date_until": f"2024-04-0{number + 2}"}
            session.add(a_task("q1", payload=payload, error="timed_out" if number == 2 else "", state="done"))
        session.flush()
        for number in range(6):
            keys = {"study_date": "20240401-20240402", "modalities": ["CT"]}
            session.add(
                a_find(1, "q1", level="STUDY" if number < 3 else "SERIES", keys=keys, duration_ms=40 + number)
            )


def _studies(system: System) -> None:
    reasons = ["rdsr", "rdsr", "images_no_report", "unknown_sr", "no_dose_object", "excluded_description"]
    with system.database.write() as session:
        for number in range(1, 12):
            reason = reasons[number % len(reasons)]
            kept = reason in ("rdsr", "images_no_report", "unknown_sr")
            session.add(
                a_study(
                    f"{ROOT}.{number}",
                    "q1",
                    reason=reason,
                    decision="keep" if kept else "drop",
                    type=("CT", "MG", "NM")[number % 3],
                    modalities=["CT", "SR"],
                    description="Thorax-Abdomen mit Kontrastmittel, Verlaufskontrolle",
                    station_name="CT-1",
                    accession_number=f"ACC{number:05}",
                    study_date=f"202404{number:02}",
                    study_time="101500",
                    series_count=4,
                    instance_count=412,
                )
            )
            session.flush()
            session.add(
                a_series(f"{ROOT}.{number}", f"{ROOT}.{number}.1", "q1", modality="CT", station_name="CT-1")
            )
        session.add(a_study(f"{ROOT}.99", "q1", state="missing", decision="", reason="study_not_answered"))
        session.flush()
        session.add(
            an_object(f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.1.1.1", "q1", decision="drop", reason="known")
        )


def _figure(name: str, value: float, unit: str) -> FigureJson:
    return {"name": name, "value": value, "unit": unit, "of": ""}


def _retrieved(system: System) -> None:
    now = utc_now()
    with system.database.write() as session:
        ended = {"started_at": now - timedelta(minutes=9), "ended_at": now - timedelta(minutes=5)}
        session.add(
            a_retrieve("r1", "q1", status="incomplete", asked=5, arrived=4, requested_at=now, **ended)
        )
        session.add(
            a_retrieve("r2", "q1", status="running", asked=40, arrived=13, requested_at=now, started_at=now)
        )
        session.flush()
        for number in range(1, 5):
            study, series, uid = f"{ROOT}.{number}", f"{ROOT}.{number}.1", f"{ROOT}.{number}.1.9"
            session.add(an_expected(study, series, uid, "r1", arrived_at=now))
            session.add(
                StoredObject(
                    sop_instance_uid=uid,
                    series_instance_uid=series,
                    study_instance_uid=study,
                    sop_class_uid=RDSR,
                    source="store",
                    received_at=now,
                    last_received_at=now,
                )
            )
            figures = [_figure("DLP total", 236.09 * number, "mGy.cm"), _figure("CTDIvol", 10.5, "mGy")]
            summary = {"kind": "ct", "events": 5, "figures": figures}
            read = {"unreadable": "malformed"} if number == 4 else {"summary": summary}
            session.add(ReportSummary(sop_instance_uid=uid, read_at=now, **read))
        lost = {"state": "missing", "reason": "not_arrived"}
        session.add(an_expected(f"{ROOT}.5", f"{ROOT}.5.1", f"{ROOT}.5.1.9", "r1", **lost))
        batch = {"objects": 3, "created_at": now, "last_added_at": now, "due_at": now, "tried_at": now}
        detail = "The program ended with exit code 3."
        session.add(HandoverBatch(id="b1", job_id="r1", state="failed", attempts=7, detail=detail, **batch))


def _others(system: System) -> None:
    now = utc_now()
    plan_nightly(system.database, now, remote=LONG)
    plan_nightly(system.database, now, remote=LONG, name="Weekly", when="30 6 * * mon", paused=True)
    with system.database.write() as session:
        session.add(
            Comparison(id="c1", left_query="q1", left_name=LONG, right_name="store", requested_at=now)
        )
        session.add(
            LongList(
                id="l1",
                name="ris-2024.csv",
                remote_id=1,
                store_id=2,
                criteria={"types": ["CT"]},
                field="accession_numbers",
                identifiers=12000,
                requested_at=now,
            )
        )
        session.flush()
        session.add(LongListPart(list_id="l1", number=1, job_id="q1", identifiers=["A1"]))
        session.add(
            NotificationAddress(
                owner_id=3,
                name="meine Mail",
                sealed="x",
                shown="mailto://…@example.org",
                kinds=["job"],
                outcomes=["failed"],
                created_at=now,
                problem="The mail server refused the log-in.",
                failed_at=now,
            )
        )
