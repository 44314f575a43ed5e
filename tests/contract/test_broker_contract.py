"""What every broker promises: the same assertions for the one in memory and for RabbitMQ."""

from __future__ import annotations

import threading

import pytest

from shared.broker.port import MAX_DELIVERIES, Broker, Message
from shared.broker.topology import DEAD_LETTERS, REASON_HEADER
from shared.broker.worker import Worker
from shared.errors import DatabaseAwayError, PermanentError, UnroutableError
from tests.support.servers.rabbitmq import Inbox, a_message, acked
from tests.support.waiting import wait_until


def test_command_arrives_as_it_was_sent(broker):
    # Given
    sent = a_message(
        routing_key="task.query", body=b"\x00\xff", correlation_id="job-1", headers={"traceparent": "00-1"}
    )
    inbox = Inbox(acked)
    broker.consume("query-tasks", inbox, workers=1)
    # When
    broker.command(sent)
    # Then
    inbox.wait_for(1)
    assert inbox.deliveries[0].message == sent
    assert not inbox.deliveries[0].redelivered
    assert inbox.deliveries[0].delivery_count == 0


def test_one_worker_sees_commands_in_order(broker):
    # Given
    sent = [f"m{number}" for number in range(50)]
    for message_id in sent:
        broker.command(a_message(message_id))
    inbox = Inbox(acked)
    # When
    broker.consume("echo", inbox, workers=1)
    # Then
    inbox.wait_for(50)
    assert inbox.ids == sent


def test_command_for_two_queues_reaches_both(broker):
    # Given
    query, retrieve = Inbox(acked), Inbox(acked)
    broker.consume("query", query, workers=1)
    broker.consume("retrieve", retrieve, workers=1)
    # When
    broker.command(a_message("c1", "cancel"))
    # Then
    query.wait_for(1)
    retrieve.wait_for(1)


def test_event_reaches_the_queue_that_takes_it(broker):
    # Given
    inbox = Inbox(acked)
    broker.consume("store", inbox, workers=1)
    # When
    for routing_key in ("objects.registered", "objects.stored", "objects.stored.job-1"):
        broker.event(a_message(routing_key, routing_key))
    # Then
    inbox.wait_for(2)
    assert inbox.ids == ["objects.stored", "objects.stored.job-1"]


def test_acked_message_is_forgotten(broker):
    # Given
    inbox = Inbox(acked)
    consumer = broker.consume("echo", inbox, workers=1)
    broker.command(a_message())
    inbox.wait_for(1)
    # When
    consumer.stop(10.0)
    # Then
    wait_until(lambda: broker.queue_state("echo").consumers == 0)
    assert broker.queue_state("echo").ready == 0


def test_requeued_message_comes_back_counted(broker):
    # Given
    inbox = Inbox(lambda delivery: delivery.ack() if delivery.delivery_count >= 2 else delivery.requeue())
    broker.consume("echo", inbox, workers=1)
    # When
    broker.command(a_message())
    # Then
    inbox.wait_for(3)
    assert [delivery.redelivered for delivery in inbox.deliveries] == [False, True, True]
    assert [delivery.delivery_count for delivery in inbox.deliveries] == [0, 1, 2]


def test_only_the_first_end_of_a_delivery_counts(broker):
    # Given
    def ack_then_requeue(delivery):
        delivery.ack()
        delivery.requeue()
        delivery.dead_letter("too late")

    inbox = Inbox(ack_then_requeue)
    consumer = broker.consume("echo", inbox, workers=1)
    # When
    broker.command(a_message("m1"))
    broker.command(a_message("m2"))
    # Then
    inbox.wait_for(2)
    consumer.stop(10.0)
    assert inbox.ids == ["m1", "m2"]


def test_no_more_deliveries_in_progress_than_workers(broker):
    # Given
    inbox = Inbox()
    broker.consume("echo", inbox, workers=3)
    # When
    for number in range(8):
        broker.command(a_message(f"m{number}"))
    # Then
    inbox.wait_for(3)
    wait_until(lambda: broker.queue_state("echo").ready == 5)
    assert len(inbox.deliveries) == 3


