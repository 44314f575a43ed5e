"""Embedded: all services in one process, reached by commands in others, with no broker anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.archive import ORDER, mixed_archive, wanted
from tests.support.processes.installation import Installation, Running, doseqr_command, installed

RECORDER = Path(__file__).parent / "recorder"
#: The command of a forked process, which does not read PYTHONPATH.
RECORDED = "tests.e2e.recorder.doseqr"


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Installation]:
    """An installation without RabbitMQ whose processes write down where they connect to."""
    recorded = {"PYTHONPATH": str(RECORDER), "RECORDED_PORTS": str(tmp_path / "ports")}
    with installed(tmp_path, "memory://", "embedded", command=RECORDED, **recorded) as made:
        yield made


def ports_called(installation: Installation) -> set[int]:
    """Return every TCP port that any process of the installation connected to."""
    return {int(port) for port in Path(installation.environment["RECORDED_PORTS"]).read_text().split()}


def serve_all(installation: Installation) -> Running:
    """Start all services in one process and wait until `doseqr ready` finds them."""
    services = installation.run([*doseqr_command(), "serve", "all"])
    ready = installation.doseqr("ready", "--timeout", "60")
    assert ready.code == 0, services.text()
    return services


def test_commands_reach_the_one_process_and_nothing_calls_a_broker(embedded, scripted_pacs):
    # Given
    archive = mixed_archive(20)
    pacs = scripted_pacs(archive, destinations={"DOSEQR": embedded.store_address})
    services = serve_all(embedded)
    where = ("--host", "127.0.0.1", "--port", str(pacs.port), "--ae-title", pacs.ae_title)
    assert embedded.doseqr("nodes", "add", "remote", "pacs", *where).code == 0
    # When
    echo = embedded.doseqr("echo", "--json")
    done = embedded.doseqr(*ORDER, "--retrieve")
    shown = embedded.doseqr("show", done.json["id"], "--json")
    pacs.add_fault(operation="find", kind="never_answer", always=True)
    begun = embedded.doseqr(*ORDER, "--no-wait", "--include-known")
    cancelled = embedded.doseqr("cancel", begun.json["id"], "--json")
    # Then
    assert (echo.code, {echo_result["node"] for echo_result in echo.json if echo_result["ok"]}) == (
        0,
        {"doseqr", "pacs"},
    )
    assert (done.code, done.json["retrieve"]["counts"]["arrived"]) == (0, len(wanted(archive)))
    assert shown.json["counts"] == done.json["counts"]
    assert (cancelled.code, cancelled.json["status"]) == (0, "cancelled")
    assert services.terminate() == 0
    settings = embedded.settings
    assert ports_called(embedded) == {pacs.port, settings.store_port, settings.web_port}
