"""A ledger of ten years in PostgreSQL: bytes of a study, times of pages, and what removing old jobs costs."""

# ruff: noqa: E501 - SQL is read by its columns

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from services.query.ledger.folding.remove_jobs import QueryRemoval, begun_query, oldest_query
from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.database.models import Node
from shared.database.session import Database, Session
from shared.evidence.ris_list import RisLine, RisList
from shared.reading.evidence.calendar import calendar_json
from shared.reading.evidence.coverage import StudyDays, coverage_json
from shared.reading.evidence.reconciliation import reconcile
from shared.retention.step_size import FIRST_SHARE, next_share
from shared.settings import Settings
from tests.bench.table import print_table
from tests.bench.test_pages import Pages
from tests.support.services.web import CHEAP_HASHER, Site, a_node, add_people
from tests.support.services.web_api import ApiClient

#: 10,000,000 take 30 GB on disk and half an hour.
STUDIES = int(os.environ.get("DOSEQR_BENCH_STUDIES", "1000000"))
STUDIES_OF_QUERY, DAYS = 16, 3650
QUERIES = STUDIES // STUDIES_OF_QUERY
#: Steps of which the times are taken, and the bytes that a folded study may take.
STEPS, FOLDED_MAX_BYTES = 1000, 400
GOAL_MS = 100.0

#: UIDs have the length of those of the large manufacturers.
_STUDY = "'1.2.840.113619.2.417.3.2831868933.' || to_char({n}, 'FM0000000000') || '.20260101'"
_SERIES, _OBJECT = f"{_STUDY} || '.4'", f"{_STUDY} || '.4.17'"
_QUERY = "to_char({n} / 16, 'FM00000000') || repeat('a', 24)"
_DAY = "(date '{last}' - ({days} - 1 - {{n}} * {days}::bigint / {studies})::int)"
_TYPE = "(array['CT','CT','CT','DX','MG','FL'])[1 + {n} % 6]"
_REASON = "(array['rdsr','rdsr','rdsr','esr','images_no_report','no_dose_object'])[1 + {n} % 6]"
_KEPT = "{n} % 6 < 4"