def test_workers_run_at_the_same_time(broker):
    # Given
    together = threading.Barrier(3, timeout=30)

    def meet(delivery):
        together.wait()
        delivery.ack()

    inbox = Inbox(meet)
    broker.consume("echo", inbox, workers=3)
    # When
    for number in range(3):
        broker.command(a_message(f"m{number}"))
    # Then
    inbox.wait_for(3)
    wait_until(lambda: together.n_waiting == 0)
    assert not together.broken


def test_two_consumers_share_a_queue(broker, make_broker):
    # Given
    first, second = Inbox(), Inbox()
    broker.consume("echo", first, workers=2)
    make_broker().consume("echo", second, workers=2)
    wait_until(lambda: broker.queue_state("echo").consumers == 2)
    # When
    for number in range(4):
        broker.command(a_message(f"m{number}"))
    # Then
    first.wait_for(2)
    second.wait_for(2)
    assert sorted(first.ids + second.ids) == ["m0", "m1", "m2", "m3"]


def test_command_that_no_queue_takes_is_refused(broker):
    # When / Then
    with pytest.raises(UnroutableError):
        broker.command(a_message(routing_key="nobody.knows"))


def test_publisher_goes_on_after_an_unroutable_command(broker):
    # Given
    with pytest.raises(UnroutableError):
        broker.command(a_message(routing_key="nobody.knows"))
    # When
    broker.command(a_message())
    # Then
    wait_until(lambda: broker.queue_state("echo").ready == 1)


def test_command_before_anybody_declared_is_refused(make_broker):
    # When / Then
    with pytest.raises(UnroutableError):
        make_broker().command(a_message())


def test_declaring_twice_changes_nothing(broker):
    # Given
    broker.command(a_message())
    # When
    broker.declare()
    # Then
    wait_until(lambda: broker.queue_state("echo").ready == 1)


def test_unknown_queue_cannot_be_consumed(broker):
    # When / Then
    with pytest.raises(PermanentError):
        broker.consume("no-such-queue", acked, workers=1)


def test_state_of_a_queue_counts_messages_and_consumers(broker):
    # Given
    broker.command(a_message("m1"))
    broker.command(a_message("m2"))
    inbox = Inbox()
    # When
    broker.consume("echo", inbox, workers=1)
    # Then
    inbox.wait_for(1)
    wait_until(lambda: (broker.queue_state("echo").ready, broker.queue_state("echo").consumers) == (1, 1))


def test_state_of_a_queue_that_nobody_declared_is_empty(make_broker):
    # When
    state = make_broker().queue_state("echo")
    # Then
    assert (state.ready, state.consumers) == (0, 0)


def test_dead_letter_keeps_message_and_reason(broker):
    # Given
    dead = Inbox(acked)
    broker.consume(DEAD_LETTERS, dead, workers=1)
    broker.consume("echo", Inbox(lambda delivery: delivery.dead_letter("no such node: 7")), workers=1)
    # When
    broker.command(a_message("m1", "echo", body=b"kept", headers={"traceparent": "00-1"}))
    # Then
    dead.wait_for(1)
    message = dead.deliveries[0].message
    assert (message.routing_key, message.body, message.message_id) == ("echo", b"kept", "m1")
    assert {"traceparent": "00-1", REASON_HEADER: "no such node: 7"}.items() <= message.headers.items()


def test_message_requeued_for_ever_ends_in_the_dead_letters(broker):
    # Given
    dead = Inbox(acked)
    broker.consume(DEAD_LETTERS, dead, workers=1)
    broker.consume("echo", Inbox(lambda delivery: delivery.requeue()), workers=1)
    # When
    broker.command(a_message())
    # Then
    dead.wait_for(1)
    assert dead.ids == ["m1"]


