"""How many statements commands, tries and sweeps cost: hundreds of jobs are begun within seconds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import event

from services.query.commands import QueryHandler
from shared.clock import utc_now
from shared.contract.envelope import Envelope
from shared.contract.messages import RunQuery
from shared.database.models import Query
from shared.dicom.errors import Outcome
from shared.node_access.leases import locked_budget, note_outage
from shared.node_access.outage import Outage
from shared.nodes.nodes import add_node, find_node, parse_node
from shared.settings import Settings
from tests.integration.jobs.conftest import Bench
from tests.support.services.in_process import test_settings
from tests.support.services.web import statements

__all__ = ["test_settings"]

#: Of one accepted command: its job with its first task, what is queued of it, and its first progress.
MOST_OF_A_COMMAND, COMMITS_OF_A_COMMAND = 13, 1
#: Of a job that waits because its node could not be reached shortly before.
MOST_OF_A_WAIT = 15


def add_nodes(bench: Bench) -> None:
    common = {"host": "127.0.0.1", "port": 104}
    with bench.database.write() as session:
        add_node(
            session, parse_node({"kind": "remote", "name": "pacs", "ae_title": "PACS", **common}), utc_now()
        )
        add_node(
            session,
            parse_node({"kind": "store", "name": "doseqr", "ae_title": "DOSEQR", **common}),
            utc_now(),
        )


def accept(bench: Bench, settings: Settings) -> None:
    """Accept the command of `query-1`."""
    handler = QueryHandler(settings, bench.database, bench.engine, utc_now)
    criteria = {"types": ["CT"], "date_from": "2024-01-01", "date_until": "2024-01-01"}
    envelope = Envelope(
        specversion="1.0", id="query-1", source="/test", type=RunQuery.TYPE, time=utc_now(), data={}
    )
    handler.run(envelope, RunQuery(remote="pacs", store="doseqr", criteria=criteria))


def note_outage_of_pacs(bench: Bench, *, try_in_s: float) -> datetime:
    """Note that the node was not reached a moment ago; return when it may be tried again."""
    now = utc_now()
    with bench.database.write() as session:
        budget = locked_budget(session, find_node(session, "pacs").id, now)
        next_try_at = now + timedelta(seconds=try_in_s)
        note_outage(budget, Outage(3, now, next_try_at, Outcome.TIMED_OUT, "no connection to PACS"))
    return next_try_at


def test_a_command_costs_few_statements_and_one_commit(bench: Bench, test_settings, request):
    # Given
    add_nodes(bench)
    commits: list[object] = []
    note = commits.append
    event.listen(bench.database.engine, "commit", note)
    request.addfinalizer(lambda: event.remove(bench.database.engine, "commit", note))
    # When
    with statements(bench.database) as sent:
        accept(bench, test_settings)
    # Then
    assert bench.in_flight("query-1") == 1
    assert len(sent) <= MOST_OF_A_COMMAND
    assert len(commits) == COMMITS_OF_A_COMMAND


def test_no_task_is_queued_while_its_node_is_not_tried(bench: Bench, test_settings):
    # Given
    add_nodes(bench)
    next_try_at = note_outage_of_pacs(bench, try_in_s=60)
    # When
    with statements(bench.database) as sent:
        accept(bench, test_settings)
    bench.engine.sweep(queue_is_empty=True)
    # Then
    with bench.database.read() as session:
        job = session.get_one(Query, "query-1")
        note, next_try = job.waits_for, job.next_try_at
    assert bench.in_flight("query-1") == 0
    assert len(sent) <= MOST_OF_A_WAIT
    assert next_try == next_try_at
    assert note.startswith("pacs — timed out: no connection to PACS; next try at ")
    assert [task.due_at for task in bench.tasks()] == [next_try_at]


def test_one_task_of_a_job_tries_a_node_that_was_away(bench: Bench):
    # Given
    add_nodes(bench)
    note_outage_of_pacs(bench, try_in_s=-1)
    with bench.database.read() as session:
        node_id = find_node(session, "pacs").id
    # When
    bench.begin(3, remote_id=node_id)
    bench.engine.advance("query-1")
    # Then
    assert bench.in_flight("query-1") == 1


@pytest.mark.parametrize("nodes", [1, 30])
def test_a_sweep_costs_as_many_statements_for_any_number_of_nodes(bench: Bench, nodes: int):
    # Given: each job has its share of its node in flight
    for number in range(nodes):
        bench.begin(1, f"query-{number}", remote_id=number)
        bench.engine.advance(f"query-{number}")
    # When
    with statements(bench.database) as sent:
        bench.engine.sweep(queue_is_empty=False)
    # Then: what is recovered, standings, jobs raised elsewhere, ends to announce, whether a job is open
    assert len(sent) == 5
