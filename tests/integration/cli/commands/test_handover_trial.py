"""`doseqr handover test`: one object to the importer, and what the importer says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from services.store.handover.trial import SHOWN_BYTES
from shared.database.models.store import StoredObject
from shared.database.session import Database
from tests.support.jobs.rows import NOW
from tests.support.services.cli import Doseqr

RDSR, CT = "1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def stored(doseqr: Doseqr) -> Doseqr:
    """A report, and the header of an image that came after it."""
    assert doseqr("nodes", "list").code == 0
    database = Database(doseqr.settings.database)
    with database.write() as session:
        for uid, sop_class_uid, second, content in (("1.3.1", RDSR, 1, "whole"), ("1.3.2", CT, 2, "headers")):
            came = NOW.replace(second=second)
            path = f"1.1/1.2/{uid}.dcm"
            session.add(
                StoredObject(
                    sop_instance_uid=uid,
                    series_instance_uid="1.2",
                    study_instance_uid="1.1",
                    sop_class_uid=sop_class_uid,
                    source="store",
                    path=path,
                    content=content,
                    received_at=came,
                    last_received_at=came,
                )
            )
            file = doseqr.settings.objects_dir / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"DICM")
    database.close()
    return doseqr


@pytest.fixture
def importer() -> Iterator[Callable[[int, bytes], tuple[str, list[Any]]]]:
    """Start an importer that responds with a status and a body; return its address and what it gets."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: bytes) -> tuple[str, list[Any]]:
        received: list[Any] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/import", received

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


#: What a program does, whether it has taken the object, what is said of it, and its output.
PROGRAMS = {
    "takes it": ("import sys; print('imported', sys.stdin.read().count('.dcm'))", True, "0", "imported 1\n"),
    "refuses it": (
        "import sys; print('no such database', file=sys.stderr); sys.exit(3)",
        False,
        "exit code 3",
        "no such database\n",
    ),
    "talks without end": ("print('x' * 10_000_000)", True, "0", "x" * SHOWN_BYTES),
    "hangs": ("import time; print('begun', flush=True); time.sleep(60)", False, "within 1 s", "begun\n"),
    "leaves a child": (
        "import subprocess; subprocess.Popen(['sleep', '5']); print('begun')",
        True,
        "0",
        "begun\n",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_output_of_a_program_is_shown(stored: Doseqr, monkeypatch: pytest.MonkeyPatch, name: str):
    # Given
    text, taken, words, output = PROGRAMS[name]
    monkeypatch.setenv("DOSEQR_HANDOVER_COMMAND", json.dumps([sys.executable, "-c", text]))
    monkeypatch.setenv("DOSEQR_HANDOVER_TIMEOUT", "1" if name == "hangs" else "30")
    # When
    result = stored("handover", "test", "--json")
    # Then
    assert result.code == (0 if taken else 5)
    assert (result.json["taken"], result.json["output"]) == (taken, output)
    assert words in result.json["detail"]
    assert result.json["sop_instance_uid"] == "1.3.1"


@pytest.mark.parametrize(("status", "taken"), [(202, True), (500, False)])
def test_the_response_of_an_address_is_shown(
    stored: Doseqr, monkeypatch: pytest.MonkeyPatch, importer: Any, status: int, taken: bool
):
    # Given
    url, received = importer(status, b"queue \x1b[31m full")
    monkeypatch.setenv("DOSEQR_HANDOVER_URL", url)
    # When
    result = stored("handover", "test", "1.3.2")
    # Then
    assert result.code == (0 if taken else 5)
    assert f"HTTP status {status}" in result.out
    assert "queue" in result.out
    assert "\x1b" not in result.out
    [batch] = received
    [handed_over] = batch["objects"]
    assert (handed_over["sop_instance_uid"], Path(handed_over["path"]).read_bytes()) == ("1.3.2", b"DICM")
    assert handed_over["content"] == "headers"
    assert batch["batch"].startswith("test-")


def test_nothing_is_tried_without_importer_or_object(doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch):
    # When
    nothing = doseqr("handover", "test")
    unknown = doseqr("handover", "test", "1.2.3")
    # Then
    assert "none is stored here yet" in nothing.err
    assert "1.2.3 is not stored here" in unknown.err
    assert {nothing.code, unknown.code} == {2}


def test_the_missing_setting_is_named(stored: Doseqr):
    # When
    result = stored("handover", "test")
    # Then
    assert result.code == 2
    assert "DOSEQR_HANDOVER_COMMAND" in result.err
