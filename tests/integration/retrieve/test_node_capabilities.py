"""What a profile says of a node is used: lists across studies."""

from __future__ import annotations

from typing import Any

from services.retrieve.tasks import RetrieveJobService
from shared.clock import utc_now
from shared.contract.envelope import new_id
from shared.database.models import Retrieve
from shared.dicom.cancellation import Cancellation
from shared.jobs.model import Claim
from shared.jobs.new_task import NewTask
from shared.node_access.pool import AssociationPool
from shared.nodes.peers import timeouts_of
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.studies import objects, sr_only_study


def test_a_node_that_takes_lists_across_studies_gets_one_request(retrieves: Retrieves, scripted_pacs):
    # Given: a retrieve whose rows are filled, and nobody who works on it yet
    studies = [sr_only_study() for _ in range(10)]
    pacs = scripted_pacs(studies)
    retrieves.connect(pacs, workers=0)
    retrieves.kept(studies)
    system, job_id = retrieves.system, new_id()
    pool = AssociationPool(timeouts_of(system.settings))
    work = RetrieveJobService(system.settings, system.database, pool, lambda _job_id: None, utc_now)
    retrieves.learn(series_list=50)
    retrieves.fill(job_id)

    def perform(kind: str, payload: dict[str, Any]) -> list[NewTask]:
        claim = Claim(job_id, 1, kind, payload, "token", 0, 0.0)
        result = work.perform(claim, Cancellation())
        with system.database.write() as session:
            return list(result.write(session))

    # When
    [task] = perform("plan", {"after": None})
    follows = perform(task.kind, task.payload)
    pool.close()
    # Then
    assert follows == []
    [request] = recorded_requests(pacs)
    assert len(request.keys["SeriesInstanceUID"]) == 10
    assert set(retrieves.objects(job_id)) == objects(*studies)
    with system.database.read() as session:
        assert session.get_one(Retrieve, job_id).arrived == 10
