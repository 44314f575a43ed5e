"""Several processes on one port, as `doseqr serve store` runs them: one dies, all die, all stop."""

import contextlib
import json
import os
import signal
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import select

from shared.broker.rabbitmq.connection import remove_topology
from shared.database.models import StoredObject
from tests.support.peers.storage_scu import EndedError, Scu
from tests.support.ports import free_port
from tests.support.processes.installation import Installation, Running, installed, observed
from tests.support.servers.databases import copy_of
from tests.support.services.store import CT_EXPLICIT, DicomObject, data_set_in, made_object
from tests.support.waiting import wait_until

PROCESSES = 3
COUNTED = ("received", "duplicates", "conflicts")
#: Associations that may stand at once.
ASSOCIATIONS = 20


@pytest.fixture(scope="module")
def installation(tmp_path_factory, rabbitmq_url, postgres_server, postgres_template):
    """One for all of these tests: to start processes is what takes most of their time."""
    health_port = free_port()
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with (
        copy_of(postgres_server, postgres_template) as database_url,
        installed(
            tmp_path_factory.mktemp("processes") / "installation",
            rabbitmq_url,
            prefix,
            database_url=database_url,
            DOSEQR_STORE_PROCESSES=str(PROCESSES),
            DOSEQR_STORE_HOST="127.0.0.1",
            DOSEQR_STORE_ASSOCIATIONS=str(ASSOCIATIONS),
            DOSEQR_HEALTH_PORT=str(health_port - 3),  # the store's is the fourth
        ) as made,
    ):
        yield made
    remove_topology(rabbitmq_url, prefix)


@pytest.fixture(scope="module")
def services(installation) -> list[Running]:
    """The services that were started; the last one may run."""
    return []


@pytest.fixture
def process(installation: Installation, services: list[Running]) -> Running:
    """A store that runs with all its processes, and with which nobody is associated."""
    if not services or not services[-1].running:
        services.append(served(installation))
    wait_until(lambda: metric(installation, "doseqr_store_associations") == 0)
    return services[-1]


def get(installation: Installation, path: str) -> tuple[int, str]:
    port = int(installation.environment["DOSEQR_HEALTH_PORT"]) + 3
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(installation: Installation, name: str) -> float:
    lines = get(installation, "/metrics")[1].splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def counted(installation: Installation, before: dict[str, float]) -> dict[str, float]:
    """Return by how much the counters have grown."""
    return {name: metric(installation, f"doseqr_store_{name}_total") - before[name] for name in COUNTED}


def receivers_of(process: Running) -> list[int]:
    """Return the pids of the further processes of a store."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if (
                parent == process.pid
                and b"services.store.scp.receiver_process" in (folder / "cmdline").read_bytes()
            ):
                found.append(int(folder.name))
    return found


def served(installation: Installation) -> Running:
    (process,) = installation.serve("store")
    wait_until(lambda: process.text().count('"receiving"') == PROCESSES - 1, 60)
    return process


class Senders:
    """Send until they are to stop or are cut off; each has a series of its own."""

    def __init__(self, port: int, *series: int) -> None:
        self.acknowledged: list[DicomObject] = []
        self._port = port
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(entry,)) for entry in series]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self.join()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more objects are acknowledged."""
        number = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= number, 60)

    def _send(self, series: int) -> None:
        with contextlib.suppress(EndedError, OSError), Scu(self._port, [CT_EXPLICIT]) as scu:
            for number in range(1, 5000):
                if self._stopping.is_set():
                    return
                made = made_object(10_000 * series + number, series=f"1.2.826.0.1.3.{series}")
                if made.send(scu) == 0:
                    self.acknowledged.append(made)


def assert_kept(installation: Installation, objects: list[DicomObject]) -> None:
    for stored in objects:
        assert data_set_in(installation.settings.objects_dir / stored.path) == stored.data_set