_FILL = (
    """INSERT INTO queries (id, status, remote_id, remote_name, store_id, store_name, requested_by,
        requested_at, started_at, ended_at, announced_at, failure, detail, note, criteria, rules_version, today, days_from,
        days_until, retrieve_after, slices_total, slices_complete, slices_failed, studies_found,
        studies_examined, studies_kept, studies_missing, objects_kept, finds, tallied_round)
    SELECT to_char(q, 'FM00000000') || repeat('a', 24), 'completed', 1, 'pacs', 2, 'archive',
        'person1', at, at, at, at, '', '', '',
        json_build_object('types', array['CT','MG','FL','DX'], 'date_from', day, 'date_until', day), 1, day, day,
        day, true, 3, 3, 0, 16, 16, 11, 0, 11, 5, 0
    FROM (SELECT q, {qday} AS day, {qday} + time '20:00' + (q % 3600) * interval '1 second' AS at
        FROM generate_series(0, {queries} - 1) q) made""",
    """INSERT INTO query_tasks (job_id, kind, state, payload, created_at, due_at, ended_at, worker, claim_token,
        starts, failures, error, detail)
    SELECT to_char(q, 'FM00000000') || repeat('a', 24), 'slice', 'done',
        json_build_object('date_from', {qday}, 'date_until', {qday}, 'matches', 16), now(), now(), now(),
        'query-1', repeat('c', 32), 0, 0, '', ''
    FROM generate_series(0, {queries} - 1) q, generate_series(1, 3)""",
    """INSERT INTO query_studies (job_id, study_instance_uid, state, type, decision, reason, note, modalities,
        description, study_date, study_time, accession_number, series_count, instance_count, detail)
    SELECT {query}, {study}, 'decided', {type}, CASE WHEN {kept} THEN 'keep' ELSE 'drop' END, {reason}, '',
        json_build_array({type}, 'SR'), 'CT Thorax mit KM', to_char({day}, 'YYYYMMDD'), '101500', 'A' || n, 4,
        640, ''
    FROM generate_series(0, {studies} - 1) n""",
    """INSERT INTO query_series (job_id, study_instance_uid, series_instance_uid, modality, description,
        station_name, series_number, instance_count, decision, reason, note, whole)
    SELECT {query}, {study}, {series}, 'SR', 'Dose Report', 'CT' || n % 24, 999, 1, 'keep', {reason}, '', false
    FROM generate_series(0, {studies} - 1) n""",
    """INSERT INTO query_objects (job_id, study_instance_uid, series_instance_uid, sop_instance_uid,
        sop_class_uid, decision, reason)
    SELECT {query}, {study}, {series}, {object}, '1.2.840.10008.5.1.4.1.1.88.67', 'keep', {reason}
    FROM generate_series(0, {studies} - 1) n WHERE {kept}""",
    """INSERT INTO retrieves (id, status, remote_id, remote_name, store_id, store_name, requested_by,
        requested_at, started_at, ended_at, announced_at, failure, detail, note, query_id, selection, verification, asked,
        arrived, reported_completed, reported_warning, reported_failed)
    SELECT left(id, 8) || repeat('b', 24), 'completed', 1, 'pacs', 2, 'archive', 'person1', requested_at, requested_at, ended_at,
        ended_at, '', '', '', id, '{{}}', 'receipts', 11, 11, 11, 0, 0
    FROM queries""",
    """INSERT INTO retrieve_objects (job_id, study_instance_uid, series_instance_uid, sop_instance_uid, state,
        asked, arrived_at, reason, detail)
    SELECT to_char(n / 16, 'FM00000000') || repeat('b', 24), {study}, {series}, {object}, 'arrived', 1, now(), '', ''
    FROM generate_series(0, {studies} - 1) n WHERE {kept}""",
    """INSERT INTO stored_objects (sop_instance_uid, series_instance_uid, study_instance_uid, sop_class_uid,
        transfer_syntax_uid, source, path, size_bytes, sha256, calling_ae_title, received_at, last_received_at,
        received_count, conflicts, announced_at)
    SELECT {object}, {series}, {study}, '1.2.840.10008.5.1.4.1.1.88.67', '1.2.840.10008.1.2.1', 'store',
        {study} || '/' || {series} || '/' || {object} || '.dcm', 40000, repeat('ab', 32), 'PACS', {day}, {day},
        1, 0, {day}
    FROM generate_series(0, {studies} - 1) n WHERE {kept}""",
    """INSERT INTO node_studies (study_instance_uid, remote_id, job_id, requested_at, settled, type, reason, day,
        study_time, station, accession_number, source, settled_types)
    SELECT {study}, 1, {query}, {day} + time '20:00', true, {type}, {reason}, {day}, '101500', 'CT' || n % 24,
        'A' || n, CASE WHEN n % 6 < 3 THEN 'report' WHEN n % 6 = 3 THEN 'enhanced_sr' WHEN n % 6 = 4 THEN 'images'
        ELSE 'none' END, 'CT DX FL MG'
    FROM generate_series(0, {studies} - 1) n""",
    """INSERT INTO node_days (remote_id, day, numbers, proofs, versions)
    SELECT 1, day, json_build_object('settled', json_object_agg(type, stations), 'open', '{{}}'::json,
        'undecided', '{{}}'::json, 'found', true, 'named', true),
        (SELECT json_object_agg(code, json_build_object('requested', true, 'parts', json_build_array(
            json_build_array(to_char(day + 1, 'YYYY-MM-DD') || 'T20:00:00+00:00', '*'))))
        FROM unnest(array['CT','PT','NM','MG','RF','XA','DX','CR','PX','SR']) code), '{{"versions": []}}'
    FROM (SELECT day, type, json_object_agg(station, sources) AS stations FROM (
        SELECT day, type, station, json_object_agg(source, number) AS sources FROM (
            SELECT day, type, station, source, count(*) AS number FROM node_studies GROUP BY 1, 2, 3, 4
        ) a GROUP BY 1, 2, 3) b GROUP BY 1, 2) c GROUP BY day""",
)  # fmt: skip

