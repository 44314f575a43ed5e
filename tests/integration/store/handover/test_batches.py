"""What arrives is put into batches and handed over at least once, until it is taken or given up."""

from __future__ import annotations

import threading

from services.store.handover.batching import MAX_OBJECTS, add_arrivals, close
from services.store.handover.model import Batch, InterruptedHandoverError
from services.store.handover.outbox import claim_next, requeue_failed
from tests.integration.store.handover.conftest import Importer
from tests.support.waiting import wait_until


def test_the_objects_of_a_retrieve_go_together_once_it_has_ended(any_ward, importer):
    # Given
    ward = any_ward
    ward.mark()
    ward.retrieve("r1", "1.3.1", "1.3.2", "1.3.3")
    ward.arrives("1.3.1", "1.3.2")
    ward.starts(importer)
    ward.until(["open"])
    # When
    ward.arrives("1.3.3")
    ward.ends("r1")
    # Then
    (batch,) = ward.until(["done"])
    assert (batch.job_id, batch.objects, batch.attempts) == ("r1", 3, 1)
    assert importer.objects == [["1.3.1", "1.3.2", "1.3.3"]]
    assert importer.batches[0].job_id == "r1"


def test_what_comes_by_itself_goes_by_study_when_it_is_quiet(any_ward, importer):
    # Given
    ward = any_ward
    ward.mark()
    ward.arrives("1.3.1", study="1.1")
    ward.arrives("1.4.1", "1.4.2", study="1.9")
    ward.starts(importer)
    ward.until(["open", "open"])
    # When
    ward.time.pass_by(11)
    # Then
    ward.until(["done", "done"])
    assert {batch.study_instance_uid for batch in importer.batches} == {"1.1", "1.9"}


def test_a_large_retrieve_goes_in_several_batches(ward, importer):
    # Given
    uids = [f"1.3.{number}" for number in range(MAX_OBJECTS * 2 + 7)]
    ward.mark()
    ward.retrieve("r1", *uids)
    ward.arrives(*uids)
    # When
    ward.starts(importer)
    ward.until(["done", "done", "open"])
    ward.ends("r1")
    # Then
    ward.until(["done"] * 3)
    assert sorted(uid for uids in importer.objects for uid in uids) == sorted(uids)


def test_a_series_whose_objects_nobody_named_belongs_to_its_retrieve(ward, importer):
    # Given
    ward.mark()
    ward.retrieve("r1", "")
    ward.arrives("1.3.7")
    ward.starts(importer)
    ward.until(["open"])
    # When
    ward.ends("r1")
    # Then
    assert ward.until(["done"])[0].job_id == "r1"


def test_what_arrived_while_nobody_handed_over_belongs_to_the_retrieve_of_its_time(ward, importer):
    # Given
    ward.mark()
    ward.retrieve("r1", "1.3.1")
    ward.arrives("1.3.1")
    ward.ends("r1")
    ward.time.pass_by(86_400)
    # When
    ward.starts(importer)
    # Then
    assert ward.until(["done"])[0].job_id == "r1"


def test_what_arrived_before_an_importer_was_ever_set_is_left_alone(ward, importer):
    # Given
    ward.arrives("1.3.1")
    ward.time.pass_by(3600)
    worker = ward.starts(importer)
    # When
    ward.arrives("1.3.2", study="1.9")
    ward.until(["open"])
    ward.time.pass_by(11)
    # Then
    ward.until(["done"])
    worker.stop(10)
    assert importer.objects == [["1.3.2"]]


def test_the_same_bytes_again_are_not_handed_over_again_and_other_bytes_are(ward, importer):
    # Given
    ward.mark()
    ward.arrives("1.3.1")
    ward.starts(importer)
    ward.until(["open"])
    ward.time.pass_by(11)
    ward.until(["done"])
    # When
    ward.arrives("1.3.1")
    ward.arrives("1.3.2", study="1.9")
    ward.until(["done", "open"])
    ward.arrives("1.3.1", sha256="b" * 64)
    ward.until(["done", "open", "open"])
    ward.time.pass_by(11)
    # Then
    ward.until(["done"] * 3)
    assert sorted(importer.objects) == [["1.3.1"], ["1.3.1"], ["1.3.2"]]


