"""A PACS that refuses the IMAGE level: reports are missing, or kept whole where the option wants them."""

from __future__ import annotations

import pytest

from simulator.behaviour import Fault
from tests.integration.query.test_query import ready
from tests.support.peers.studies import DAY as ANY_DAY
from tests.support.peers.studies import ct_study

QUERY = {"types": ["CT"], "date_from": str(ANY_DAY), "date_until": str(ANY_DAY)}


def refusing(status: int) -> Fault:
    return Fault(operation="find", level="IMAGE", kind="status", status=status, always=True)


@pytest.mark.parametrize("status", [0xA900, 0xC001, 0x0122])
def test_reports_are_kept_whole_where_the_option_wants_them(system, scripted_pacs, status):
    # Given
    ready(system, scripted_pacs([ct_study(), ct_study()], faults=[refusing(status)]))
    # When
    query = system.finished_query(QUERY | {"empty_sr": True})
    # Then
    assert (query["status"], query["counts"]["by_reason"]) == ("completed", {"unknown_sr": 2})


@pytest.mark.parametrize("status", [0xA900, 0xC001, 0x0122])
def test_studies_are_missing_without_the_option_which_is_named(system, scripted_pacs, status):
    # Given
    ready(system, scripted_pacs([ct_study(), ct_study()], faults=[refusing(status)]))
    # When
    query = system.finished_query(QUERY)
    # Then
    assert query["status"] == "incomplete"
    assert all("--empty-sr" in study["detail"] for study in query["missing"])