_TABLES = (
    *("queries", "query_tasks", "query_studies", "query_series", "query_objects", "retrieves"),
    *("retrieve_objects", "stored_objects", "node_studies", "node_days"),
)
_PAGES = {
    "jobs": "/jobs",
    "jobs, last page": "/jobs?last=1",
    "jobs of a status": "/jobs?status=failed",
    "a query": f"/jobs/{QUERIES // 2:08}{'a' * 24}",
    "its studies": f"/jobs/{QUERIES // 2:08}{'a' * 24}/studies",
    "a retrieve": f"/jobs/{QUERIES // 2:08}{'b' * 24}",
    "query form": "/imports/query",
    "calendar": "/calendar?node=1",
    "coverage, 13 weeks": "/coverage?node=1",
    "system": "/system",
    "retention": "/system/retention",
}


@dataclass(frozen=True)
class Decade:
    """A database of ten years and its page."""

    database: Database
    pages: Pages


@pytest.fixture
def decade(postgres_url: str, test_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Decade]:
    monkeypatch.setattr("shared.users.passwords._HASHER", CHEAP_HASHER)
    database = Database(postgres_url)
    add_people(database)
    for kind, name in (("remote", "pacs"), ("store", "archive")):
        a_node(database, kind, name)
    began = time.perf_counter()
    _fill(database)
    print_table("Filled", ("studies", "s"), [(f"{STUDIES:,}", time.perf_counter() - began)])
    broker = MemoryBroker()
    broker.declare()
    settings = test_settings.model_copy(update={"job_retention_days": 365, "file_retention_days": 365})
    site = Site(settings, broker, database)
    yield Decade(database, Pages(site.person("admin"), ApiClient(site), database))
    site.close()
    database.close()


def _fill(database: Database) -> None:
    last = (utc_now() - timedelta(days=1)).date()
    blanks: dict[str, str] = {"studies": str(STUDIES), "queries": str(QUERIES)}
    day = _DAY.format(last=last, days=DAYS, studies=STUDIES)
    blanks["day"] = day.format(n="n")
    blanks["qday"] = day.format(n="(q * 16::bigint)")
    for name, pattern in (("study", _STUDY), ("series", _SERIES), ("object", _OBJECT), ("query", _QUERY)):
        blanks[name] = pattern.format(n="n")
    for name, pattern in (("type", _TYPE), ("reason", _REASON), ("kept", _KEPT)):
        blanks[name] = pattern.format(n="n")
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET timezone = 'UTC'"))
        connection.execute(text("SET synchronous_commit = off"))
        for statement in _FILL:
            connection.exec_driver_sql(statement.format(**blanks).replace("%", "%%"))
        connection.execute(text("VACUUM ANALYZE"))


