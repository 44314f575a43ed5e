"""Each step of removing a query, the first and the last too, reads and writes a bounded number of rows."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import event, func, insert, select, text

from services.query.ledger.folding import remove_jobs
from services.query.ledger.folding.remove_jobs import QueryRemoval, begun_query
from services.query.ledger.studies import study_days
from services.query.rules.decide import RULES_VERSION
from shared.contract.criteria import parse_criteria
from shared.database.models import (
    Base,
    CommitmentReport,
    FoldedIdentifier,
    NodeDay,
    NodeStudy,
    Query,
    QueryFind,
    QueryObject,
    QuerySeries,
    QueryStudy,
    QueryTask,
    Retrieve,
    RetrieveCommitment,
    RetrieveObject,
)
from shared.database.session import Database, Session
from shared.reading.retention.due_jobs import KEPT
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

NOW = dt.datetime(2026, 11, 14, 9, tzinfo=dt.UTC)
BEFORE = NOW - dt.timedelta(days=30)
FIRST_DAY = dt.date(2025, 1, 1)
#: Days of the query: the most that are folded day by day.
DAYS = 400
ROWS, STUDIES = 100, 20
#: Rows beside those of a step: locks, marks, and what goes with the query itself.
OTHER_ROWS = 8
OF_CONNECTION = "FROM pg_stat_xact_user_tables"
LARGE_STUDY = "1.2.5"
OBJECTS_OF_LARGE_STUDY = 450


def columns(row: object) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}


def add_rows(session: Session, table: type[Base], rows: list[object]) -> None:
    session.execute(insert(table), [columns(row) for row in rows])


def add_query(session: Session, job_id: str, studies: int, days: int, **changes: object) -> None:
    """Add a query that may go, of so many studies and days; each study has a report and a row of its own."""
    last = FIRST_DAY + dt.timedelta(days=days - 1)
    criteria = parse_criteria(
        {"types": ["CT"], "date_from": FIRST_DAY.isoformat(), "date_until": last.isoformat()}
    )
    at = NOW - dt.timedelta(days=60)
    times = {"requested_at": at, "ended_at": at, "announced_at": at}
    defaults = {"criteria": criteria.to_json(), "days_from": FIRST_DAY, "days_until": last}
    session.add(
        a_query(
            job_id,
            rules_version=RULES_VERSION,
            studies_found=studies,
            tallied_round=0,
            **(defaults | times | changes),
        )
    )
    session.flush()
    session.add(a_retrieve(f"{job_id}-r", query_id=job_id, status="completed", **times))
    session.flush()
    uids = [f"1.2.{number}" for number in range(studies)]
    add_rows(session, QueryTask, [a_task(job_id, state="done")])
    dates = [f"{FIRST_DAY + dt.timedelta(days=number % days):%Y%m%d}" for number in range(studies)]
    counts = {"series_count": 2, "instance_count": 9}
    found = [a_study(uid, job_id, study_date=date, **counts) for uid, date in zip(uids, dates, strict=True)]
    add_rows(session, QueryStudy, [*found])
    add_rows(session, QuerySeries, [a_series(uid, f"{uid}.1", job_id, whole=False) for uid in uids])
    add_rows(session, QueryObject, [an_object(uid, f"{uid}.1", f"{uid}.1.1", job_id) for uid in uids])
    add_rows(
        session,
        RetrieveObject,
        [an_expected(uid, f"{uid}.1", f"{uid}.1.1", f"{job_id}-r", state="arrived") for uid in uids],
    )


def add_node_studies(session: Session, job_id: str) -> None:
    rows = [
        {
            "study_instance_uid": uid, "remote_id": 1, "job_id": job_id, "requested_at": NOW, "settled": True,
            "type": "CT", "reason": "rdsr", "day": FIRST_DAY, "study_time": "", "station": "",
            "accession_number": "", "source": "report", "settled_types": "CT",
        }
        for uid in session.scalars(select(QueryStudy.study_instance_uid).where(QueryStudy.job_id == job_id))
    ]  # fmt: skip
    session.execute(insert(NodeStudy), rows)


def rows_written(session: Session) -> int:
    """Return how many rows the connection of a session has inserted, updated and removed, cascades too."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        return int(connection.connection.dbapi_connection.total_changes)  # type: ignore[union-attr]
    # It may count earlier transactions too, which are not yet counted elsewhere.
    return int(session.scalar(text(f"SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) {OF_CONNECTION}")) or 0)


def rows_read(session: Session) -> int:
    """Return how many rows the connection of a session has read from tables of PostgreSQL."""
    number = "sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))"
    return int(session.scalar(text(f"SELECT {number} {OF_CONNECTION}")) or 0)


def remove(database: Database, job_id: str) -> list[int]:
    """Remove a query; return how many rows each step wrote."""
    steps, removal, more = [], QueryRemoval(job_id, BEFORE), True
    while more:
        with database.write() as session:
            written = rows_written(session)
            more, _ = removal.step(session)
            session.flush()
            steps.append(rows_written(session) - written)
    return steps


def rows_left(session: Session) -> dict[str, int]:
    tables = (Query, QueryTask, QueryFind, QueryStudy, QuerySeries, QueryObject)
    others = (Retrieve, RetrieveObject, RetrieveCommitment, CommitmentReport)
    found = {
        table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
        for table in (*tables, *others)
    }
    return {name: number for name, number in found.items() if number}


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove_jobs, "ROWS_AT_ONCE", ROWS)
    monkeypatch.setattr(remove_jobs, "STUDIES_AT_ONCE", STUDIES)


