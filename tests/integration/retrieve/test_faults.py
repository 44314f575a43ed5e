"""A retrieve from a PACS that does not behave: what arrived counts, not what the PACS reports."""

from __future__ import annotations

import pytest

from shared.contract.events import WorkerHeartbeat
from shared.contract.messages import Progress
from shared.contract.text import StoreState
from shared.reading.retrieve_json import RetrieveJson
from simulator.behaviour import Fault
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.studies import ct_study, objects, series, study
from tests.support.ports import free_port


@pytest.fixture
def kept_study():
    """A study of two series, with seven objects."""
    return study(series("ct_image", 5), series("ct_image", 2))


def outcome(retrieve: RetrieveJson) -> tuple[str, int, int]:
    return retrieve["status"], retrieve["counts"]["asked"], retrieve["counts"]["arrived"]


def test_failed_objects_of_a_warning_are_requested_again_alone(
    retrieves: Retrieves, scripted_pacs, kept_study
):
    # Given
    failing = sorted(objects(kept_study))[:2]
    pacs = scripted_pacs([kept_study], fail=failing, fail_times=1)
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 7, 7)
    first, second = recorded_requests(pacs)
    assert (first.level, first.status) == ("SERIES", 0xB000)
    assert (second.level, sorted(second.keys["SOPInstanceUID"])) == ("IMAGE", failing)


def test_missing_counters_are_no_error(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    pacs = scripted_pacs([kept_study], move_counters="absent")
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 7, 7)
    assert len(recorded_requests(pacs)) == 1


def test_success_of_zero_objects_is_a_failure(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    pacs = scripted_pacs([kept_study], move_nothing=True)
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("failed", 7, 0)
    assert retrieve["failure"] == "nothing_arrived"
    assert {row["reason"] for row in retrieve["missing"]} == {"moved_nothing"}
    assert {row.asked for row in retrieves.objects(retrieve["id"]).values()} == {3}


def test_an_unknown_destination_ends_the_job_with_what_to_enter(retrieves: Retrieves, scripted_pacs):
    # Given
    studies = [ct_study() for _ in range(30)]
    pacs = scripted_pacs(studies)
    retrieves.connect(pacs)
    retrieves.kept(studies)
    pacs.destinations.clear()
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["failure"]) == ("failed", "move_destination_unknown")
    store = retrieves.store
    assert f"AE title {store.ae_title}, host {store.host}, port {store.port}" in retrieve["detail"]
    assert pacs.ae_title in retrieve["detail"]
    assert len(recorded_requests(pacs)) <= 2
    assert len(retrieve["missing"]) == len(objects(*studies))


def test_a_destination_that_the_pacs_forgets_in_the_middle_leaves_what_arrived(
    retrieves: Retrieves, scripted_pacs
):
    # Given
    studies = [ct_study() for _ in range(3)]
    pacs = scripted_pacs(studies, faults=[Fault(operation="move", kind="status", status=0xA801, nth=2)])
    retrieves.connect(pacs)
    retrieves.kept(studies)
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["failure"]) == ("incomplete", "move_destination_unknown")
    assert f"AE title {retrieves.store.ae_title}" in retrieve["detail"]
    assert retrieve["counts"]["arrived"] == len(objects(studies[0]))
    assert {row["reason"] for row in retrieve["missing"]} == {"move_destination_unknown"}
    assert len(recorded_requests(pacs)) == 2


def test_a_pacs_out_of_resources_gets_the_request_again_after_a_pause(
    retrieves: Retrieves, scripted_pacs, kept_study
):
    # Given
    pacs = scripted_pacs(
        [kept_study], faults=[Fault(operation="move", kind="status", status=0xA702, times=2)]
    )
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 7, 7)
    assert [request.status for request in recorded_requests(pacs)] == [0xA702, 0xA702, 0]


def test_an_abort_in_the_middle_leaves_only_the_rest_to_request(
    retrieves: Retrieves, scripted_pacs, kept_study
):
    # Given
    pacs = scripted_pacs([kept_study], faults=[Fault(operation="move", kind="abort", after_responses=3)])
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 7, 7)
    rest = {uid for request in recorded_requests(pacs)[1:] for uid in request.keys.get("SOPInstanceUID", ())}
    assert len(rest) <= 4
    assert retrieves.moves(retrieve["id"])[0].error == "aborted"


def test_a_silent_pacs_is_left_and_gets_the_request_again(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    pacs = scripted_pacs([kept_study], faults=[Fault(operation="move", kind="never_answer")])
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 7, 7)
    assert retrieves.moves(retrieve["id"])[0].error == "timed_out"