def test_handler_that_always_fails_ends_in_the_dead_letters(broker, monkeypatch):
    # Given
    monkeypatch.setattr("shared.broker.handler_pool.DEFECT_PAUSE_S", 0.01)

    def fail(delivery):
        raise ZeroDivisionError

    inbox, dead = Inbox(fail), Inbox(acked)
    broker.consume(DEAD_LETTERS, dead, workers=1)
    broker.consume("echo", inbox, workers=1)
    # When
    broker.command(a_message())
    # Then
    dead.wait_for(1)
    assert len(inbox.deliveries) == MAX_DELIVERIES
    assert "ZeroDivisionError" in dead.deliveries[0].message.headers[REASON_HEADER]


def test_worker_acks_what_was_handled(broker):
    # Given
    handled = []
    worker = Worker(broker, "echo", lambda message, redelivered: handled.append(redelivered), workers=1)
    worker.start()
    # When
    broker.command(a_message())
    # Then
    wait_until(lambda: handled == [False])
    worker.stop(10.0)
    assert broker.queue_state("echo").ready == 0


def test_retriable_error_keeps_the_delivery_unacknowledged(broker):
    # Given
    tries = []

    def away_twice(message, redelivered):
        tries.append(redelivered)
        if len(tries) < 3:
            raise DatabaseAwayError("away")

    worker = Worker(broker, "echo", away_twice, workers=1, jitter=lambda: 1.0)
    worker.start()
    # When
    broker.command(a_message())
    # Then
    wait_until(lambda: len(tries) == 3)
    worker.stop(10.0)
    assert tries == [False, False, False]
    assert broker.queue_state("echo").ready == 0


def test_stop_ends_a_retry_at_once_and_gives_back(broker):
    # Given
    tries = []

    def away(message, redelivered):
        tries.append(message)
        raise DatabaseAwayError("away")

    worker = Worker(broker, "echo", away, workers=1)
    worker.start()
    broker.command(a_message())
    wait_until(lambda: len(tries) == 3)
    # When
    worker.stop(60.0)
    # Then
    wait_until(lambda: broker.queue_state("echo").ready == 1)
    assert len(tries) == 3


def test_permanent_error_goes_to_the_dead_letters_with_its_text(broker):
    # Given
    def refuse(message, redelivered):
        raise PermanentError("criteria.from: later than criteria.until")

    dead = Inbox(acked)
    broker.consume(DEAD_LETTERS, dead, workers=1)
    worker = Worker(broker, "echo", refuse, workers=1)
    worker.start()
    # When
    broker.command(a_message())
    # Then
    dead.wait_for(1)
    reason = dead.deliveries[0].message.headers[REASON_HEADER]
    assert reason == "criteria.from: later than criteria.until"


def test_stop_lets_work_in_progress_finish_and_acks_it(broker):
    # Given
    may_end = threading.Event()

    def slow(delivery):
        if delivery.message.message_id == "slow":
            may_end.wait(30)
        delivery.ack()

    def takes_no_more():
        broker.command(a_message("later"))
        return broker.queue_state("echo").ready > 0

    inbox, heir = Inbox(slow), Inbox(acked)
    consumer = broker.consume("echo", inbox, workers=2)
    broker.command(a_message("slow"))
    inbox.wait_for(1)
    stopping = threading.Thread(target=consumer.stop, args=(60.0,))
    # When
    stopping.start()
    wait_until(takes_no_more)
    may_end.set()
    stopping.join(30)
    # Then
    assert not stopping.is_alive()
    broker.command(a_message("last"))
    broker.consume("echo", heir, workers=1)
    wait_until(lambda: "last" in heir.ids)
    assert "slow" not in heir.ids


