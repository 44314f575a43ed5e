"""A long list is queried part by part: two at a time, each once, until it ends or is cancelled."""

from __future__ import annotations

import pytest

from shared.clock import utc_now
from shared.contract.criteria import parse_criteria
from shared.contract.criteria_fields import MAX_IDENTIFIERS
from shared.database.models import Query
from shared.database.session import Database
from shared.nodes.nodes import find_node
from shared.nodes.removal import remove_node
from shared.settings import Settings
from shared.study_lists.ledger import (
    ListState,
    NewList,
    Step,
    add_list,
    cancel_list,
    list_states,
    next_step,
    open_lists,
)
from tests.support.jobs.rows import a_query
from tests.support.jobs.schedules import add_nodes

PARTS = 4


@pytest.fixture
def list_id(database: Database) -> str:
    add_nodes(database)
    numbers = [f"A{number}" for number in range(MAX_IDENTIFIERS * (PARTS - 1) + 1)]
    with database.write() as session:
        given = NewList(
            name="ris.csv",
            field="accession_numbers",
            identifiers=numbers,
            remote=find_node(session, "pacs"),
            store=find_node(session, "doseqr"),
            criteria={"types": ["CT"]},
            retrieve=False,
            requested_by="ada",
        )
        return add_list(session, given, utc_now())


def step(database: Database, list_id: str) -> Step:
    with database.write() as session:
        return next_step(session, list_id, utc_now())


def begin(database: Database, *job_ids: str, **columns: object) -> None:
    with database.write() as session:
        for job_id in job_ids:
            session.merge(a_query(job_id, **columns))


def state(database: Database, list_id: str) -> ListState:
    with database.read() as session:
        (found,) = list_states(session, 10, list_id)
        return found


def test_two_parts_run_and_the_next_follows_an_ended_one(database: Database, list_id: str):
    # When
    first = step(database, list_id)
    # Then
    criteria = [parse_criteria(part.criteria) for part in first.begin]
    assert [len(part.accession_numbers) for part in criteria] == [MAX_IDENTIFIERS] * 2
    assert criteria[0].types == ("CT",)
    # When
    begin(database, first.begin[0].job_id, status="completed", studies_found=3, studies_kept=2)
    begin(database, first.begin[1].job_id, status="running", studies_found=1)
    second = step(database, list_id)
    # Then
    assert [part.job_id for part in second.begin] == [f"{list_id}-3"]
    found = state(database, list_id)
    assert (found.status, found.parts, found.ended, found.found, found.kept) == ("running", PARTS, 1, 4, 2)


def test_a_part_without_a_query_is_taken_again(database: Database, list_id: str):
    first = step(database, list_id)
    assert [part.job_id for part in step(database, list_id).begin] == [part.job_id for part in first.begin]


@pytest.mark.parametrize(("last", "status"), [("completed", "completed"), ("failed", "incomplete")])
def test_a_list_ends_with_its_last_part(database: Database, list_id: str, last: str, status: str):
    # Given
    for _ in range(PARTS):
        for part in step(database, list_id).begin:
            begin(database, part.job_id, status=last)
    # When
    assert step(database, list_id) == Step()
    # Then
    assert state(database, list_id).status == status
    with database.read() as session:
        assert open_lists(session) == []
        numbers = [len(query.criteria) for query in session.query(Query)]
    assert len(numbers) == PARTS


def test_a_cancelled_list_begins_nothing_more(database: Database, list_id: str):
    # Given
    first = step(database, list_id)
    begin(database, first.begin[0].job_id, status="running")
    # When
    with database.write() as session:
        assert cancel_list(session, list_id, "ben", utc_now())
        assert not cancel_list(session, list_id, "ben", utc_now())
    stopping = step(database, list_id)
    # Then: also what was taken and has no query yet
    assert (stopping.begin, stopping.cancelled_by) == ([], "ben")
    assert stopping.cancel == [part.job_id for part in first.begin]
    # When
    begin(database, first.begin[0].job_id, status="cancelled")
    step(database, list_id)
    # Then
    assert state(database, list_id).status == "cancelled"


def test_a_list_names_a_node_that_was_removed(database: Database, list_id: str) -> None:
    # When
    with database.write() as session:
        remove_node(session, find_node(session, "pacs"), Settings(), utc_now())
    # Then
    assert state(database, list_id).remote == "pacs"
