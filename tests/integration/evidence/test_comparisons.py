"""Comparisons of real queries: with the store, with a second node, and where a side is not complete."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.comparisons import ComparisonInput, order_comparison, save_comparison
from shared.database.models import Comparison, StoredObject
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.evidence.results import ComparisonResult
from shared.reading.evidence.comparison import comparison_json, csv_of, read_comparison
from simulator.archive.model import Study
from tests.support.peers.studies import DAY, ct_study
from tests.support.services.in_process import System

WINDOW = {"types": ["CT"], "date_from": DAY.isoformat(), "date_until": DAY.isoformat()}


@pytest.fixture
def system(make_system: Callable[..., System], database: Database) -> System:
    broker = MemoryBroker()
    broker.declare()
    made = make_system(broker, database)
    made.add_own_store()
    made.start("query", "retrieve", "store")
    return made


def compared(system: System, **given: object) -> ComparisonResult:
    """Run a comparison to its end."""
    with system.database.read() as session:
        asked = ComparisonInput.model_validate(WINDOW | given)
        order = order_comparison(session, asked, f"c{len(system.events)}", "ada", system.settings, utc_now())
    for job_id, command in order.commands:
        system.command(command, job_id)
    with system.database.write() as session:
        save_comparison(session, order.row)
    for job_id, _ in order.commands:
        system.wait_for_end(job_id)
    with system.database.read() as session:
        return comparison_json(read_comparison(session, order.row))


def add_pacs(system: System, scripted_pacs, name: str, studies: list[Study], **traits: object) -> None:
    destinations = {"DOSEQR": ("127.0.0.1", system.settings.store_port)}
    pacs = scripted_pacs(studies, destinations=destinations, ae_title=name.upper(), **traits)
    system.add_remote(name, pacs.host, pacs.port, pacs.ae_title)


def test_what_the_store_lacks_is_named_until_it_is_retrieved(system, scripted_pacs):
    # Given
    add_pacs(system, scripted_pacs, "pacs", [ct_study() for _ in range(3)])
    # When
    before = compared(system, node="pacs")
    missing = [entry["study_instance_uid"] for entry in before["differences"]]
    system.finished_retrieve(before["left"]["query"], study_instance_uids=missing[:1])
    between = compared(system, node="pacs")
    system.finished_retrieve(between["left"]["query"])
    after = compared(system, node="pacs")
    # Then
    assert (before["status"], before["counts"]["left_only_studies"]) == ("different", 3)
    assert (between["status"], between["counts"]["left_only_studies"]) == ("different", 2)
    assert (after["status"], after["counts"]["both"], after["differences"]) == ("nothing_differs", 3, [])


def test_what_the_node_lost_is_named_from_the_store(system, scripted_pacs):
    # Given
    kept, lost = ct_study(), ct_study()
    add_pacs(system, scripted_pacs, "pacs", [kept])
    query = system.finished_query(WINDOW)
    system.finished_retrieve(query["id"])
    report = {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.67", "source": "registered"}
    with system.database.write() as session:
        for number, uid in enumerate((kept.study_instance_uid, lost.study_instance_uid)):
            times = {"received_at": utc_now(), "last_received_at": utc_now()}
            uids = {"study_instance_uid": uid, "series_instance_uid": f"1.9.{number}"}
            session.add(StoredObject(sop_instance_uid=f"1.9.{number}.1", **uids, **report, **times))
    # When
    shown = compared(system, queries=[query["id"]], types=[], date_from="", date_until="")
    # Then: the second one has no date in any ledger
    assert [(entry["only_in"], entry["sop_instance_uid"]) for entry in shown["differences"]] == [
        ("right", "1.9.0.1")
    ]


def test_two_nodes_are_compared_object_by_object_both_ways(system, scripted_pacs):
    # Given
    both, ours, theirs = ct_study(), ct_study(), ct_study()
    report = next(series for series in both.series if series.modality == "SR")
    others = tuple(series for series in both.series if series is not report)
    without_report = dataclasses.replace(both, series=others)
    add_pacs(system, scripted_pacs, "first", [both, ours])
    add_pacs(system, scripted_pacs, "second", [without_report, theirs])
    # When
    shown = compared(system, node="first", other="second")
    # Then
    assert shown["status"] == "different"
    found = {(entry["only_in"], entry["kind"], entry["study_instance_uid"]) for entry in shown["differences"]}
    assert found == {
        ("left", "study", ours.study_instance_uid),
        ("right", "study", theirs.study_instance_uid),
        ("left", "object", both.study_instance_uid),
    }
    lost = next(entry for entry in shown["differences"] if entry["kind"] == "object")
    assert lost["sop_instance_uid"] == report.instances[0].sop_instance_uid


def test_an_empty_window_is_nothing_matched_not_nothing_differs(system, scripted_pacs):
    # Given
    add_pacs(system, scripted_pacs, "first", [ct_study()])
    add_pacs(system, scripted_pacs, "second", [ct_study()])
    # Then
    assert compared(system, node="first", other="second", types=["MG"])["status"] == "nothing_matched"


def test_queries_of_different_criteria_are_not_compared(system, scripted_pacs):
    # Given
    add_pacs(system, scripted_pacs, "pacs", [ct_study()])
    ids = [system.finished_query(WINDOW | extra)["id"] for extra in ({}, {"toshiba": True})]
    # When / Then
    with pytest.raises(InvalidInputError, match="different criteria: toshiba"):
        compared(system, queries=ids, types=[], date_from="", date_until="")


def test_the_csv_has_a_line_for_each_difference(system, scripted_pacs):
    # Given
    add_pacs(system, scripted_pacs, "pacs", [ct_study() for _ in range(2)])
    shown = compared(system, node="pacs")
    # When
    with system.database.read() as session:
        row = session.get_one(Comparison, shown["id"])
        lines = list(csv_of(read_comparison(session, row)))
    # Then
    assert lines[0].startswith("only_in,kind,study_instance_uid")
    assert len(lines) == 3
