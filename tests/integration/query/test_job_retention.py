"""Old jobs go in steps by one worker, whoever dies; what needs them keeps them."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from services.query.ledger.folding import job_retention, remove_jobs
from services.query.ledger.folding.fold_studies import fold_studies
from services.query.ledger.folding.job_retention import JobRetention
from services.query.ledger.tally.ended_queries import add_up, due_queries
from services.query.ledger.unchanged_studies import unchanged
from services.query.rules.decide import RULES_VERSION
from services.query.rules.model import KnownObjects
from shared.contract.criteria import parse_criteria
from shared.database.models import (
    AuditEntry,
    Comparison,
    HandoverBatch,
    Node,
    NodeStudy,
    Query,
    QueryObject,
    QueryStudy,
    RetentionRun,
    Retrieve,
    Schedule,
    ScheduleRun,
)
from shared.database.session import Database, Session
from shared.dicom.query.matches import StudyMatch
from shared.reading.retention.preview import retention_preview
from shared.retention.policy import RetentionPolicy
from shared.retention.removal import LostLeaseError
from tests.support.jobs.rows import a_query, a_retrieve, a_series, a_study, a_task, an_expected, an_object

NOW = dt.datetime(2026, 11, 14, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
POLICY = RetentionPolicy(job_days=30)
CRITERIA = parse_criteria({"types": ["CT"], "date_from": "2026-09-01", "date_until": "2026-09-02"}).to_json()


def add_query(
    database: Database, job_id: str, *, days: float = 40, studies: int = 3, **columns: object
) -> None:
    """Add a completed query with studies of which each has a report, and its retrieve."""
    at = NOW - days * DAY
    times = {"requested_at": at, "ended_at": at, "announced_at": at}
    defaults = {"criteria": CRITERIA, "days_from": dt.date(2026, 9, 1), "days_until": dt.date(2026, 9, 2)}
    with database.write() as session:
        session.add(
            a_query(
                job_id, rules_version=RULES_VERSION, studies_found=studies, **(defaults | times | columns)
            )
        )
        session.flush()
        session.add(a_task(job_id, state="done"))
        session.add(a_retrieve(f"{job_id}-r", query_id=job_id, status="completed", **times))
        session.flush()
        for number in range(studies):
            uid = f"1.2.{number}"
            session.add(
                a_study(uid, job_id, study_date="20260901", accession_number=f"A{number}", series_count=2,
                        instance_count=9)
            )  # fmt: skip
            session.flush()
            session.add(a_series(uid, f"{uid}.1", job_id, whole=False))
            session.add(an_object(uid, f"{uid}.1", f"{uid}.1.1", job_id))
            session.add(an_expected(uid, f"{uid}.1", f"{uid}.1.1", f"{job_id}-r", state="arrived"))


def tally(database: Database) -> None:
    with database.write() as session:
        while (due := due_queries(session)) is not None:
            after: str | None = ""
            while after is not None:
                after = add_up(session, due, after)


def retention(database: Database, policy: RetentionPolicy = POLICY) -> JobRetention:
    return JobRetention(database, policy, lambda: NOW)


def queries(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.scalars(select(Query.id)))


def test_old_jobs_go_and_what_still_needs_them_keeps_them(database: Database) -> None:
    # Given
    for job_id in ("old", "handed", "compared", "scheduled"):
        add_query(database, job_id)
    add_query(database, "young", days=29)
    add_query(database, "open", criteria={"types": ["CT"]}, days_from=None, days_until=None)
    add_query(database, "unannounced", announced_at=None)
    times = dict.fromkeys(("created_at", "last_added_at", "due_at"), NOW)
    names = {"left_name": "a", "right_name": "b"}
    with database.write() as session:
        session.add(HandoverBatch(id="b", job_id="handed-r", state="failed", objects=1, attempts=1, **times))
        session.add(Comparison(id="c", left_query="compared", requested_at=NOW - DAY, **names))
        session.add(Comparison(id="o", left_query="old", requested_at=NOW - 39 * DAY, **names))
        _add_run(session, "scheduled")
    tally(database)
    with database.read() as session:
        preview = retention_preview(session, POLICY, Path("/nowhere"), NOW)["jobs"]
    # When
    retention(database).tick()
    # Then
    assert queries(database) == ["compared", "handed", "open", "scheduled", "unannounced", "young"]
    assert (preview["queries"], preview["retrieves"], preview["kept_back"]) == (2, 2, 4)
    with database.read() as session:
        assert session.get(Retrieve, "old-r") is None
        assert session.get(Comparison, "o") is None
        assert session.get_one(Query, "open").folding == "kept"
        left = select(func.count()).select_from(QueryStudy).where(QueryStudy.job_id.in_(["old", "open"]))
        assert session.scalar(left) == 0
        run = session.get_one(RetentionRun, "jobs")
        assert run.totals == {"queries": 2, "retrieves": 2, "studies": 6, "retrieved_objects": 6}
        assert session.scalars(select(AuditEntry.action)).all() == ["retention of jobs"]
    # And: nothing is left to do until something is older
    retention(database).tick()
    assert len(queries(database)) == 6


def _add_run(session: Session, job_id: str) -> None:
    session.add_all(
        Node(id=number, kind="remote", name=f"n{number}", host="h", port=1, ae_title="A", created_at=NOW)
        for number in (1, 2)
    )
    session.flush()
    session.add(
        Schedule(
            id=1, name="s", remote_id=1, store_id=2, criteria={}, recurrence="daily 06:30",
            start=NOW.date(), created_at=NOW, due_since=NOW, watermark=NOW, completeness={},
        )
    )  # fmt: skip
    session.flush()
    at = NOW - 40 * DAY
    session.add(ScheduleRun(schedule_id=1, due_at=at, began_at=at, ended_at=at, job_id=job_id))


def test_an_unchanged_study_is_not_examined_after_its_job_went(database: Database) -> None:
    # Given
    add_query(database, "old")
    tally(database)
    retention(database).tick()
    add_query(database, "new", days=0, studies=0)
    studies = [StudyMatch(f"1.2.{number}", series_count=2, instance_count=9) for number in range(2)]
    known = {f"1.2.{number}": KnownObjects({f"1.2.{number}.1.1": f"1.2.{number}.1"}) for number in range(2)}
    grown = [StudyMatch("1.2.0", series_count=2, instance_count=10)]

    def skipped(found: Sequence[StudyMatch], **changes: object) -> list[str]:
        criteria = parse_criteria(CRITERIA | changes)
        with database.write() as session:
            session.get_one(Query, "new").criteria = criteria.to_json()
            session.flush()
            decided = unchanged(session, "new", criteria, found, known)
        return [decision.study_instance_uid for decision in decided]

    # Then
    assert skipped(studies) == ["1.2.0", "1.2.1"]
    assert skipped(grown) == []
    assert skipped(studies, types=["CT", "MG"]) == []
    known["1.2.0"] = KnownObjects({"1.2.0.1.2": "1.2.0.1"})
    assert skipped(studies) == ["1.2.1"]


def test_a_removal_that_died_half_way_is_gone_on_with(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker that dies after a few steps, within a transaction
    monkeypatch.setattr(remove_jobs, "STUDIES_AT_ONCE", 1)
    monkeypatch.setattr(remove_jobs, "ROWS_AT_ONCE", 1)
    add_query(database, "old")
    tally(database)
    real, calls = fold_studies, []

    def die(*arguments) -> None:
        calls.append(1)
        real(*arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(remove_jobs, "fold_studies", die)
    with pytest.raises(KeyboardInterrupt):
        retention(database).tick()
    with database.read() as session:
        assert session.get_one(Query, "old").folding == "begun"
        assert session.scalar(select(func.count()).select_from(QueryStudy)) == 2
    # When its lease has run out
    later = JobRetention(database, POLICY, lambda: NOW + dt.timedelta(minutes=3))
    later.tick()
    # Then
    assert queries(database) == []
    with database.read() as session:
        assert session.get_one(RetentionRun, "jobs").totals["studies"] == 3
        rows = session.scalars(select(NodeStudy)).all()
        assert all(row.folded and row.folded.startswith("kab:") for row in rows)
        assert session.scalar(select(func.count()).select_from(QueryObject)) == 0


def test_of_two_workers_at_once_one_alone_removes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker that is at it, and one that took it for dead
    add_query(database, "old")
    tally(database)
    first, second = retention(database), JobRetention(database, POLICY, lambda: NOW + dt.timedelta(minutes=3))
    in_step, go_on = threading.Event(), threading.Event()
    real = remove_jobs.oldest_query

    def wait(*arguments):
        if threading.current_thread().name == "first":
            in_step.set()
            go_on.wait(20)
        return real(*arguments)

    monkeypatch.setattr(job_retention, "oldest_query", wait)
    errors: list[Exception] = []

    def run() -> None:
        try:
            first.tick()
        except LostLeaseError as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="first")
    thread.start()
    assert in_step.wait(20)
    # When
    retention(database).tick()
    assert queries(database) == ["old"]
    second.tick()
    go_on.set()
    thread.join(20)
    # Then
    assert queries(database) == []
    assert len(errors) == 1
    with database.read() as session:
        assert session.get_one(RetentionRun, "jobs").totals["queries"] == 1
