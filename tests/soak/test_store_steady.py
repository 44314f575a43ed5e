"""100,000 small objects into one store: memory and handles flat, the rate the same to the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.bench.table import print_table
from tests.support.peers.storage_scu import Scu
from tests.support.processes.installation import Installation, installed
from tests.support.services.store import CT_EXPLICIT, made_object

OBJECTS, SENDERS, PARTS = 100_000, 4, 20
#: Objects of one series: folders of a real archive hold some hundred.
SERIES = 500
#: What the process may grow by between the first quarter and the end.
GROWTH_MIB, GROWTH_HANDLES = 16.0, 8
#: The slowest of the last parts, against the middle of all: the machine may be busy, but not that much.
SLOWER = 3.0

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture
def installation(tmp_path, rabbitmq_url, amqp_prefix) -> Iterator[Installation]:
    with installed(tmp_path / "installation", rabbitmq_url, amqp_prefix, fresh=True) as made:
        yield made


def send(port: int, sender: int, first: int, last: int) -> None:
    with Scu(port, [CT_EXPLICIT], max_fragment=120_000) as scu:
        for number in range(first, last):
            series = f"1.2.826.0.1.3.{sender}.{number // SERIES}"
            made = made_object(sender * 1_000_000 + number, size_bytes=7400, series=series)
            assert made.send(scu) == 0x0000
        scu.release()


def send_part(port: int, part: int) -> float:
    """Send a part of all objects from all senders concurrently; returns objects a second."""
    per_sender = OBJECTS // PARTS // SENDERS
    began = time.monotonic()
    threads = [
        threading.Thread(target=send, args=(port, sender, part * per_sender, (part + 1) * per_sender))
        for sender in range(1, SENDERS + 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return per_sender * SENDERS / (time.monotonic() - began)


def memory_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def handles(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_a_hundred_thousand_objects_leave_the_store_as_it_was(installation):
    # Given
    (store,) = installation.serve("store")
    port = installation.settings.store_port
    # When
    rows = []
    for part in range(PARTS):
        rate = send_part(port, part)
        rows.append(((part + 1) * OBJECTS // PARTS, rate, memory_mib(store.pid), handles(store.pid)))
    print_table("100,000 objects of 8 KB", ("objects", "objects/s", "MiB", "handles"), rows)
    # Then all are there, and the store is as it was when a quarter had come
    kept = sum(1 for _ in installation.settings.objects_dir.glob("*/*/*.dcm"))
    assert kept == OBJECTS
    _, _, early_mib, early_handles = rows[PARTS // 4 - 1]
    _, _, late_mib, late_handles = rows[-1]
    assert late_mib - early_mib < GROWTH_MIB
    assert late_handles - early_handles <= GROWTH_HANDLES
    assert median(row[1] for row in rows[-PARTS // 4 :]) * SLOWER > median(row[1] for row in rows)
