"""A retrieve from a PACS that behaves: exactly what was kept, with few requests, proven by receipts."""

from __future__ import annotations

from shared.contract.messages import Accepted
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.studies import (
    DAY,
    ct_study,
    days_of,
    mg_study,
    objects,
    series,
    sr_only_study,
    study,
)


def test_whole_series_come_by_one_move_for_each_study(retrieves: Retrieves, scripted_pacs):
    # Given
    studies = [ct_study(), mg_study()]
    pacs = scripted_pacs(studies)
    retrieves.connect(pacs)
    retrieves.kept(studies)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "completed"
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(objects(*studies))
    assert retrieve["counts"]["reported_completed"] == len(objects(*studies))
    assert retrieve["verification"] == "receipts"
    assert [(request.level, request.status) for request in recorded_requests(pacs)] == [
        ("SERIES", 0),
        ("SERIES", 0),
    ]
    assert set(retrieves.objects(retrieve["id"])) == objects(*studies)
    assert [move.completed for move in retrieves.moves(retrieve["id"])] == [
        len(objects(entry)) for entry in sorted(studies, key=lambda entry: entry.study_instance_uid)
    ]


def test_single_objects_come_in_a_list_and_nothing_beside_them(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = study(series("ct_image", 10))
    wanted = sorted(objects(kept_study))[2:5]
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs)
    retrieves.kept([kept_study], only=wanted)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "completed"
    [request] = recorded_requests(pacs)
    assert (request.level, sorted(request.keys["SOPInstanceUID"])) == ("IMAGE", wanted)
    assert pacs.witness.objects_sent == 3