def test_stop_gives_back_what_outlives_the_grace_period(broker):
    # Given
    may_end = threading.Event()

    def stuck(delivery):
        may_end.wait(60)
        delivery.ack()

    inbox, heir = Inbox(stuck), Inbox(acked)
    consumer = broker.consume("echo", inbox, workers=1)
    broker.command(a_message())
    inbox.wait_for(1)
    # When
    consumer.stop(0.2)
    broker.consume("echo", heir, workers=1)
    # Then
    heir.wait_for(1)
    assert heir.deliveries[0].redelivered
    assert inbox.deliveries[0].lost
    may_end.set()


def test_stopping_twice_is_safe(broker):
    # Given
    consumer = broker.consume("echo", acked, workers=1)
    # When
    consumer.stop(1.0)
    consumer.stop(1.0)
    # Then
    assert broker.queue_state("echo").consumers == 0


def test_subscription_sees_all_matching_events_after_it_stands_in_order(broker):
    # Given
    received = []
    broker.event(a_message("before", "query.completed"))
    broker.subscribe(["query.#", "*.failed"], lambda message: received.append(message.message_id))
    # When
    for number in range(20):
        broker.event(a_message(f"q{number}", "query.study.found"))
    broker.event(a_message("other", "retrieve.completed"))
    broker.event(a_message("last", "retrieve.failed"))
    # Then
    wait_until(lambda: "last" in received)
    assert received == [*(f"q{number}" for number in range(20)), "last"]


def test_every_subscription_sees_each_event(broker, make_broker):
    # Given
    first, second = [], []
    broker.subscribe(["#"], lambda message: first.append(message.message_id))
    make_broker().subscribe(["#"], lambda message: second.append(message.message_id))
    # When
    broker.event(a_message("e1", "query.completed"))
    # Then
    wait_until(lambda: first == ["e1"] and second == ["e1"])


def test_subscriber_that_fails_sees_the_next_event(broker):
    # Given
    received = []

    def fail_first(message):
        received.append(message.message_id)
        if len(received) == 1:
            raise ZeroDivisionError

    broker.subscribe(["#"], fail_first)
    # When
    broker.event(a_message("e1", "query.completed"))
    broker.event(a_message("e2", "query.completed"))
    # Then
    wait_until(lambda: received == ["e1", "e2"])


def test_closed_subscription_sees_nothing_more(broker):
    # Given
    closed, open_ = [], []
    subscription = broker.subscribe(["#"], lambda message: closed.append(message.message_id))
    broker.subscribe(["#"], lambda message: open_.append(message.message_id))
    # When
    subscription.close()
    subscription.close()
    broker.event(a_message("e1", "query.completed"))
    # Then
    wait_until(lambda: open_ == ["e1"])
    assert closed == []


def test_event_that_nobody_hears_is_no_error(broker):
    # When / Then
    broker.event(a_message("e1", "query.completed"))


def test_many_threads_publish_through_one_broker(broker):
    # Given
    def publish(start):
        for number in range(start, start + 25):
            broker.command(a_message(f"m{number}"))

    threads = [threading.Thread(target=publish, args=(start,)) for start in (0, 25, 50, 75)]
    inbox = Inbox(acked)
    broker.consume("echo", inbox, workers=4)
    # When
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # Then
    inbox.wait_for(100)
    assert sorted(inbox.ids) == sorted(f"m{number}" for number in range(100))


def test_closing_twice_is_safe(make_broker):
    # Given
    broker = make_broker()
    broker.declare()
    # When / Then
    broker.close()
    broker.close()


def bury(broker: Broker, *messages: Message, reason: str = "no such node: 7") -> None:
    consumer = broker.consume("echo", Inbox(lambda delivery: delivery.dead_letter(reason)), workers=1)
    for message in messages:
        broker.command(message)
    wait_until(lambda: broker.queue_state(DEAD_LETTERS).ready == len(messages))
    consumer.stop(10.0)