def _sizes(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {
            table: int(session.scalar(text(f"SELECT pg_total_relation_size('{table}')")) or 0)
            for table in _TABLES
        }


def _timed(database: Database, work: Callable[[Session], object]) -> float:
    """Return the least time of three, in milliseconds."""
    times = []
    for _ in range(3):
        with database.read() as session:
            began = time.perf_counter()
            work(session)
            times.append(1000 * (time.perf_counter() - began))
    return min(times)


@pytest.mark.timeout(7200)
def test_a_ledger_of_ten_years_is_read_and_removed_gently(decade: Decade) -> None:
    database = decade.database
    # Given
    sizes = _sizes(database)
    print_table(
        f"Bytes of {STUDIES:,} studies",
        ("table", "MB", "bytes a study"),
        [
            (name, size // 1_000_000, size / STUDIES)
            for name, size in [*sizes.items(), ("all", sum(sizes.values()))]
        ],
    )
    shown = decade.pages.measure(_PAGES)
    shown += decade.pages.measure({"retention": "/retention", "jobs": "/jobs"}, "API: ")
    print_table("Pages", ("page", "ms", "CPU ms", "statements"), shown)
    now = utc_now()
    before = _evidence(database, now)
    # When
    times = _remove(database)
    # Then
    after = _evidence(database, now)
    print_table("Steps of removing", ("what", "ms"), times)
    _print_folded(database)
    print_table(
        "Evidence",
        ("what", "ms before", "ms after"),
        [(name, was[0], after[name][0]) for name, was in before.items()],
    )
    assert {name: found for name, (_, found) in after.items()} == {
        name: found for name, (_, found) in before.items()
    }


def _evidence(database: Database, now: datetime) -> dict[str, tuple[float, object]]:
    """Return what is shown of the oldest month and of a thousand lines from then, with its time."""
    first = (now - timedelta(days=DAYS + 1)).date()
    uid = "1.2.840.113619.2.417.3.2831868933.{:010}.20260101"
    lines = [RisLine(number, study_instance_uid=uid.format(number)) for number in range(500)]
    lines += [RisLine(number, accession_number=f"A{number}", day=first) for number in range(500, 1000)]
    found: dict[str, tuple[float, object]] = {}

    def add(name: str, read: Callable[[Session, Node], object]) -> None:
        results: list[object] = []

        def work(session: Session) -> None:
            results[:] = [read(session, session.scalars(select(Node).where(Node.id == 1)).one())]

        took_ms = _timed(database, work)
        found[name] = took_ms, results[0]

    site = Settings()
    add(
        "calendar of a month",
        lambda session, node: calendar_json(session, node, ["CT", "MG"], first.replace(day=1), site, now),
    )
    period = StudyDays(first, first + timedelta(days=90))
    add(
        "coverage of 13 weeks",
        lambda session, node: coverage_json(session, node, ["CT", "MG"], period, 5, now),
    )

    def reconciled(session: Session, node: Node) -> object:
        result = reconcile(session, node, RisList(lines, [], 0), site, now)
        return [{**line, "job": ""} for line in result["lines"]]

    add("1,000 lines from the RIS", reconciled)
    return found


def _remove(database: Database) -> list[tuple[str, float]]:
    """Remove the oldest jobs in some steps; return how long they took."""
    before = utc_now() - timedelta(days=365)
    choices: list[float] = []
    steps: list[float] = []
    removed = queries = 0
    share = FIRST_SHARE
    began_all = time.perf_counter()
    while len(steps) < STEPS:
        began = time.perf_counter()
        with database.read() as session:
            job_id = begun_query(session) or oldest_query(session, before)
        choices.append(1000 * (time.perf_counter() - began))
        if job_id is None:
            break
        more, removal = True, QueryRemoval(job_id, before)
        while more:
            began = time.perf_counter()
            with database.write() as session:
                more, counted = removal.step(session, share)
            took_s = time.perf_counter() - began
            share = next_share(share, took_s)
            steps.append(1000 * took_s)
            removed += counted["studies"]
            queries += counted["queries"]
    took_s = time.perf_counter() - began_all
    steps.sort()
    choices.sort()
    return [
        (f"steps: {len(steps):,}; studies: {removed:,}; queries: {queries:,}", 1000 * took_s),
        ("a step, median", steps[len(steps) // 2]),
        ("a step, 99 of 100", steps[len(steps) * 99 // 100]),
        ("a step, longest", steps[-1]),
        ("choosing the next query, median", choices[len(choices) // 2]),
        ("choosing the next query, longest", choices[-1]),
        ("a study", 1000 * took_s / max(removed, 1)),
    ]


def _print_folded(database: Database) -> None:
    """Print and hold what a folded study takes with its share of the indexes."""
    with database.read() as session:
        row = session.scalar(
            text("SELECT avg(pg_column_size(s.*) + 4) FROM node_studies s WHERE folded <> ''")
        )
        indexes = session.execute(
            text(
                "SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes "
                "WHERE relname = 'node_studies' AND indexrelname NOT LIKE '%folded%'"
            )
        ).all()
        folded = session.scalar(text("SELECT count(*) FROM node_studies WHERE folded IS NOT NULL")) or 1
        hashed = session.scalar(text("SELECT pg_relation_size('ix_node_studies_folded_accession')")) or 0
    shares = [(str(name), size / STUDIES) for name, size in indexes]
    total = float(row or 0) + sum(share for _, share in shares) + hashed / folded
    rows = [("row", float(row or 0)), *shares, ("accession numbers", hashed / folded), ("all", total)]
    print_table(f"A folded study ({folded:,} of them)", ("what", "bytes"), rows)
    assert total <= FOLDED_MAX_BYTES