def test_objects_that_never_come_stand_in_the_ledger(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    lost = min(objects(kept_study))
    pacs = scripted_pacs([kept_study], never_arrive=[lost])
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("incomplete", 7, 6)
    [row] = retrieve["missing"]
    assert (row["sop_instance_uid"], row["state"], row["reason"]) == (lost, "missing", "not_arrived")
    assert "0x0000" in row["detail"]
    assert [request.level for request in recorded_requests(pacs)] == ["SERIES", "IMAGE", "IMAGE"]


def test_objects_that_always_fail_end_with_the_status_of_the_pacs(
    retrieves: Retrieves, scripted_pacs, kept_study
):
    # Given
    failing = min(objects(kept_study))
    pacs = scripted_pacs([kept_study], fail=[failing])
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("incomplete", 7, 6)
    [row] = retrieve["missing"]
    assert (row["sop_instance_uid"], row["state"]) == (failing, "failed")
    assert row["reason"] == "out_of_resources"


def test_one_bad_series_does_not_stop_the_others(retrieves: Retrieves, scripted_pacs):
    # Given
    studies = [ct_study() for _ in range(4)]
    bad = studies[1].series[0].series_instance_uid
    pacs = scripted_pacs(
        studies, faults=[Fault(operation="move", kind="status", status=0xC001, uid=bad, always=True)]
    )
    retrieves.connect(pacs)
    retrieves.kept(studies)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "incomplete"
    assert {row["series_instance_uid"] for row in retrieve["missing"]} == {bad}
    assert {row["reason"] for row in retrieve["missing"]} == {"status_failure"}


@pytest.mark.parametrize("treatment", ["refused", "empty", "first_only"])
def test_lists_that_the_pacs_does_not_take_are_requested_one_by_one(
    retrieves: Retrieves, scripted_pacs, treatment
):
    # Given
    kept_study = study(series("ct_image", 10))
    wanted = sorted(objects(kept_study))[:4]
    pacs = scripted_pacs([kept_study], move_uid_lists=treatment)
    retrieves.connect(pacs)
    retrieves.kept([kept_study], only=wanted)
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 4, 4)
    assert {len(request.keys["SOPInstanceUID"]) for request in recorded_requests(pacs)[1:]} == {1}


def test_a_pacs_without_the_series_level_is_searched_by_images(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = study(series("ct_image", 3))
    pacs = scripted_pacs([kept_study], move_levels=["STUDY", "IMAGE"])
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 3, 3)


def test_a_pacs_that_sends_later_is_waited_for(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    pacs = scripted_pacs([kept_study], move_later_s=0.2)
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 7, 7)


def test_a_pacs_that_sends_much_later_is_waited_for_without_another_request(
    retrieves: Retrieves, scripted_pacs, kept_study
):
    # Given: it sends after more than a task waits for by itself
    retrieves.grace_s = 20.0
    pacs = scripted_pacs([kept_study], move_later_s=2.5, store_pause_s=0.3)
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 7, 7)
    assert len(recorded_requests(pacs)) == 1


def test_what_never_comes_is_requested_again_after_the_grace_period(
    retrieves: Retrieves, scripted_pacs, kept_study
):
    # Given
    retrieves.grace_s = 2.0
    failing, lost = sorted(objects(kept_study))[:2]
    pacs = scripted_pacs([kept_study], never_arrive=[lost], fail=[failing], fail_times=1)
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then: what the PACS names as failed is not waited for
    assert outcome(retrieve) == ("completed", 7, 7)
    names = [request.keys.get("SOPInstanceUID", ()) for request in recorded_requests(pacs)]
    assert sorted(names[1:]) == [(failing,), (lost,)]


def test_a_series_without_names_of_which_a_part_came_is_requested_again(retrieves: Retrieves, scripted_pacs):
    # Given
    nameless = study(series("rdsr_ct", 3))
    lost = min(objects(nameless))
    pacs = scripted_pacs([nameless], image_level_empty_for=["SR"], never_arrive=[lost], fail_times=1)
    retrieves.connect(pacs)
    retrieves.kept([nameless], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 3, 3)
    assert [request.level for request in recorded_requests(pacs)] == ["SERIES", "SERIES"]


