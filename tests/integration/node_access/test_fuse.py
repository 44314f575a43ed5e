"""The fuse of a node, counted by the PACS itself: a job that would call for ever calls as often as it may."""

from __future__ import annotations

import pytest

from services.web.live.trouble import Trouble
from shared.clock import utc_now
from shared.database.models import NodeBudget
from shared.dicom.association.c_echo import open_echo_association
from shared.dicom.association.fuse import FuseBlownError
from shared.dicom.peer import Timeouts
from shared.nodes.peers import peer_of
from shared.reading.metrics.ledger_metrics import ledger_metrics
from tests.integration.query.test_sharing import LAST, of_days
from tests.support.peers.studies import ct_study, days_of
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

CEILING = 5


@pytest.fixture
def fused(system: System) -> System:
    """A system whose fuses blow early, and that tries again without a pause."""
    values = {"fuse_failed_attempts": CEILING, "retry_pauses": (0.0,) * 20}
    system.settings = system.settings.model_copy(update=values)
    system.add_own_store()
    return system


def blown(system: System, node_id: int) -> bool:
    with system.database.read() as session:
        budget = session.get(NodeBudget, node_id)
        return budget is not None and budget.fuse_blown_until is not None


def test_a_node_that_fails_each_association_is_left_alone_by_all_services(fused, scripted_pacs):
    # Given
    pacs = scripted_pacs(days_of(5, LAST, LAST, ct_study), reject_associations="no_reason_given")
    node = fused.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    fused.start("query")
    # When
    jobs = [fused.query(of_days(20)) for _ in range(3)]
    wait_until(lambda: blown(fused, node.id))
    wait_until(lambda: all("has blown" in fused.query_json(job_id)["note"] for job_id in jobs))
    called = pacs.witness.associations_rejected
    with pytest.raises(FuseBlownError):
        open_echo_association(peer_of(node, fused.settings), Timeouts(1.0, 1.0))
    with fused.database.read() as session:
        metrics = {
            metric.name: metric for metric in ledger_metrics(session, utc_now(), {"query": 4, "retrieve": 4})
        }
    fused.stop()
    # Then
    assert CEILING <= called <= CEILING + node.max_associations
    assert pacs.witness.associations_rejected == called
    assert metrics["doseqr_node_fuse_blown"].samples[0].value == 1
    assert "fuse" in Trouble(fused.database).complaints()[0].text
