"""The index, its group commit and its announcements, on SQLite and on PostgreSQL."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.store.index.announcer import Announcer
from services.store.index.group_commit import GroupCommit, IndexAwayError
from services.store.index.known_objects import Receipt, Recorded, RecordOutcome, record, register
from services.store.index.messages import RegisterHandler
from services.store.index.unannounced import Unannounced, mark_announced, to_announce, unannounced
from services.store.metrics.counters import StoreCounters
from services.store.objects.durable_folder import ObjectFolder
from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.contract.envelope import Envelope
from shared.contract.messages import ObjectReference, ObjectsRegistered, RegisterObjects
from shared.database.migrate import migrate
from shared.database.models.store import StoredObject
from shared.database.session import Database
from shared.errors import DatabaseAwayError
from shared.messaging.codec import decode_event
from shared.messaging.publisher import Publisher
from tests.support.services.store import Announced, made_object, running_store
from tests.support.waiting import wait_until

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def receipt(number: int = 1, **changes: Any) -> Receipt:
    dicom_object = made_object(number)
    values: dict[str, Any] = {
        "identity": dicom_object.identity,
        "transfer_syntax_uid": dicom_object.transfer_syntax_uid,
        "calling_ae_title": "TEST",
        "path": dicom_object.path,
        "sha256": f"{number:064d}",
        "size_bytes": 1000,
    }
    return Receipt(**(values | changes))


def committer_of(database: Database, **options: Any) -> GroupCommit:
    return GroupCommit(database, **options)


def row_of(database: Database, number: int = 1) -> StoredObject:
    with database.read() as session:
        return session.get_one(StoredObject, made_object(number).sop_instance_uid)


def is_known(database: Database, number: int) -> bool:
    with database.read() as session:
        return session.get(StoredObject, made_object(number).sop_instance_uid) is not None


def test_one_transaction_distinguishes_new_from_known(database):
    # Given
    record(database, [receipt(1)], NOW)
    # When
    outcomes = record(database, [receipt(1), receipt(2), receipt(2), receipt(3, conflict=True)], NOW)
    # Then
    assert [outcome.recorded for outcome in outcomes] == [
        Recorded.AGAIN,
        Recorded.NEW,
        Recorded.AGAIN,
        Recorded.UNKNOWN,
    ]
    assert row_of(database, 1).received_count == 2
    assert row_of(database, 2).received_count == 2
    assert not is_known(database, 3)


def test_an_object_found_before_its_receipt_counts_once(database):
    # Given what a scan, or a sender of other bytes, finds on disk before its own sender's receipt is recorded
    record(database, [receipt(calling_ae_title="", found=True)], NOW)
    assert (row_of(database).received_count, row_of(database).calling_ae_title) == (0, "")
    # When
    outcomes = record(database, [receipt(fresh=True)], NOW)
    # Then
    assert outcomes[0].recorded is Recorded.AGAIN
    assert (row_of(database).received_count, row_of(database).calling_ae_title) == (1, "TEST")


def test_a_receipt_is_to_be_announced_again(database):
    # Given
    record(database, [receipt()], NOW)
    mark_announced(database, unannounced(database, limit=10), NOW)
    assert row_of(database).announced_at == NOW
    # When
    record(database, [receipt()], NOW + timedelta(minutes=1))
    # Then
    assert row_of(database).announced_at is None
    assert row_of(database).last_received_at == NOW + timedelta(minutes=1)
    assert row_of(database).received_at == NOW


def test_a_receipt_between_reading_and_marking_is_not_marked(database):
    # Given
    record(database, [receipt()], NOW)
    read = unannounced(database, limit=10)
    record(database, [receipt()], NOW + timedelta(seconds=1))
    # When
    mark_announced(database, read, NOW + timedelta(seconds=2))
    # Then
    assert row_of(database).announced_at is None


def test_a_known_uid_elsewhere_changes_nothing_unless_it_replaces(database):
    # Given
    record(database, [receipt()], NOW)
    # When
    elsewhere = record(database, [receipt(path="1/2/3.dcm")], NOW)
    # Then
    assert elsewhere[0].recorded is Recorded.ELSEWHERE
    assert elsewhere[0].path == receipt().path
    assert row_of(database).received_count == 1
    # When
    record(database, [receipt(path="1/2/3.dcm", replace=True)], NOW)
    # Then
    assert row_of(database).path == "1/2/3.dcm"


def reference(number: int) -> ObjectReference:
    identity = made_object(number).identity
    return ObjectReference(
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        sop_instance_uid=identity.sop_instance_uid,
    )


def test_registering_makes_known_and_leaves_ours_alone(database):
    # Given
    record(database, [receipt(1)], NOW)
    # When twice
    later = NOW + timedelta(hours=1)
    register(database, [reference(1), reference(2), reference(2)], later)
    register(database, [reference(1), reference(2)], later)
    # Then
    assert (row_of(database, 1).source, row_of(database, 1).last_received_at) == ("store", NOW)
    assert (row_of(database, 2).source, row_of(database, 2).received_count) == ("registered", 2)
    assert [row.message.sop_instance_uid for row in unannounced(database, limit=10)] == [
        made_object(1).sop_instance_uid
    ]


def test_a_registered_object_that_arrives_is_ours(database):
    # Given
    register(database, [reference(1)], NOW)
    # When
    outcomes = record(database, [receipt(1)], NOW)
    # Then
    row = row_of(database)
    assert outcomes[0].recorded is Recorded.NEW
    assert (row.source, row.path, row.sha256) == ("store", receipt().path, receipt().sha256)
    assert row.announced_at is None


def test_many_waiters_share_few_transactions(database):
    # Given 40 threads that wait for 10 receipts each
    commits: list[Mapping[str, Unannounced | None]] = []
    committer = committer_of(database, wait_s=30, on_committed=commits.append, on_missed=lambda: None)
    committer.start()

    def send(thread):
        for number in range(10):
            assert committer.record(receipt(thread * 100 + number)).recorded is Recorded.NEW

    # When
    threads = [threading.Thread(target=send, args=(n,)) for n in range(1, 41)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    committer.stop(10)
    # Then
    assert sum(len(commit) for commit in commits) == 400
    assert len(commits) < 400


def test_two_processes_record_the_same_object_once(database):
    # Given two groups of receipts in opposite order, as two processes commit them
    groups = [[receipt(n) for n in range(1, 101)], [receipt(n) for n in range(100, 0, -1)]]
    outcomes: list[list[RecordOutcome]] = [[], []]
    gate = threading.Barrier(2)

    def commit(which):
        gate.wait()
        for start in range(0, 100, 10):
            outcomes[which] += record(database, groups[which][start : start + 10], NOW)

    # When
    threads = [threading.Thread(target=commit, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then
    recorded = [outcome.recorded for outcome in outcomes[0] + outcomes[1]]
    assert recorded.count(Recorded.NEW) == recorded.count(Recorded.AGAIN) == 100
    assert all(row_of(database, n).received_count == 2 for n in range(1, 101))


def test_a_receipt_that_waited_too_long_is_given_up_and_missed(tmp_path):
    # Given a database that is away
    class Away(Database):
        away = True

        def transaction(self):
            if self.away:
                raise DatabaseAwayError("away")
            return super().transaction()

    database = Away(f"sqlite:///{tmp_path / 'doseqr.sqlite'}")
    migrate(database)
    missed = threading.Event()
    committer = committer_of(database, wait_s=0.2, on_committed=lambda uids: None, on_missed=missed.set)
    committer.start()
    # When
    with pytest.raises(IndexAwayError):
        committer.record(receipt(1))
    # Then
    assert missed.wait(30)
    database.away = False
    assert committer.record(receipt(2)).recorded is Recorded.NEW
    assert not is_known(database, 1)
    committer.stop(10)
    database.close()


def announcer(database: Database, broker: MemoryBroker, folder: ObjectFolder, **options: Any) -> Announcer:
    return Announcer(
        database, Publisher(broker, "store"), folder, StoreCounters(), store_ae_title="DOSEQR", **options
    )


def test_two_processes_announce_what_a_dead_one_left_once(database, tmp_path):
    # Given 450 rows that nobody announced
    broker, folders = MemoryBroker(), [ObjectFolder(tmp_path / "objects") for _ in range(2)]
    announced = Announced(broker)
    for start in range(1, 451, 150):
        record(database, [receipt(n) for n in range(start, start + 150)], NOW)
    for folder in folders:
        folder.open()
    announcers = [announcer(database, broker, folder, sweep_s=0.05, sweep_age_s=1.0) for folder in folders]
    # When
    for member in announcers:
        member.start()
    wait_until(lambda: not unannounced(database, limit=1))
    for member in announcers:
        member.stop(10)
    # Then
    wait_until(lambda: len(announced.uids) >= 450)
    assert len(set(announced.uids)) == len(announced.uids) == 450
    assert max(len(event.objects) for event in announced.events) <= 200
    for folder in folders:
        folder.close()
    broker.close()


def test_what_was_left_before_the_clock_was_put_back_is_announced(database, tmp_path):
    # Given a row that a dead process left, from tomorrow and from last week
    broker, folder = MemoryBroker(), ObjectFolder(tmp_path / "objects")
    folder.open()
    record(database, [receipt(1)], NOW + timedelta(days=1))
    record(database, [receipt(2)], NOW - timedelta(days=7))
    # When
    running = announcer(database, broker, folder, sweep_s=0.05, sweep_age_s=10.0, clock=lambda: NOW)
    running.start()
    # Then
    wait_until(lambda: not unannounced(database, limit=1))
    running.stop(10)
    folder.close()
    broker.close()


def test_the_sweep_comes_even_while_objects_keep_arriving(database, tmp_path):
    # Given a row that a dead process left
    another = to_announce(receipt(2), NOW)

    class MeanwhileBroker(MemoryBroker):
        def event(self, message: Message) -> None:
            super().event(message)
            running.committed({another.message.sop_instance_uid: another})

    broker, folder = MeanwhileBroker(), ObjectFolder(tmp_path / "objects")
    folder.open()
    record(database, [receipt(1)], NOW)
    running = announcer(database, broker, folder, sweep_s=0.5, sweep_age_s=1.0)
    # When an object is committed whenever others are published
    running.committed({another.message.sop_instance_uid: another})
    running.start()
    # Then
    wait_until(lambda: not unannounced(database, limit=1))
    running.stop(10)
    folder.close()
    broker.close()


def test_the_register_command_is_done_and_published(database):
    # Given
    broker = MemoryBroker()
    events = []
    subscription = broker.subscribe(["objects.#"], lambda message: events.append(message.routing_key))
    handler = RegisterHandler(database, Publisher(broker, "store"))
    envelope = Envelope(specversion="1.0", id="c-1", source="/test", type=RegisterObjects.TYPE)
    # When
    handler(envelope, RegisterObjects(objects=[reference(n) for n in range(1, 501)]))
    # Then
    wait_until(lambda: events == ["objects.registered.c-1"])
    assert all(row_of(database, n).source == "registered" for n in (1, 250, 500))
    subscription.close()
    broker.close()


def test_an_object_in_two_files_is_one_registered_object(database):
    # Given
    broker = MemoryBroker()
    events = []
    subscription = broker.subscribe(["objects.#"], lambda message: events.append(decode_event(message)[1]))
    handler = RegisterHandler(database, Publisher(broker, "store"))
    envelope = Envelope(specversion="1.0", id="c-1", source="/test", type=RegisterObjects.TYPE)
    # When
    handler(envelope, RegisterObjects(objects=[reference(1), reference(2), reference(2)]))
    # Then
    wait_until(lambda: events == [ObjectsRegistered(command_id="c-1", objects=2)])
    subscription.close()
    broker.close()


def test_a_register_command_reaches_the_running_store(tmp_path):
    # Given
    with running_store(tmp_path / "data") as store:
        # When
        Publisher(store.broker, "test").command(RegisterObjects(objects=[reference(7)]))
        # Then
        wait_until(lambda: store.knows(made_object(7).sop_instance_uid))
        assert store.row(made_object(7).sop_instance_uid).source == "registered"