def test_dead_letters_are_listed_and_stay(broker):
    # Given
    bury(broker, a_message("m1", body=b'{"id": "m1"}'), a_message("m2"))
    # When
    lists = [broker.dead_letters(10) for _ in range(12)]
    # Then
    for listed in lists:
        assert sorted(letter.message.message_id for letter in listed) == ["m1", "m2"]
        assert {letter.reason for letter in listed} == {"no such node: 7"}
        assert {letter.queue for letter in listed} == {"echo"}
        assert all(letter.worker.startswith("echo@") and letter.at.endswith("Z") for letter in listed)
    first = next(letter for letter in lists[0] if letter.message.message_id == "m1")
    assert (first.message.routing_key, first.message.body, first.size_bytes) == ("echo", b'{"id": "m1"}', 12)
    wait_until(lambda: broker.queue_state(DEAD_LETTERS).ready == 2)


def test_no_more_dead_letters_are_listed_than_requested(broker):
    # Given
    bury(broker, *[a_message(f"m{number}") for number in range(5)])
    # When
    listed = broker.dead_letters(3)
    # Then
    assert len(listed) == 3
    wait_until(lambda: broker.queue_state(DEAD_LETTERS).ready == 5)


def test_empty_dead_letter_queue_lists_nothing(broker):
    assert list(broker.dead_letters(10)) == []
    assert not broker.replay_dead_letter("0" * 32)
    assert not broker.drop_dead_letter("0" * 32)


def test_replayed_dead_letter_arrives_as_it_was(broker):
    # Given
    sent = a_message("m1", headers={"traceparent": "00-1"}, correlation_id="job-1")
    bury(broker, sent, a_message("m2"))
    letter = next(letter for letter in broker.dead_letters(10) if letter.message.message_id == "m1")
    inbox = Inbox(acked)
    # When
    replayed = broker.replay_dead_letter(letter.id)
    # Then
    assert replayed
    broker.consume("echo", inbox, workers=1)
    inbox.wait_for(1)
    assert inbox.deliveries[0].message == sent
    wait_until(lambda: broker.queue_state(DEAD_LETTERS).ready == 1)
    assert [letter.message.message_id for letter in broker.dead_letters(10)] == ["m2"]


def test_dead_event_is_replayed_as_an_event(broker):
    # Given
    consumer = broker.consume("store", Inbox(lambda delivery: delivery.dead_letter("no")), workers=1)
    broker.event(a_message("e1", "objects.stored"))
    wait_until(lambda: broker.queue_state(DEAD_LETTERS).ready == 1)
    consumer.stop(10.0)
    inbox = Inbox(acked)
    broker.consume("store", inbox, workers=1)
    # When
    broker.replay_dead_letter(broker.dead_letters(1)[0].id)
    # Then
    inbox.wait_for(1)
    assert inbox.ids == ["e1"]


def test_dropped_dead_letter_is_gone_with_its_copies(broker):
    # Given
    bury(broker, a_message("m1"), a_message("m1"), a_message("m2"))
    letter = next(letter for letter in broker.dead_letters(10) if letter.message.message_id == "m1")
    # When
    dropped = broker.drop_dead_letter(letter.id)
    # Then
    assert dropped
    wait_until(lambda: broker.queue_state(DEAD_LETTERS).ready == 1)
    assert [letter.message.message_id for letter in broker.dead_letters(10)] == ["m2"]
    assert not broker.drop_dead_letter(letter.id)


def test_dead_letter_that_cannot_be_replayed_stays(broker, monkeypatch):
    # Given
    bury(broker, a_message("m1"))
    letter = broker.dead_letters(1)[0]
    monkeypatch.setattr("shared.broker.dead_letter.QUEUES", ())
    # When
    with pytest.raises(UnroutableError):
        broker.replay_dead_letter(letter.id)
    # Then
    wait_until(lambda: [found.id for found in broker.dead_letters(1)] == [letter.id])


def test_body_of_a_huge_dead_letter_is_left_out(broker):
    # Given
    bury(broker, a_message("m1", body=b"x" * 70_000))
    # When
    letter = broker.dead_letters(1)[0]
    # Then
    assert (letter.message.body, letter.size_bytes) == (b"", 70_000)
