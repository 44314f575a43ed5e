"""An incomplete query is run again from the command line, by other processes than before."""

from __future__ import annotations

from tests.e2e.archive import ORDER, mixed_archive, verdict
from tests.support.waiting import wait_until

#: The PACS never responds to queries for mammography.
NO_MG = {"operation": "find", "level": "STUDY", "code": "MG", "kind": "abort", "always": True}


def test_missing_studies_are_queried_again_after_a_full_restart(installation, observe, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(30))
    pacs.add_fault(**NO_MG)
    installation.serve("query", "echo", DOSEQR_RETRY_PAUSES="[0.1]")
    observer = observe(installation)
    observer.add_pacs(pacs)
    first = installation.doseqr(*ORDER)
    installation.kill_all()
    pacs.change(faults=())
    installation.serve("query", "query", "echo")
    before = len(pacs.witness.of("find"))
    # When
    second = installation.doseqr("again", first.json["id"], "--json")
    # Then
    finds = [request for request in pacs.witness.of("find")[before:] if request.level == "STUDY"]
    assert (first.code, first.json["status"]) == (1, "incomplete")
    assert (second.code, second.json["status"], second.json["round"]) == (0, "completed", 1)
    assert {request.keys["ModalitiesInStudy"] for request in finds} == {("MG",)}
    again = installation.doseqr(*ORDER)
    assert verdict(second.json) == verdict(again.json)
    wait_until(lambda: len(observer.endings(first.json["id"])) == 2)
    assert [ending.status for ending in observer.endings(first.json["id"])] == ["incomplete", "completed"]
    third = installation.doseqr("again", first.json["id"])
    assert (third.code, "nothing is missing" in third.err) == (2, True)
