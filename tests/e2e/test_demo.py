"""`doseqr local`: what `make demo` and `make run` do, and that nothing of it is left behind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.contract.envelope import retrieve_id_after
from tests.support.processes.installation import (
    Finished,
    Installation,
    Running,
    installed,
    processes_that_name,
)
from tests.support.waiting import wait_until

#: A demo PACS, all services, a query and a retrieve, on a machine that is busy with other tests.
DEMO_S = 110.0


@pytest.fixture
def machine(tmp_path: Path, rabbitmq_url: str, amqp_prefix: str) -> Iterator[Installation]:
    """An installation with a broker, in which nothing runs yet: each service is a process."""
    with installed(tmp_path, rabbitmq_url, amqp_prefix, fresh=True) as made:
        yield made


@pytest.fixture
def small_machine(tmp_path: Path) -> Iterator[Installation]:
    """An installation without a broker: all services are one process."""
    with installed(tmp_path, "memory://", "doseqr", command="tests.e2e.few_days") as made:
        yield made


def requested_and_arrived(done: Finished) -> tuple[int, int]:
    """Return the demo's counts of its retrieve."""
    printed = re.search(
        r"^Retrieve +completed: (\d+) objects requested, (\d+) arrived$", done.out, re.MULTILINE
    )
    assert printed is not None, done.out
    return int(printed[1]), int(printed[2])


def left_behind(installation: Installation) -> dict[int, str]:
    """Return the processes of an installation that still run."""
    return processes_that_name(str(installation.settings.data_dir))


def test_demo_brings_what_it_requests_and_leaves_nothing_running(machine: Installation) -> None:
    # When
    done = machine.begin("local", "demo").wait(DEMO_S)
    # Then
    assert done.code == 0, done.out + done.err
    requested, arrived = requested_and_arrived(done)
    assert requested == arrived > 0
    assert f"Store     {requested} of {requested} objects are on disk" in done.out
    objects = machine.settings.data_dir / "demo" / "objects"
    assert done.out.splitlines()[-1] == f"Demo ok; the files are in {objects}"
    assert len(list(objects.glob("*/*/*.dcm"))) == arrived
    # And
    assert not left_behind(machine)


def test_run_prints_its_addresses_and_ends_all_it_started(small_machine: Installation) -> None:
    # Given
    running = small_machine.begin("local", "run")
    settings = small_machine.settings
    wait_until(printed(running, "It runs until Ctrl-C."), DEMO_S)
    # Then
    text = running.text()
    assert f"Page:   http://127.0.0.1:{settings.web_port}" in text
    assert re.search(r"^Login:  admin with the one-time password \S+$", text, re.MULTILINE)
    assert f"Files:  {settings.objects_dir}" in text
    first = re.search(r"doseqr show (\S+)", text)
    assert first is not None
    # And
    listed = small_machine.doseqr("jobs", "--json").json
    statuses = {job["id"]: job["status"] for job in listed}
    assert statuses == {first[1]: "completed", retrieve_id_after(first[1]): "completed"}
    # When
    running.interrupt()
    # Then
    assert running.wait().code == 0
    assert not left_behind(small_machine)


def printed(running: Running, text: str) -> Callable[[], bool]:
    """Return whether a process that runs has written this."""

    def is_printed() -> bool:
        assert running.running, running.text()[-3000:]
        return text in running.text()

    return is_printed
