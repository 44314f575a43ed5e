"""An ended retrieve is run again: another one orders what has not arrived, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contract.messages import BACKGROUND, AskAgain, Rejected
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import series, study


def begin(retrieves: Retrieves, scripted_pacs, **kept: Any):
    """Return a retrieve service whose PACS loses two of six images."""
    kept_study = study(series("ct_image", 6))
    uids = [instance.sop_instance_uid for instance in kept_study.series[0].instances]
    pacs = scripted_pacs([kept_study], fail=uids[:2])
    retrieves.connect(pacs)
    retrieves.kept([kept_study], **kept)
    return retrieves, pacs, uids


@pytest.fixture
def ready(retrieves: Retrieves, scripted_pacs):
    return begin(retrieves, scripted_pacs)


@pytest.fixture
def ready_on_each_database(retrieves_on_each_database: Retrieves, scripted_pacs):
    return begin(retrieves_on_each_database, scripted_pacs)


def again(retrieves: Retrieves, job_id: str, command_id: str | None = None) -> str:
    return retrieves.system.command(AskAgain(job_id=job_id, requested_by="physicist"), command_id)


def refused(retrieves: Retrieves, job_id: str) -> str:
    command_id = again(retrieves, job_id)
    event: Rejected = retrieves.system.wait_for_event(Rejected)
    assert (event.command_id, event.field) == (command_id, "data.job_id")
    return event.problem


def test_only_what_has_not_arrived_is_requested(ready_on_each_database):
    # Given
    retrieves, pacs, uids = ready_on_each_database
    first = retrieves.run()
    pacs.change(fail=())
    # When
    second_id = again(retrieves, first["id"])
    retrieves.system.wait_for_end(second_id)
    # Then
    second = retrieves.system.retrieve_json(second_id)
    assert (first["status"], first["counts"]["arrived"]) == ("incomplete", 4)
    assert (second["status"], second["query"]) == ("completed", first["query"])
    assert (second["counts"]["asked"], second["requested_by"]) == (2, "physicist")
    assert set(retrieves.objects(second_id)) == set(uids[:2])


@pytest.mark.parametrize("counted", [True, False])
def test_what_was_listed_before_is_counted_from_the_first_moment(
    retrieves_on_each_database, scripted_pacs, counted
):
    # Given: a series of which the query knows no object
    retrieves, _, uids = begin(retrieves_on_each_database, scripted_pacs, named=False, counted=counted)
    first = retrieves.run()
    # When
    retrieves.fill("second")
    # Then
    assert (first["counts"]["asked"], first["counts"]["arrived"]) == (6, 4)
    assert retrieves.job("second").asked == 2
    assert set(retrieves.objects("second")) == set(uids[:2])


def test_the_same_command_twice_orders_one_retrieve(ready):
    # Given
    retrieves, pacs, _ = ready
    first = retrieves.run()
    pacs.change(fail=())
    # When
    for _ in range(2):
        again(retrieves, first["id"], "again-1")
    retrieves.system.wait_for_end("again-1")
    again(retrieves, first["id"], "again-1")
    # Then
    problem = refused(retrieves, "again-1")
    assert problem == "nothing is missing: all of it has arrived"
    endings = retrieves.system.endings("again-1")
    assert all(ending == endings[0] for ending in endings)
    assert len(retrieves.system.published(Rejected)) == 1


def test_what_has_arrived_since_is_not_requested(ready):
    # Given
    retrieves, pacs, _ = ready
    first = retrieves.run()
    pacs.change(fail=())
    retrieves.run()
    # When / Then
    assert refused(retrieves, first["id"]) == "nothing is missing: all of it has arrived since"


def test_a_retrieve_that_runs_is_refused(ready):
    # Given
    retrieves, _, _ = ready
    retrieves.fill("running")
    # When / Then
    assert refused(retrieves, "running") == "has not ended yet; it is running"


def test_the_part_that_was_chosen_and_the_priority_stay(ready):
    # Given
    retrieves, pacs, _ = ready
    uid = next(iter(retrieves.objects(retrieves.run()["id"]).values())).study_instance_uid
    first = retrieves.run(study_instance_uids=[uid], priority=BACKGROUND)
    pacs.change(fail=())
    # When
    second_id = again(retrieves, first["id"])
    retrieves.system.wait_for_end(second_id)
    # Then
    second = retrieves.system.retrieve_json(second_id)
    assert second["selection"]["study_instance_uids"] == [uid]
    assert second["priority"] == first["priority"] == BACKGROUND


def test_a_query_is_left_to_its_own_service(ready):
    # Given
    retrieves, _, _ = ready
    again(retrieves, "query-1")
    again(retrieves, "nobody")
    # When
    first = retrieves.run()
    # Then
    assert first["status"] == "incomplete"
    assert retrieves.system.published(Rejected) == []
