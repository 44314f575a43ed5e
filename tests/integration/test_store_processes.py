"""Several processes on one port, as `doseqr serve store` runs them: one dies, all die, all stop."""

import contextlib
import json
import os
import signal
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import select

from shared.database.models import StoredObject
from tests.support.processes import Installation, Running, installed, observed
from tests.support.scu import EndedError, Scu
from tests.support.store import CT_EXPLICIT, DicomObject, data_set_in, free_port, made_object
from tests.support.waiting import wait_until

PROCESSES = 3


@pytest.fixture
def installation(tmp_path, rabbitmq_url, amqp_prefix):
    health_port = free_port()
    with installed(
        tmp_path / "installation",
        rabbitmq_url,
        amqp_prefix,
        DOSEQR_STORE_PROCESSES=str(PROCESSES),
        DOSEQR_STORE_HOST="127.0.0.1",
        DOSEQR_HEALTH_PORT=str(health_port - 3),  # the store's is the fourth
    ) as made:
        yield made


def get(installation: Installation, path: str) -> tuple[int, str]:
    port = int(installation.environment["DOSEQR_HEALTH_PORT"]) + 3
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(installation: Installation, name: str) -> float:
    lines = get(installation, "/metrics")[1].splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def receivers_of(process: Running) -> list[int]:
    """Return the pids of the further processes of a store."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"services.store.receiver" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def served(installation: Installation) -> Running:
    (process,) = installation.serve("store")
    wait_until(lambda: process.text().count('"receiving"') == PROCESSES - 1, 60)
    return process


def send_until_cut(port: int, batch: int, acknowledged: list[DicomObject]) -> None:
    with contextlib.suppress(EndedError, OSError), Scu(port, [CT_EXPLICIT]) as scu:
        for number in range(1, 5000):
            made = made_object(10_000 * batch + number, series=f"1.2.826.0.1.3.{batch}")
            if made.send(scu) == 0:
                acknowledged.append(made)


def senders(port: int, acknowledged: list[DicomObject], *batches: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=send_until_cut, args=(port, batch, acknowledged)) for batch in batches]
    for thread in threads:
        thread.start()
    return threads


def assert_kept(installation: Installation, objects: list[DicomObject]) -> None:
    for one in objects:
        assert data_set_in(installation.settings.objects_dir / one.path) == one.data_set


def test_a_killed_process_is_replaced_and_all_are_killed_with_nothing_lost(installation):
    # Given six senders on three processes
    process, port = served(installation), installation.settings.store_port
    acknowledged: list[DicomObject] = []
    threads = senders(port, acknowledged, *range(1, 7))
    wait_until(lambda: len(acknowledged) > 60, 60)
    # When one process is killed
    victim = receivers_of(process)[0]
    os.kill(victim, signal.SIGKILL)
    # Then another takes its place, and the port never closed
    wait_until(
        lambda: len(receivers_of(process)) == PROCESSES - 1 and victim not in receivers_of(process), 60
    )
    before = len(acknowledged)
    threads += senders(port, acknowledged, 7, 8)
    wait_until(lambda: len(acknowledged) > before + 40, 60)
    # When all are killed, and the store begins anew
    for pid in receivers_of(process):
        os.kill(pid, signal.SIGKILL)
    process.kill()
    for thread in threads:
        thread.join()
    served(installation)
    # Then what was acknowledged is there, known and announced
    assert_kept(installation, acknowledged)
    uids = {one.sop_instance_uid for one in acknowledged}
    with observed(installation) as seen:

        def announced() -> set[str]:
            with seen.database.read() as session:
                known = select(StoredObject.sop_instance_uid).where(StoredObject.announced_at.is_not(None))
                return set(session.scalars(known))

        wait_until(lambda: uids <= announced(), 60)


def test_the_processes_of_a_killed_service_end_and_free_the_port(installation):
    # Given
    process = served(installation)
    others = receivers_of(process)
    # When
    process.kill()
    # Then
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others), 60)
    again = served(installation)
    assert again.running


def test_sigterm_ends_all_processes_with_what_they_have_in_hand_done(installation):
    # Given
    process, port = served(installation), installation.settings.store_port
    others, acknowledged = receivers_of(process), list[DicomObject]()
    threads = senders(port, acknowledged, *range(1, 5))
    wait_until(lambda: len(acknowledged) > 40, 60)
    # When
    code = process.terminate()
    # Then
    assert code == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in others)
    for thread in threads:
        thread.join()
    assert_kept(installation, acknowledged)


def test_health_and_numbers_are_told_for_all_processes(installation):
    # Given associations on all of them
    served(installation)
    with contextlib.ExitStack() as stack:
        scus = [stack.enter_context(Scu(installation.settings.store_port, [CT_EXPLICIT])) for _ in range(12)]
        # When
        statuses = [made_object(n).send(scu) for n, scu in enumerate(scus, start=1)]
        again = [made_object(n).send(scu) for n, scu in enumerate(scus, start=1)]
        # Then
        assert statuses == again == [0] * 12
        assert metric(installation, "doseqr_store_associations") == 12
        assert metric(installation, "doseqr_store_received_total") == 24
        assert metric(installation, "doseqr_store_duplicates_total") == 12
        assert metric(installation, "doseqr_ready") == 1
    assert get(installation, "/health/live")[0] == 200
    assert get(installation, "/health/ready") == (200, '{"ready": true, "troubles": {}}')
    # When other bytes come under a known UID
    with Scu(installation.settings.store_port, [CT_EXPLICIT]) as scu:
        assert made_object(99, sop="1.2.826.0.1.4.1").send(scu) == 0
    # Then it is counted, and seen
    assert metric(installation, "doseqr_store_conflicts_total") == 1
    # When the folder takes nothing more
    incoming = installation.settings.objects_dir / ".incoming"
    incoming.rename(incoming.with_name(".away"))
    # Then
    code, text = get(installation, "/health/ready")
    assert code == 503
    assert json.loads(text)["troubles"] == {"objects": "objects cannot be written: ENOENT"}
    assert get(installation, "/health/live")[0] == 200
    incoming.with_name(".away").rename(incoming)


def test_ten_more_than_may_stand_in_all_processes_are_rejected(installation):
    # Given
    installation.environment["DOSEQR_STORE_ASSOCIATIONS"] = "10"
    served(installation)
    standing, rejected = 0, 0
    with contextlib.ExitStack() as stack:
        # When
        for _ in range(20):
            try:
                stack.enter_context(Scu(installation.settings.store_port, [CT_EXPLICIT]))
            except EndedError:
                rejected += 1
            else:
                standing += 1
    # Then two processes that count at the same moment may differ by one
    assert 9 <= standing <= 10
    assert standing + rejected == 20
