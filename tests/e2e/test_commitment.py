"""A retrieve worker that is killed while it waits for a store node's commitment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from shared.contract.messages import Completed, RunRetrieve
from shared.database.models import Node, RetrieveCommitment
from tests.e2e.archive import wanted
from tests.e2e.slow import SOON_S
from tests.support.peers.commitment_scp import NEW, SILENT, CommittingStore, send_report
from tests.support.peers.studies import mg_study
from tests.support.processes.installation import Observed
from tests.support.waiting import wait_until


@pytest.fixture
def node() -> Iterator[CommittingStore]:
    """A store node that does not report yet."""
    store = CommittingStore(SILENT)
    store.start()
    yield store
    store.stop()


@pytest.mark.parametrize("reported", [False, True], ids=["no report", "report while nobody is there"])
def test_a_worker_started_later_goes_on_with_the_commitment_of_a_killed_one(
    installation, serving, scripted_pacs, node: CommittingStore, reported: bool
):
    # Given: a worker that has sent its request, and waits for the report
    archive = [mg_study(images=4)]
    pacs = scripted_pacs(archive)
    (worker, *_), observer = serving("retrieve", "query", "store")
    observer.add_pacs(pacs)
    store = observer.add_store("archive", "127.0.0.1", node.port, node.ae_title)
    with observer.database.write() as session:
        session.get_one(Node, store.id).verify_by = "commitment"
    pacs.destinations[node.ae_title] = node.address
    node.reports_to = observer.settings.store_port
    query = observer.finished_query({"types": ["MG"]}, store="archive")
    job_id = observer.command(RunRetrieve(query_id=query["id"]))
    wait_until(lambda: bool(node.requests))
    # When
    worker.kill()
    node.way = NEW
    if reported:
        assert send_report(node.reports_to, *node.report_on(node.requests[0])) == 0x0000
    installation.serve("retrieve")
    # Then
    observer.wait_for_end(job_id, SOON_S)
    retrieve = observer.retrieve_json(job_id)
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "commitment")
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(wanted(archive))
    assert [type(event) for event in observer.endings(job_id)] == [Completed]
    assert len(node.requests) == (1 if reported else 2)
    assert states(observer) == (["answered"] if reported else ["unanswered", "answered"])


def states(observer: Observed) -> list[str]:
    with observer.database.read() as session:
        rows = session.scalars(select(RetrieveCommitment).order_by(RetrieveCommitment.asked_at))
        return [row.state for row in rows]