@pytest.mark.parametrize(("fail_times", "ends"), [(1, ("completed", 3, 3)), (None, ("incomplete", 3, 2))])
def test_the_rest_of_a_series_without_names_is_not_waited_for_without_end(
    retrieves: Retrieves, scripted_pacs, fail_times, ends
):
    # Given: what came of it before does not start the grace period anew
    retrieves.grace_s = 2.0
    nameless = study(series("rdsr_ct", 3))
    lost = min(objects(nameless))
    pacs = scripted_pacs([nameless], image_level_empty_for=["SR"], never_arrive=[lost], fail_times=fail_times)
    retrieves.connect(pacs)
    retrieves.kept([nameless], named=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ends


@pytest.mark.parametrize("fail_times", [1, None])
def test_a_failure_beyond_the_announced_number_of_objects_counts(
    retrieves: Retrieves, scripted_pacs, fail_times
):
    # Given: a series of two objects that is announced as one of one
    nameless = study(series("rdsr_ct", 2))
    failing = max(objects(nameless))
    pacs = scripted_pacs([nameless], image_level_empty_for=["SR"], fail=[failing], fail_times=fail_times)
    retrieves.connect(pacs)
    retrieves.kept([nameless], named=False, announced=1)
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == (("completed", 2, 2) if fail_times else ("incomplete", 2, 1))
    assert [entry["reason"] for entry in retrieve["missing"]] == ([] if fail_times else ["status_failure"])


def test_extra_objects_do_not_count(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = study(series("ct_image", 5))
    wanted = sorted(objects(kept_study))[:2]
    pacs = scripted_pacs([kept_study], extra_objects=2, store_twice=True)
    retrieves.connect(pacs)
    retrieves.kept([kept_study], only=wanted)
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 2, 2)


def test_a_permanent_rejection_ends_the_job(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    pacs = scripted_pacs([kept_study], reject_associations="calling_ae_title_not_recognized")
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert (retrieve["status"], retrieve["failure"]) == ("failed", "association_rejected")
    assert len(retrieve["missing"]) == 7


def test_a_pacs_that_is_away_is_waited_for(retrieves: Retrieves, scripted_pacs, kept_study):
    # Given
    port = free_port()
    pacs = scripted_pacs([kept_study], port=port)
    pacs.stop()
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    job_id = retrieves.order()
    retrieves.system.wait_for_event(Progress)
    again = scripted_pacs([kept_study], port=port, destinations=pacs.destinations)
    retrieves.system.wait_for_end(job_id)
    # Then
    assert outcome(retrieves.system.retrieve_json(job_id)) == ("completed", 7, 7)
    assert len(recorded_requests(again)) == 1


def test_a_series_of_unknown_size_cut_off_each_time_is_incomplete(retrieves: Retrieves, scripted_pacs):
    # Given
    kept_study = study(series("rdsr_ct", 3))
    fault = Fault(operation="move", kind="abort", after_responses=2, always=True)
    pacs = scripted_pacs([kept_study], image_level_empty_for=["SR"], faults=[fault])
    retrieves.connect(pacs)
    retrieves.kept([kept_study], named=False, counted=False)
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "incomplete"
    assert retrieve["counts"]["arrived"] >= 1
    [missing] = retrieve["missing"]
    assert (missing["sop_instance_uid"], missing["state"]) == ("", "failed")


def test_receipts_count_while_the_move_is_under_way(retrieves: Retrieves, scripted_pacs):
    # Given: a PACS that takes three seconds for one C-MOVE and sends no pending response
    kept_study = study(series("ct_image", 6))
    pacs = scripted_pacs([kept_study], store_pause_s=0.5, move_pending=False)
    retrieves.connect(pacs)
    retrieves.kept([kept_study])
    # When
    retrieve = retrieves.run()
    # Then
    assert outcome(retrieve) == ("completed", 6, 6)
    assert len(recorded_requests(pacs)) == 1
    events = retrieves.system.published(Progress)
    counts = [event.counts["arrived"] for event in events]
    assert any(0 < count < 6 for count in counts), counts
    assert counts == sorted(counts)
    assert len({row.arrived_at for row in retrieves.objects(retrieve["id"]).values()}) > 1


def test_a_full_disk_of_our_own_store_is_not_blamed_on_the_pacs(
    retrieves: Retrieves, scripted_pacs, kept_study
):
    # Given
    pacs = scripted_pacs([kept_study], move_refused_with=0xA702)
    retrieves.connect(pacs)
    retrieves.kept([kept_study], only={min(objects(kept_study))})
    state = StoreState(refused_recently=3)
    heartbeat = WorkerHeartbeat(service="store", worker="store-1", store=state)
    retrieves.system.publisher.event(heartbeat, "worker")
    # When
    retrieve = retrieves.run()
    # Then
    assert retrieve["status"] == "failed"
    assert {entry["reason"] for entry in retrieve["missing"]} == {"disk_full"}
    assert "it refused 3 objects lately" in retrieve["detail"]
    assert "0xA702" in retrieve["missing"][0]["detail"]