def test_a_batch_is_tried_again_with_growing_pauses_and_the_same_id(ward, importer):
    # Given
    importer.refusals = 2
    ward.mark()
    ward.retrieve("r1", "1.3.1")
    ward.arrives("1.3.1")
    ward.ends("r1")
    ward.starts(importer)
    # When
    wait_until(lambda: [batch.attempts for batch in ward.batches() if batch.state == "waiting"] == [1])
    (first,) = ward.batches()
    ward.time.pass_by(11)
    wait_until(lambda: [batch.attempts for batch in ward.batches() if batch.state == "waiting"] == [2])
    (second,) = ward.batches()
    ward.time.pass_by(61)
    # Then
    (done,) = ward.until(["done"])
    assert (first.due_at - first.tried_at).total_seconds() == 10
    assert (second.due_at - second.tried_at).total_seconds() == 60
    assert first.reason == second.reason == "http_status"
    assert (done.attempts, done.reason, done.detail) == (3, "", "")
    assert len({batch.id for batch in importer.batches}) == 1
    assert [batch.attempt for batch in importer.batches] == [1, 2, 3]


def test_a_batch_that_is_never_taken_is_given_up_and_can_be_tried_anew(any_ward, importer):
    # Given
    ward = any_ward
    importer.refusals = 2
    ward.mark()
    ward.retrieve("r1", "1.3.1")
    ward.arrives("1.3.1")
    ward.ends("r1")
    ward.starts(importer, pauses=(0.0,))
    (failed,) = ward.until(["failed"])
    assert failed.detail == "The importer responded with HTTP status 503."
    # When
    others = requeue_failed(ward.database, "another", ward.time.now)
    again = requeue_failed(ward.database, "r1", ward.time.now)
    # Then
    (done,) = ward.until(["done"])
    assert (others, again, done.id, done.attempts) == (0, 1, failed.id, 1)


def test_of_two_processes_one_hands_over(ward):
    # Given
    first, second = Importer(), Importer()
    ward.mark()
    ward.retrieve("r1", "1.3.1")
    ward.arrives("1.3.1")
    ward.ends("r1")
    # When
    ward.starts(first)
    ward.starts(second)
    # Then
    ward.until(["done"])
    assert len(first.batches) + len(second.batches) == 1


def test_another_process_goes_on_when_the_first_ends(ward):
    # Given
    first, second = Importer(), Importer()
    ward.mark()
    worker = ward.starts(first)
    ward.arrives("1.3.1")
    ward.until(["open"])
    # When
    ward.starts(second)
    worker.stop(10)
    ward.time.pass_by(11)
    # Then
    ward.until(["done"])
    assert (first.objects, second.objects) == ([], [["1.3.1"]])


def test_a_batch_whose_process_died_is_tried_again_and_given_up_some_time(any_ward):
    # Given
    ward = any_ward
    ward.retrieve("r1", "1.3.1")
    ward.arrives("1.3.1")
    add_arrivals(ward.database, ward.time.now, ward.time.now)
    close(ward.database, ["r1"], ward.time.now)
    # When
    tries = []
    for _ in range(3):
        tries.append(claim_next(ward.database, (10.0,), ward.time.now))
        ward.time.pass_by(11)
    # Then
    assert [batch.attempt if batch else None for batch in tries] == [1, 2, None]
    assert [(batch.state, batch.reason) for batch in ward.batches()] == [("failed", "interrupted")]


def test_a_try_that_the_end_of_the_service_cuts_short_does_not_count(ward):
    # Given
    stopping, begun = threading.Event(), threading.Event()

    def slow(batch: Batch) -> None:
        begun.set()
        stopping.wait()
        raise InterruptedHandoverError("the service ends")

    ward.mark()
    ward.retrieve("r1", "1.3.1")
    ward.arrives("1.3.1")
    ward.ends("r1")
    worker = ward.starts(slow, stopping=stopping)
    assert begun.wait(30)
    # When
    worker.stop(10)
    # Then
    assert [(batch.state, batch.attempts) for batch in ward.batches()] == [("waiting", 0)]