def test_series_without_known_names_are_named_before_the_move(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = mg_study()
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs)
    retrieves.kept([kept_study], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "completed"
    assert [request.level for request in recorded_requests(pacs, "find")] == ["IMAGE"] * len(
        kept_study.series
    )
    assert set(retrieves.objects(retrieve["id"])) == objects(kept_study)
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(objects(kept_study))


def test_a_series_that_nobody_can_name_counts_by_what_arrives(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = study(series("rdsr_ct", 2))
    pacs = scripted_pacs([kept_study], image_level_empty_for=["SR"])
    retrieves.connect(pacs)
    retrieves.kept([kept_study], named=False, counted=False)
    # When
    first = retrieves.run()
    second = retrieves.run()
    # Then
    assert (first["status"], first["counts"]["asked"], first["counts"]["arrived"]) == ("completed", 2, 2)
    assert set(retrieves.objects(first["id"])) == objects(kept_study)
    assert (second["status"], second["counts"]["asked"]) == ("completed", 0)
    assert len(recorded_requests(pacs)) == 1


def test_a_series_listed_up_to_a_silent_cap_is_requested_whole(retrieves: Retrieves, scripted_pacs):
    # Given: of 230 objects, 210 are listed; more than 200 are requested in lists where the node takes them
    kept_study = study(series("mg_image", 230))
    pacs = scripted_pacs([kept_study], cap=210, cap_levels=["IMAGE"])
    retrieves.connect(pacs)
    retrieves.learn(image_list=50)
    retrieves.kept([kept_study], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["counts"]["asked"]) == ("completed", 230)
    assert set(retrieves.objects(retrieve["id"])) == objects(kept_study)


def test_a_second_retrieve_of_what_arrived_completes_without_a_request(retrieves: Retrieves, scripted_pacs):
    # Given
    studies = [ct_study(), mg_study()]
    pacs = scripted_pacs(studies)
    retrieves.connect(pacs)
    retrieves.kept(studies)
    retrieves.run()
    before = len(pacs.witness.requests)
    # When
    second = retrieves.run()
    # Then
    assert (second["status"], second["counts"]["asked"]) == ("completed", 0)
    assert len(pacs.witness.requests) == before


def test_a_second_retrieve_requests_only_what_has_not_arrived(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = study(series("ct_image", 6))
    lost = sorted(objects(kept_study))[4:]
    pacs = scripted_pacs([kept_study], never_arrive=lost)
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    first = retrieves.run()
    pacs.change(never_arrive=[])
    before = len(recorded_requests(pacs))
    # When
    second = retrieves.run()
    # Then
    assert first["status"] == "incomplete"
    assert {row["sop_instance_uid"] for row in first["missing"]} == set(lost)
    assert (second["status"], second["counts"]["asked"]) == ("completed", 2)
    requests = [sorted(request.keys["SOPInstanceUID"]) for request in recorded_requests(pacs)[before:]]
    assert requests[0] == lost
    assert {uid for uids in requests for uid in uids} == set(lost)


def test_known_objects_are_requested_where_the_query_wants_them(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = ct_study()
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs)
    retrieves.kept([kept_study], job_id="first")
    retrieves.kept([kept_study], job_id="second", criteria={"types": ["CT"], "ignore_known": False})
    retrieves.run("first")
    # When
    again = retrieves.run("second")
    # Then
    assert (again["status"], again["counts"]["asked"]) == ("completed", len(objects(kept_study)))
    assert pacs.witness.objects_sent == 2 * len(objects(kept_study))


def test_a_selection_limits_what_is_requested(retrieves: Retrieves, scripted_pacs):
    # Given
    chosen, other = ct_study(), ct_study()
    pacs = scripted_pacs([chosen, other])
    retrieves.connect(pacs)
    retrieves.kept([chosen, other])
    # When
    retrieve = retrieves.run(study_instance_uids=[chosen.study_instance_uid], types=["ct"])
    # Then
    assert set(retrieves.objects(retrieve["id"])) == objects(chosen)
    assert retrieve["selection"] == {"types": ["CT"], "study_instance_uids": [chosen.study_instance_uid]}


def test_many_studies_are_shared_by_two_services(retrieves_on_each_database: Retrieves, scripted_pacs):
    # Given
    retrieves = retrieves_on_each_database
    studies = days_of(45, DAY, DAY, sr_only_study)
    lost = sorted(objects(*studies))[::15]
    pacs = scripted_pacs(studies, never_arrive=lost, fail_times=1)
    retrieves.connect(pacs, workers=2)
    retrieves.kept(studies)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "completed"
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == 45
    assert len(recorded_requests(pacs)) == 45 + len(lost)
    assert len(retrieves.system.endings(retrieve["id"])) == 1


def test_the_same_command_twice_is_one_retrieve(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = ct_study()
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    job_id = retrieves.order(job_id="retrieve-1")
    retrieves.order(job_id="retrieve-1")
    retrieves.system.wait_for_end(job_id)
    # Then
    assert retrieves.system.retrieve_json(job_id)["counts"]["arrived"] == len(objects(kept_study))
    assert len(recorded_requests(pacs)) == 1
    assert {event.job_id for event in retrieves.system.published(Accepted)} == {"retrieve-1"}


def test_a_query_with_its_retrieve_brings_what_it_kept(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = ct_study(with_rdsr=True)
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs)
    retrieves.system.start("query")
    day = str(kept_study.date)
    # When
    query = retrieves.system.finished_query(
        {"types": ["CT"], "date_from": day, "date_until": day}, retrieve=True
    )
    retrieves.system.wait_for_end(f"{query['id']}-r")
    # Then
    retrieve = retrieves.system.retrieve_json(f"{query['id']}-r")
    assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", 1)
    assert set(retrieves.objects(retrieve["id"])) == objects(kept_study, content="rdsr_ct")


def test_what_a_failed_query_kept_can_be_retrieved(retrieves: Retrieves, scripted_pacs):
    # Given: a query that a version before this one ended as failed though it kept a study
    kept_study = mg_study()
    retrieves.connect(scripted_pacs([kept_study]))
    retrieves.kept([kept_study], status="failed", studies_kept=1)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "completed"
    assert set(retrieves.objects(retrieve["id"])) == objects(kept_study)
