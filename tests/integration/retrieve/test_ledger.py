"""The ledger of a retrieve, on both databases: what is requested, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from services.retrieve.context import context_of
from services.retrieve.ledger.conditions import add_counts, recount
from services.retrieve.ledger.outcomes import weaken_proof
from services.retrieve.ledger.selection import fill, keeps_anything
from services.retrieve.task.plan_task import plan
from services.retrieve.tasks import RetrieveJobService
from shared.contract.json_types import JsonDocument
from shared.contract.messages import RunRetrieve
from shared.database.models import Node, Query, Retrieve, RetrieveObject, StoredObject
from shared.database.session import Database
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Timeouts
from shared.jobs.model import Claim
from shared.jobs.new_task import NewTask
from shared.node_access.pool import AssociationPool
from shared.node_profiles.ledger import change_profile, read_profile
from shared.querying.profile import Profile
from shared.reading.retrieve_json import retrieve_counts
from shared.settings import Settings
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_series, a_study, an_expected, an_object


@pytest.fixture
def work(database: Database) -> Iterator[RetrieveJobService]:
    settings = Settings(store_ae_title="DOSEQR", store_port=11112)
    with database.write() as session:
        session.add(
            Node(id=1, kind="remote", name="pacs", host="pacs", port=104, ae_title="PACS", created_at=NOW)
        )
        session.add(
            Node(
                id=2, kind="store", name="doseqr", host="here", port=11112, ae_title="DOSEQR", created_at=NOW
            )
        )
        session.add(a_query())
        session.flush()
        session.add(a_retrieve(status="running"))
    pool = AssociationPool(Timeouts(1, 1))
    yield RetrieveJobService(settings, database, pool, lambda _job_id: None, lambda: NOW)
    pool.close()


def expect(database: Database, *rows: RetrieveObject | StoredObject) -> None:
    with database.write() as session:
        session.add_all(rows)
        session.flush()
        recount(session, "retrieve-1")


def drained(database: Database, work: RetrieveJobService):
    with database.write() as session:
        return work.drained(session, "retrieve-1")


def stored(uid: str, **columns) -> StoredObject:
    defaults = {
        "study_instance_uid": "1",
        "series_instance_uid": "1.1",
        "source": "store",
        "received_at": NOW,
        "last_received_at": NOW,
    }
    return StoredObject(sop_instance_uid=uid, **(defaults | columns))


LOST = {"state": "missing", "reason": "not_arrived", "detail": "status 0x0000; completed 1"}


def test_a_retrieve_with_nothing_to_request_is_completed(database, work):
    assert drained(database, work).status == "completed"


def test_a_retrieve_of_which_everything_arrived_is_completed(database, work):
    expect(database, an_expected("1", "1.1", "1.1.1"))
    assert drained(database, work).status == "completed"


def test_a_retrieve_of_which_something_is_missing_is_incomplete(database, work):
    expect(database, an_expected("1", "1.1", "1.1.1"), an_expected("1", "1.1", "1.1.2", **LOST))
    assert drained(database, work).status == "incomplete"


def test_a_retrieve_of_which_nothing_arrived_has_failed_with_its_reason(database, work):
    # Given
    expect(database, an_expected("1", "1.1", "1.1.2", **LOST))
    # When
    ending = drained(database, work)
    # Then
    assert (ending.status, ending.failure) == ("failed", "nothing_arrived")
    assert "It was requested and did not arrive." in ending.detail
    assert "status 0x0000" in ending.detail


def test_objects_that_came_after_they_were_given_up_count(database, work):
    # Given
    expect(database, an_expected("1", "1.1", "1.1.2", **LOST), stored("1.1.2"))
    # Then
    assert drained(database, work).status == "completed"


def test_a_series_without_names_that_came_late_counts(database, work):
    # Given
    row = an_expected("1", "1.1", "", announced=2, **LOST)
    expect(database, row, stored("1.1.1"), stored("1.1.2"))
    # When
    ending = drained(database, work)
    # Then
    assert ending.status == "completed"
    with database.read() as session:
        assert work.counts(session, "retrieve-1")["arrived"] == 2


def test_a_part_of_a_series_without_names_leaves_the_rest_missing(database, work):
    # Given
    expect(database, an_expected("1", "1.1", "", announced=3, **LOST), stored("1.1.1"))
    # When
    ending = drained(database, work)
    # Then
    assert ending.status == "incomplete"
    with database.read() as session:
        counts = work.counts(session, "retrieve-1")
    assert (counts["asked"], counts["arrived"], counts["missing"], counts["left"]) == (3, 1, 2, 0)


def test_what_nobody_requested_is_not_left_open(database, work):
    # Given
    expect(database, an_expected("1", "1.1", "1.1.1"), an_expected("1", "1.1", "1.1.2", state="expected"))
    # When
    ending = drained(database, work)
    # Then
    assert ending.status == "incomplete"
    with database.read() as session:
        assert work.counts(session, "retrieve-1")["missing"] == 1


def claim(**fields) -> Claim:
    payload = {"whole": [["1", "1.1"]], "parts": [], "round": 1, "lists": True, "again": True}
    return Claim("retrieve-1", 7, "move", payload | fields, "token", 3, 40.0)


def give_up(database, work, error: PeerError, **fields):
    result = work.give_up(claim(**fields), error)
    with database.write() as session:
        return result, list(result.write(session))


REFUSED = PeerError(Outcome.CONNECTION_REFUSED, "away", associating=True)


def test_a_pacs_that_stays_away_ends_the_retrieve(database, work):
    # Given
    expect(database, an_expected("1", "1.1", "1.1.1", state="expected"))
    # When
    result, tasks = give_up(database, work, REFUSED)
    # Then
    assert (result.end_job.status, result.end_job.failure) == ("failed", "remote_unreachable")
    assert tasks == []
    with database.read() as session:
        assert session.query(RetrieveObject.reason).scalar() == "remote_unreachable"


def test_a_pacs_that_goes_away_after_something_arrived_leaves_it_incomplete(database, work):
    # Given
    expect(database, an_expected("1", "1.1", "1.1.1"), an_expected("1", "1.2", "1.2.1", state="expected"))
    # When
    result, _ = give_up(database, work, REFUSED)
    # Then
    assert (result.end_job.status, result.end_job.failure) == ("incomplete", "remote_unreachable")


def test_a_pacs_that_is_silent_to_everything_ends_the_retrieve(database, work):
    # Given
    expect(database, an_expected("1", "1.1", "1.1.1", state="expected"))
    # When
    result, _ = give_up(database, work, PeerError(Outcome.TIMED_OUT, "no response for 60 s"))
    # Then
    assert (result.end_job.status, result.end_job.failure) == ("failed", "timed_out")


def test_a_silent_series_is_given_up_alone_where_others_arrive(database, work):
    # Given
    arrived = an_expected("1", "1.2", "1.2.1", arrived_at=NOW - timedelta(seconds=1))
    expect(database, arrived, an_expected("1", "1.1", "1.1.1", state="expected"))
    # When
    result, tasks = give_up(database, work, PeerError(Outcome.TIMED_OUT, "no response for 60 s"))
    # Then
    assert result.end_job is None
    [task] = tasks
    assert task.payload["parts"] == [["1", "1.1", ["1.1.1"]]]
    assert task.payload["round"] == 2


def test_what_cannot_be_requested_more_simply_is_lost(database, work):
    # Given
    arrived = an_expected("1", "1.2", "1.2.1", arrived_at=NOW)
    expect(database, arrived, an_expected("1", "1.1", "1.1.1", state="expected"))
    # When
    error = PeerError(Outcome.ABORTED, "the peer ended the association")
    _, tasks = give_up(database, work, error, round=3)
    # Then
    assert tasks == []
    with database.read() as session:
        row = session.get_one(RetrieveObject, ("retrieve-1", "1", "1.1", "1.1.1"))
    assert (row.state, row.reason) == ("failed", "aborted")
    assert row.detail == str(error)


def test_the_weakest_proof_stands(database, work):
    for proof, stands in (("receipts", "receipts"), ("reported", "reported"), ("find", "reported")):
        with database.write() as session:
            weaken_proof(session, "retrieve-1", proof)
        with database.read() as session:
            assert session.get_one(Retrieve, "retrieve-1").verification == stands


ORDER = RunRetrieve(query_id="query-1")


def filled(database, order: RunRetrieve = ORDER, *, ignore_known: bool = True) -> set[tuple[str, str]]:
    """Fill a retrieve; return series and object of each row."""
    with database.write() as session:
        assert keeps_anything(session, order)
        fill(session, "retrieve-1", order, ignore_known=ignore_known, content="whole")
        rows = session.query(RetrieveObject.series_instance_uid, RetrieveObject.sop_instance_uid)
        return {(series, uid) for series, uid in rows.filter_by(job_id="retrieve-1")}


def keep(database, *rows) -> None:
    with database.write() as session:
        for row in rows:
            session.add(row)
            session.flush()


def test_requested_objects_fall_only_by_a_number_that_is_shown(database, work):
    # Given
    expect(database, an_expected("1", "1.1", "", announced=100))
    # When the PACS lists 98 of them, and 90 of these are counted later
    with database.write() as session:
        add_counts(session, "retrieve-1", asked=-2)
    with database.write() as session:
        session.get_one(RetrieveObject, ("retrieve-1", "1", "1.1", "")).announced = 90
        session.flush()
        recount(session, "retrieve-1")
    # Then
    with database.read() as session:
        counts = retrieve_counts(session, session.get_one(Retrieve, "retrieve-1"))
    assert (counts["asked"], counts["fewer_than_announced"]) == (90, 10)


def test_only_what_was_kept_is_expected(database, work):
    # Given
    keep(
        database,
        a_study("1"),
        a_series("1", "1.1", whole=False),
        an_object("1", "1.1", "1.1.1"),
        an_object("1", "1.1", "1.1.2", decision="drop"),
        a_series("1", "1.2", decision="drop"),
        a_study("2", decision="drop"),
        a_series("2", "2.1"),
        an_object("2", "2.1", "2.1.1"),
        a_study("3"),
        a_series("3", "3.1", instance_count=4),
    )
    # Then
    assert filled(database) == {("1.1", "1.1.1"), ("3.1", "")}


@pytest.mark.parametrize(("ignore_known", "left"), [(True, {"1.1.3"}), (False, {"1.1.2", "1.1.3"})])
def test_what_is_here_is_left_out(database, work, ignore_known, left):
    # Given
    keep(
        database,
        a_study("1"),
        a_series("1", "1.1"),
        *(an_object("1", "1.1", f"1.1.{number}") for number in (1, 2, 3)),
        a_retrieve("earlier"),
        an_expected("1", "1.1", "1.1.1", "earlier"),
        stored("1.1.2"),
        stored("1.1.3", source="registered"),
    )
    # Then
    assert {uid for _, uid in filled(database, ignore_known=ignore_known)} == left


@pytest.mark.parametrize(("announced", "left"), [(2, set()), (3, {("1.1", "")}), (None, {("1.1", "")})])
def test_a_series_without_names_is_left_out_once_all_of_it_is_here(database, work, announced, left):
    # Given
    keep(
        database,
        a_study("1"),
        a_series("1", "1.1", instance_count=announced),
        stored("1.1.1"),
        stored("1.1.2"),
    )
    # Then
    assert filled(database) == left


@pytest.mark.parametrize(
    "order",
    [
        RunRetrieve(query_id="query-1", types=["MG"]),
        RunRetrieve(query_id="query-1", study_instance_uids=["2"]),
    ],
)
def test_a_selection_is_kept_to(database, work, order):
    # Given
    keep(
        database,
        a_study("1"),
        a_series("1", "1.1"),
        an_object("1", "1.1", "1.1.1"),
        a_study("2", type="MG"),
        a_series("2", "2.1"),
        an_object("2", "2.1", "2.1.1"),
    )
    # Then
    assert filled(database, order) == {("2.1", "2.1.1")}


def test_the_ledger_is_planned_page_by_page(database, work):
    # Given
    keep(
        database,
        *(
            row
            for number in range(1, 8)
            for row in (
                a_study(f"{number}"),
                a_series(f"{number}", f"{number}.1", whole=number % 2 == 1),
                an_object(f"{number}", f"{number}.1", f"{number}.1.1"),
            )
        ),
        a_study("9"),
        a_series("9", "9.1"),
    )
    filled(database)
    # When
    tasks: list[NewTask] = []
    after = None
    with database.read() as session:
        context = context_of(session, "retrieve-1", work._settings)
        while True:
            planned = Claim("retrieve-1", 1, "plan", {"after": after}, "token", 0, 0.0)
            tasks += plan(session, context, planned, page_series=3).write(session)
            if tasks[-1].kind != "plan":
                break
            after = tasks.pop().payload["after"]
    # Then
    payloads: list[tuple[str, JsonDocument]] = [(task.kind, task.payload) for task in tasks]
    whole = [tuple(key) for kind, payload in payloads if kind == "move" for key in payload["whole"]]
    parts = [tuple(part[:2]) for kind, payload in payloads if kind == "move" for part in payload["parts"]]
    expect = [tuple(key) for kind, payload in payloads if kind == "expect" for key in payload["series"]]
    assert whole == [(f"{number}", f"{number}.1") for number in (1, 3, 5, 7)]
    assert parts == [(f"{number}", f"{number}.1") for number in (2, 4, 6)]
    assert expect == [("9", "9.1")]


def test_a_query_may_request_known_objects_too(database, work):
    with database.write() as session:
        session.get_one(Query, "query-1").criteria = {"types": ["CT"], "ignore_known": False}
    with database.read() as session:
        assert not context_of(session, "retrieve-1", work._settings).ignore_known


def test_what_was_learned_holds_at_its_address_only(database, work):
    # Given
    with database.write() as session:
        remote = context_of(session, "retrieve-1", work._settings).remote
        for lesson in (partial(replace, headers=False), partial(replace, series_list=50)):
            change_profile(session, 1, remote, lesson, NOW)
    with database.read() as session:
        before = context_of(session, "retrieve-1", work._settings)
    # When
    with database.write() as session:
        session.get_one(Node, 1).port = 105
        session.flush()
        moved = context_of(session, "retrieve-1", work._settings)
        change_profile(session, 1, moved.remote, partial(replace, image_list=10), NOW)
        # Then
        known = read_profile(session, 1, moved.remote)
    assert (before.offers_headers, before.capabilities.across_studies) == (False, True)
    assert (moved.offers_headers, moved.capabilities.across_studies) == (None, False)
    assert known == Profile(image_list=10)
