"""A retrieve within a node's limits: nothing is requested twice because it had to wait."""

from __future__ import annotations

from collections import Counter

from shared.nodes.nodes import change_node, find_node
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.studies import ct_study, objects


def limit(retrieves: Retrieves, **limits) -> None:
    with retrieves.system.database.write() as session:
        node = find_node(session, "pacs")
        change_node(session, node, limits)


def test_two_services_share_one_association_for_finding_and_moving(
    retrieves_on_each_database: Retrieves, scripted_pacs
):
    # Given
    retrieves = retrieves_on_each_database
    studies = [ct_study() for _ in range(20)]
    pacs = scripted_pacs(studies, move_uid_lists="refused")
    retrieves.connect(pacs)
    limit(retrieves, max_associations=1)
    retrieves.start()
    retrieves.kept(studies, named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "completed"
    assert set(retrieves.objects(retrieve["id"])) == objects(*studies)
    assert pacs.witness.associations_most == 1


def test_moves_that_wait_for_their_minute_are_not_sent_again(retrieves: Retrieves, scripted_pacs):
    # Given
    studies = [ct_study() for _ in range(8)]
    pacs = scripted_pacs(studies)
    retrieves.connect(pacs)
    limit(retrieves, requests_per_minute=120)
    retrieves.start()
    retrieves.kept(studies, named=False)
    # When
    retrieve = retrieves.run()
    # Then
    sent = [
        (request.operation, uid)
        for request in pacs.witness.requests
        for uid in request.keys["SeriesInstanceUID"]
    ]
    assert retrieve["status"] == "completed"
    assert max(Counter(sent).values()) == 1
    assert {request.operation for request in recorded_requests(pacs)} == {"move"}
