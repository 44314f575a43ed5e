"""The pool of associations within the limits of a node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.clock import utc_now
from shared.database.models import NodeLease
from shared.dicom.errors import NotNowError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.identifiers import study_identifier
from shared.dicom.query.matches import study_match
from shared.node_access.archive import FindSession
from shared.node_access.budget import ClusterBudget
from shared.node_access.pool import AssociationPool
from shared.nodes.nodes import add_node, edit_node, find_node, list_nodes, parse_node
from tests.support.peers.studies import ct_study
from tests.support.waiting import wait_until

QUICK = Timeouts(connect_s=1.0, response_s=2.0)


def limited_peer(database, pacs, **limits) -> Peer:
    """Return the PACS as a node with these limits, made or changed."""
    values = {
        "kind": "remote",
        "name": "pacs",
        "host": pacs.host,
        "port": pacs.port,
        "ae_title": pacs.ae_title,
    }
    with database.write() as session:
        if list_nodes(session, "remote"):
            node = edit_node(session, find_node(session, "pacs"), parse_node(values | limits))
        else:
            node = add_node(session, parse_node(values | limits), utc_now())
    return Peer(pacs.host, pacs.port, pacs.ae_title, "DOSEQR", node.id)


def found(association: FindSession):
    return association.find(study_identifier(), study_match)


def closed_hours() -> str:
    """Return hours that are over by hours or come in hours."""
    later = utc_now().astimezone() + timedelta(hours=6)
    return f"{later:%H}:00-{later:%H}:30"


def is_kept_from(association: FindSession) -> bool:
    """Send a request; return whether the node's hours forbade it."""
    try:
        found(association)
    except NotNowError:
        return True
    return False


def test_the_pool_ends_an_idle_association_that_stands_in_the_way_of_another_service(
    scripted_pacs, sqlite_database
):
    # Given
    pacs = scripted_pacs([ct_study()])
    peer = limited_peer(sqlite_database, pacs, max_associations=1)
    budget = ClusterBudget(sqlite_database, "test")
    pool = AssociationPool(QUICK, budget)
    # When
    with pool.find(peer) as finding:
        assert found(finding).complete
    with pool.move(peer) as moving:
        both = (finding.alive, moving.alive)
    pool.close()
    budget.close()
    # Then
    assert both == (False, True)
    assert pacs.witness.associations == 2


def test_the_place_of_an_idle_association_that_its_peer_ended_is_given_back(
    scripted_pacs, sqlite_database, monkeypatch
):
    # Given
    monkeypatch.setattr("shared.node_access.pool.IDLE_S", 3600.0)
    pacs = scripted_pacs([ct_study()])
    peer = limited_peer(sqlite_database, pacs, max_associations=1)
    budget = ClusterBudget(sqlite_database, "test")
    pool = AssociationPool(QUICK, budget)
    with pool.find(peer) as association:
        assert found(association).complete
    # When
    pacs.stop()
    # Then
    wait_until(lambda: leases_in(sqlite_database) == 0)
    pool.close()
    budget.close()


def leases_in(database) -> int:
    with database.read() as session:
        return int(session.query(NodeLease).count())


def test_who_waits_is_served_before_who_comes_later(scripted_pacs, sqlite_database):
    # Given
    pacs = scripted_pacs([ct_study()])
    peer = limited_peer(sqlite_database, pacs, max_associations=1)
    budget = ClusterBudget(sqlite_database, "test")
    pool = AssociationPool(QUICK, budget)
    served: list[str] = []

    def serve(name: str) -> None:
        with pool.find(peer):
            served.append(name)

    # When
    with ThreadPoolExecutor() as threads:
        with pool.find(peer):
            waiting = threads.submit(serve, "waiting")
            wait_until(lambda: leases_in(sqlite_database) == 2)
        serve("late")
        waiting.result()
    pool.close()
    budget.close()
    # Then
    assert served == ["waiting", "late"]
    assert pacs.witness.associations == 1


def test_each_request_over_one_association_is_counted(scripted_pacs, sqlite_database):
    # Given
    pacs = scripted_pacs([ct_study()])
    peer = limited_peer(sqlite_database, pacs, requests_per_minute=6000)
    pool = AssociationPool(QUICK, ClusterBudget(sqlite_database, "test"))
    # When
    with pool.find(peer) as association:
        complete = [found(association).complete for _ in range(3)]
        limited_peer(sqlite_database, pacs, hours=closed_hours())
        wait_until(lambda: is_kept_from(association))
        still_open = association.alive
    pool.close()
    # Then
    assert complete == [True] * 3
    assert still_open
    assert len(pacs.witness.of("find")) >= 3
