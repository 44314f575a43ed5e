"""A long list of accession numbers, queried part by part by the real service, and cancelled in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.clock import utc_now
from shared.nodes.nodes import find_node
from shared.study_lists.ledger import ListState, NewList, add_list, cancel_list, list_states
from simulator.scp import ScriptedPacs
from tests.integration.query.test_query import ready
from tests.support.peers.studies import ct_study
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

STUDIES = 5


@pytest.fixture(autouse=True)
def short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.query.study_lists.TICK_S", 0.05)
        patch.setattr("shared.study_lists.ledger.MAX_IDENTIFIERS", 2)
        yield


def begun(system: System, numbers: list[str]) -> str:
    with system.database.write() as session:
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


def state(system: System, list_id: str) -> ListState:
    with system.database.read() as session:
        (found,) = list_states(session, 1, list_id)
        return found


def test_every_part_of_a_list_is_queried(system: System, scripted_pacs) -> None:
    # Given
    studies = [ct_study(accession_number=f"A{number}") for number in range(STUDIES)]
    ready(system, scripted_pacs(studies))
    # When
    list_id = begun(system, [f"A{number}" for number in range(STUDIES)])
    wait_until(lambda: state(system, list_id).row.ended_at is not None)
    # Then
    found = state(system, list_id)
    assert (found.status, found.parts, found.ended, found.kept) == ("completed", 3, 3, STUDIES)
    assert system.query_json(f"{list_id}-1")["priority"] == "background"


def test_a_cancelled_list_ends_its_parts(system: System, scripted_pacs) -> None:
    # Given
    pacs: ScriptedPacs = scripted_pacs([ct_study(accession_number="A1")], answer_delay_s=0.5)
    ready(system, pacs)
    list_id = begun(system, [f"A{number}" for number in range(40)])
    wait_until(lambda: state(system, list_id).found > 0)
    # When
    with system.database.write() as session:
        assert cancel_list(session, list_id, "ben", utc_now())
    wait_until(lambda: state(system, list_id).row.ended_at is not None)
    # Then
    found = state(system, list_id)
    assert (found.status, found.ended < found.parts) == ("cancelled", True)
