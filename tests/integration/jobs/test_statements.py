"""How many statements commands, tries and sweeps cost: hundreds of jobs are begun within seconds."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from services.query.commands import QueryHandler
from shared.clock import utc_now
from shared.contract.envelope import Envelope
from shared.contract.messages import RunQuery
from shared.nodes.nodes import add_node, parse_node
from tests.integration.jobs.conftest import Bench
from tests.support.services.in_process import test_settings
from tests.support.services.web import statements

__all__ = ["test_settings"]

#: Of one accepted command: its job with its first task, what is queued of it, and its first progress.
MOST_OF_A_COMMAND, MOST_COMMITS_OF_A_COMMAND = 16, 2


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


def test_a_command_costs_few_statements_and_two_commits(bench: Bench, test_settings, request):
    # Given
    add_nodes(bench)
    handler = QueryHandler(test_settings, bench.database, bench.engine, utc_now)
    commits: list[object] = []
    note = commits.append
    event.listen(bench.database.engine, "commit", note)
    request.addfinalizer(lambda: event.remove(bench.database.engine, "commit", note))
    criteria = {"types": ["CT"], "date_from": "2024-01-01", "date_until": "2024-01-01"}
    command = RunQuery(remote="pacs", store="doseqr", criteria=criteria)
    # When
    with statements(bench.database) as sent:
        handler.run(
            Envelope(
                specversion="1.0", id="query-1", source="/test", type=RunQuery.TYPE, time=utc_now(), data={}
            ),
            command,
        )
    # Then
    assert bench.in_flight("query-1") == 1
    assert len(sent) <= MOST_OF_A_COMMAND
    assert len(commits) == MOST_COMMITS_OF_A_COMMAND


@pytest.mark.parametrize("nodes", [1, 30])
def test_a_sweep_costs_as_many_statements_for_any_number_of_nodes(bench: Bench, nodes: int):
    # Given: each job has its share of its node in flight
    for number in range(nodes):
        bench.begin(1, f"query-{number}", remote_id=number)
        bench.engine.advance(f"query-{number}")
    # When
    with statements(bench.database) as sent:
        bench.engine.sweep(queue_is_empty=False)
    # Then: what is recovered, standings of nodes with due work, ends to announce, whether a job is open
    assert len(sent) == 4