@pytest.mark.usefixtures("small_steps")
def test_no_step_writes_more_rows_than_one_may(database: Database) -> None:
    # Given a query of many days, studies, C-FINDs, tasks and commitments, and a study of many objects
    with database.write() as session:
        add_query(session, "q", studies=200, days=DAYS)
        more = [f"{LARGE_STUDY}.1.{number}" for number in range(2, OBJECTS_OF_LARGE_STUDY)]
        add_rows(session, QueryObject, [an_object(LARGE_STUDY, f"{LARGE_STUDY}.1", uid, "q") for uid in more])
        add_rows(session, QueryFind, [a_find(1, "q") for _ in range(3 * ROWS)])
        add_rows(session, QueryTask, [a_task("q", state="done", kind="examine") for _ in range(3 * ROWS)])
        uids = [f"1.3.{number}" for number in range(2 * ROWS)]
        commitment = {"job_id": "q-r", "task_id": 1, "objects": 1, "asked_at": NOW}
        report = {"calling_ae_title": "A", "committed": [], "failed": {}, "received_at": NOW}
        session.execute(insert(RetrieveCommitment), [commitment | {"transaction_uid": uid} for uid in uids])
        session.execute(insert(CommitmentReport), [report | {"transaction_uid": uid} for uid in uids])
        add_node_studies(session, "q")
    # When
    steps = remove(database, "q")
    # Then
    assert max(steps) <= ROWS + OTHER_ROWS
    # And: all of it is folded and gone
    with database.read() as session:
        assert rows_left(session) == {}
        folded = session.scalars(select(NodeDay).where(NodeDay.folded_proofs.is_not(None))).all()
        assert len(folded) == DAYS
        studies = session.scalars(select(NodeStudy)).all()
        assert {study.study_instance_uid: study.folded[:3] for study in studies if study.folded} == {
            f"1.2.{number}": "kab" if f"1.2.{number}" != LARGE_STUDY else "k" for number in range(200)
        }


@pytest.mark.usefixtures("small_steps")
def test_identifiers_that_a_query_named_in_vain_are_kept_in_steps(database: Database) -> None:
    # Given
    named = [f"A{number}" for number in range(5 * ROWS)]
    criteria = parse_criteria({"types": ["CT"], "accession_numbers": named}).to_json()
    with database.write() as session:
        add_query(session, "q", 3, 1, criteria=criteria, days_from=None, days_until=None)
    # When
    steps = remove(database, "q")
    # Then
    assert max(steps) <= ROWS + OTHER_ROWS
    with database.read() as session:
        assert set(session.scalars(select(FoldedIdentifier.identifier))) == set(named)
        assert rows_left(session) == {}


@pytest.mark.usefixtures("small_steps")
def test_days_that_were_folded_in_part_are_folded_by_the_next_worker(database: Database) -> None:
    # Given a worker that died after its first step
    with database.write() as session:
        add_query(session, "q", studies=3, days=DAYS)
    with database.write() as session:
        QueryRemoval("q", BEFORE).step(session)
    with database.read() as session:
        # It is marked in a way that a worker of the version before leaves it alone.
        assert session.get_one(Query, "q").folding == KEPT
        assert rows_left(session)["query_studies"] == 3
        assert begun_query(session) == "q"
    # When
    remove(database, "q")
    # Then
    with database.read() as session:
        assert begun_query(session) is None
        assert len(session.scalars(select(NodeDay).where(NodeDay.folded_proofs.is_not(None))).all()) == DAYS


#: Studies of the large query, and how often a step reads each row of its share, for all of its statements.
MANY, TIMES_READ = 3000, 4


def add_large_among_small(session: Session) -> None:
    add_query(session, "large", MANY, DAYS)
    add_node_studies(session, "large")
    queries = [a_query(f"small-{number}", ended_at=NOW) for number in range(MANY)]
    add_rows(session, Query, [*queries])
    for table, row in (
        (QueryStudy, lambda job_id: a_study("1.9", job_id)),
        (QuerySeries, lambda job_id: a_series("1.9", "1.9.1", job_id)),
        (QueryObject, lambda job_id: an_object("1.9", "1.9.1", "1.9.1.1", job_id)),
    ):
        add_rows(session, table, [row(query.id) for query in queries])


def plan_for_any(connection, _record) -> None:
    """Plan for a query of any size, as PostgreSQL does for what comes often unless it is told not to."""
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.commit()


def test_a_step_of_a_large_query_among_small_ones_reads_no_more_than_its_part(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr(remove_jobs, "ROWS_AT_ONCE", ROWS)
    monkeypatch.setattr(remove_jobs, "STUDIES_AT_ONCE", STUDIES)
    monkeypatch.setenv("PGOPTIONS", "-c enable_seqscan=off")
    database = Database(postgres_url)
    event.listen(database.engine, "connect", plan_for_any)
    with database.write() as session:
        add_large_among_small(session)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    # When
    steps, removal = [], QueryRemoval("large", BEFORE)
    for _ in range(40):
        with database.write() as session:
            read = rows_read(session)
            _, removed = removal.step(session)
            steps.append((removed["studies"], rows_read(session) - read))
    database.close()
    # Then
    assert sum(studies for studies, _ in steps) >= 10 * STUDIES
    assert max(rows for _, rows in steps) <= TIMES_READ * ROWS


def test_studies_of_a_large_query_among_small_ones_are_found_without_reading_the_others(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setenv("PGOPTIONS", "-c enable_seqscan=off")
    database = Database(postgres_url)
    with database.write() as session:
        add_large_among_small(session)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    # When a statement comes so often that PostgreSQL would plan it for a query of any size
    counts = []
    for part in range(20):
        uids = [f"1.2.{number}" for number in range(part, MANY, MANY // 10)]
        with database.write() as session:
            read = rows_read(session)
            assert len(study_days(session, "large", uids)) == len(uids)
            counts.append(rows_read(session) - read)
    database.close()
    # Then
    assert max(counts) <= 2 * 10