def test_a_killed_process_is_replaced_and_nothing_is_lost(installation, process):
    # Given senders on all processes
    port = installation.settings.store_port
    with Senders(port, *range(1, 7)) as senders:
        senders.wait_for(60)
        # When one is killed
        victim = receivers_of(process)[0]
        os.kill(victim, signal.SIGKILL)
        # Then the port never closed
        with Senders(port, 7, 8) as others:
            others.wait_for(20)
        # And another takes its place
        wait_until(lambda: len(set(receivers_of(process)) - {victim}) == PROCESSES - 1, 60)
    assert_kept(installation, senders.acknowledged + others.acknowledged)


def test_all_killed_at_once_lose_nothing_acknowledged(installation, process, services):
    # Given
    with Senders(installation.settings.store_port, *range(11, 17)) as senders:
        senders.wait_for(60)
        # When
        for pid in receivers_of(process):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        senders.join()
    services.append(served(installation))
    # Then what was acknowledged is there, known and announced
    assert_kept(installation, senders.acknowledged)
    uids = {stored.sop_instance_uid for stored in senders.acknowledged}
    with observed(installation) as observer:

        def announced() -> set[str]:
            with observer.database.read() as session:
                known = select(StoredObject.sop_instance_uid).where(StoredObject.announced_at.is_not(None))
                return set(session.scalars(known))

        wait_until(lambda: uids <= announced(), 60)


def test_the_processes_of_a_killed_service_end_and_free_the_port(installation, process, services):
    # Given
    others = receivers_of(process)
    # When
    process.kill()
    # Then
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others), 60)
    services.append(served(installation))
    assert services[-1].running


def test_health_and_numbers_are_given_for_all_processes(installation, process):
    # Given associations on all of them
    before = {name: metric(installation, f"doseqr_store_{name}_total") for name in COUNTED}
    with contextlib.ExitStack() as stack:
        scus = [stack.enter_context(Scu(installation.settings.store_port, [CT_EXPLICIT])) for _ in range(12)]
        # When
        statuses = [made_object(n).send(scu) for n, scu in enumerate(scus, start=1)]
        again = [made_object(n).send(scu) for n, scu in enumerate(scus, start=1)]
        # Then
        assert statuses == again == [0] * 12
        assert metric(installation, "doseqr_store_associations") == 12
        assert counted(installation, before) == {"received": 24, "duplicates": 12, "conflicts": 0}
        assert metric(installation, "doseqr_ready") == 1
    assert get(installation, "/health/live")[0] == 200
    assert get(installation, "/health/ready") == (200, '{"ready": true, "troubles": {}}')
    # When other bytes come under a known UID
    with Scu(installation.settings.store_port, [CT_EXPLICIT]) as scu:
        assert made_object(99, sop="1.2.826.0.1.4.1").send(scu) == 0
    # Then it is counted, and seen
    assert counted(installation, before)["conflicts"] == 1
    # When the folder takes nothing more
    incoming = installation.settings.objects_dir / ".incoming"
    incoming.rename(incoming.with_name(".away"))
    # Then
    code, text = get(installation, "/health/ready")
    assert code == 503
    assert json.loads(text)["troubles"] == {"objects": "objects cannot be written: ENOENT"}
    assert get(installation, "/health/live")[0] == 200
    incoming.with_name(".away").rename(incoming)


def test_ten_more_than_may_stand_in_all_processes_are_rejected(installation, process):
    # Given
    standing, rejected = 0, 0
    with contextlib.ExitStack() as stack:
        # When
        for _ in range(ASSOCIATIONS + 10):
            try:
                stack.enter_context(Scu(installation.settings.store_port, [CT_EXPLICIT]))
            except EndedError:
                rejected += 1
            else:
                standing += 1
    # Then two processes that count at the same moment may differ by one
    assert ASSOCIATIONS - 1 <= standing <= ASSOCIATIONS
    assert standing + rejected == ASSOCIATIONS + 10


def test_sigterm_ends_all_processes_with_what_they_have_in_hand_done(installation, process):
    # Given
    others = receivers_of(process)
    with Senders(installation.settings.store_port, *range(21, 25)) as senders:
        senders.wait_for(40)
        # When
        code = process.terminate()
        # Then
        assert code == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in others)
        senders.join()
    assert_kept(installation, senders.acknowledged)
