"""Hand-over in the store service as it is wired, and through its death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from shared.broker.port import Message
from shared.clock import utc_now
from shared.contract.messages import Event, HandoverRetried, Rejected, RetryHandover
from shared.database.migrate import migrate
from shared.database.models import HandoverBatch, Retrieve
from shared.database.session import Database
from shared.messaging.codec import decode_event
from shared.messaging.publisher import Publisher
from tests.integration.store.handover.test_importers import Listener, a_program, listener
from tests.support.jobs.rows import a_query, a_retrieve, an_expected
from tests.support.peers.storage_scu import Scu
from tests.support.ports import free_port
from tests.support.services.store import CT_EXPLICIT, RunningStore, made_object, running_store
from tests.support.waiting import wait_until

__all__ = ["listener"]

ROOT = Path(__file__).parents[4]
#: How long a service may take to start on a busy machine.
START_S = 90.0
STUDY, SERIES = "1.2.826.0.1.2", "1.2.826.0.1.3.1"


def expect(database: Database, *uids: str) -> None:
    """Let a retrieve that runs expect these objects."""
    with database.write() as session:
        session.add(a_query())
        session.flush()
        session.add(a_retrieve("r1", status="running", requested_at=utc_now()))
        session.flush()
        session.add_all(an_expected(STUDY, SERIES, uid, "r1", state="asked") for uid in uids)


def end(database: Database) -> None:
    with database.write() as session:
        job = session.get_one(Retrieve, "r1")
        job.status, job.ended_at = "completed", utc_now() + timedelta(seconds=1)


def batches(database: Database) -> list[HandoverBatch]:
    with database.read() as session:
        return list(session.scalars(select(HandoverBatch)))


def published(store: RunningStore, *keys: str) -> list[Event]:
    """Return a list into which the events with these keys come."""
    events: list[Event] = []

    def take(message: Message) -> None:
        events.append(decode_event(message)[1])

    store.broker.subscribe(keys, take)
    return events


def test_what_arrives_is_posted_given_up_and_posted_again_on_demand(tmp_path: Path, listener: Listener):
    # Given
    listener.statuses = [500]
    dicom_object = made_object(1)
    with running_store(tmp_path / "data", handover_url=listener.url(), handover_pauses=()) as store:
        expect(store.database, dicom_object.sop_instance_uid)
        store.send(dicom_object)
        end(store.database)
        wait_until(lambda: [batch.state for batch in batches(store.database)] == ["failed"])
        events = published(store, "handover.retried.*")
        # When
        Publisher(store.broker, "test").command(RetryHandover(job_id="r1"), command_id="c1")
        # Then
        wait_until(lambda: bool(events))
        assert events == [HandoverRetried(command_id="c1", batches=1)]
        wait_until(lambda: [batch.state for batch in batches(store.database)] == ["done"])
        first, second = (body for _, _, body in listener.requests)
        assert first == second
        (posted,) = first["objects"]
        assert Path(posted["path"]).read_bytes() == (store.objects_dir / dicom_object.path).read_bytes()


def test_without_an_importer_a_retry_is_refused_and_names_what_to_set(tmp_path: Path):
    # Given
    with running_store(tmp_path / "data") as store:
        events = published(store, "command.rejected.*")
        # When
        Publisher(store.broker, "test").command(RetryHandover(), command_id="c1")
        # Then
        wait_until(lambda: bool(events))
        (event,) = events
        assert isinstance(event, Rejected)
        assert "DOSEQR_HANDOVER_URL" in event.problem


#: Hangs the first time; tells each time what it was called with.
IMPORTER = """
import os, pathlib, sys, time
said = pathlib.Path(sys.argv[1])
first = not said.exists()
with said.open("a") as file:
    file.write(f"{os.getpid()} {sys.argv[2]} {sys.stdin.read().split()}\\n")
if first:
    time.sleep(600)
"""


@pytest.fixture
def environment(tmp_path, rabbitmq_url, amqp_prefix):
    output = tmp_path / "said"
    command = [*a_program(tmp_path, IMPORTER), str(output), "{batch}"]
    quoted = ", ".join(f'"{argument}"' for argument in command)
    return os.environ | {
        "DOSEQR_AMQP_URL": rabbitmq_url,
        "DOSEQR_AMQP_PREFIX": amqp_prefix,
        "DOSEQR_DATA_DIR": str(tmp_path / "data"),
        "DOSEQR_DATABASE_URL": "",
        "DOSEQR_STORE_HOST": "127.0.0.1",
        "DOSEQR_STORE_PORT": str(free_port()),
        "DOSEQR_HANDOVER_COMMAND": f"[{quoted}]",
        "DOSEQR_HANDOVER_PAUSES": "[0.1, 0.1]",
    }


def run(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        command = [sys.executable, "-m", "services.store.main"]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)


def test_a_batch_in_hand_when_the_service_is_killed_is_handed_over_again_with_the_same_id(
    environment, tmp_path
):
    # Given
    (tmp_path / "data").mkdir()
    database = Database(f"sqlite:///{tmp_path / 'data' / 'doseqr.sqlite'}")
    migrate(database)
    dicom_object, output = made_object(1), tmp_path / "said"
    expect(database, dicom_object.sop_instance_uid)
    process = run(environment, tmp_path / "log")
    pids: list[int] = []
    try:
        wait_until(lambda: '"listening"' in (tmp_path / "log").read_text(), START_S)
        with Scu(int(environment["DOSEQR_STORE_PORT"]), [CT_EXPLICIT]) as scu:
            assert dicom_object.send(scu) == 0
        end(database)
        wait_until(lambda: output.exists() and output.read_text().endswith("\n"), START_S)
        pids.append(int(output.read_text().split()[0]))
        # When
        process.kill()
        process.wait()
        process = run(environment, tmp_path / "log2")
        # Then
        wait_until(lambda: [batch.state for batch in batches(database)] == ["done"], START_S)
        first, second = (line.split(maxsplit=1)[1] for line in output.read_text().splitlines())
        assert first == second
        assert batches(database)[0].attempts == 2
    finally:
        process.kill()
        process.wait()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        database.close()
