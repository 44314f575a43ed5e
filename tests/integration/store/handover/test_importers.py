"""The two ways to hand over: a program with paths on its standard input, and a POST of JSON."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.store.handover.command_sender import CommandSender, arguments_for
from services.store.handover.factory import handover_workers
from services.store.handover.http_sender import HttpSender
from services.store.handover.model import Batch, BatchObject, HandoverError, InterruptedHandoverError
from services.store.objects.durable_folder import ObjectFolder
from shared.errors import SettingsError
from shared.settings import Settings, load
from tests.support.ports import free_port
from tests.support.waiting import wait_until


def a_batch(objects: int = 2, **values: Any) -> Batch:
    made = tuple(
        BatchObject("1.1", "1.2", f"1.3.{number}", "1.4", f"1.1/1.2/1.3.{number}.dcm", 10, "a" * 64, "whole")
        for number in range(objects)
    )
    known: dict[str, Any] = {"id": "b1", "job_id": "r1", "study_instance_uid": "", "attempt": 1}
    return Batch(**(known | values), objects=made)


def a_program(folder: Path, text: str) -> list[str]:
    script = folder / "importer.py"
    script.write_text(text)
    return [sys.executable, str(script)]


def command(arguments: list[str], root: Path, timeout_s: float = 60.0) -> CommandSender:
    return CommandSender(arguments, root, timeout_s=timeout_s, stopping=threading.Event())


def test_a_program_gets_each_path_on_a_line_and_the_placeholders_as_arguments(tmp_path):
    # Given
    text = "import sys, os, json, pathlib\n"
    text += "told = [sys.argv[1:], sys.stdin.read(), sorted(os.environ)]\n"
    text += "pathlib.Path('told.json').write_text(json.dumps(told))\n"
    send = command(
        [*a_program(tmp_path, text), "--id={batch}", "{job}", "{count}", "{other}", "$HOME"], tmp_path
    )
    # When
    send(a_batch(1000))
    # Then
    arguments, lines, environment = json.loads((tmp_path / "told.json").read_text())
    assert arguments == ["--id=b1", "r1", "1000", "{other}", "$HOME"]
    assert lines.splitlines() == [f"{tmp_path}/1.1/1.2/1.3.{number}.dcm" for number in range(1000)]
    assert not [name for name in environment if name.startswith("DOSEQR")]


def test_a_value_is_not_filled_in_twice():
    # When
    arguments = arguments_for(["{study}", "{batch}"], a_batch(id="{study}", study_instance_uid="1.1"))
    # Then
    assert arguments == ["1.1", "{study}"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("raise SystemExit(3)", "The program ended with exit code 3."),
        ("import os; os.kill(os.getpid(), 9)", "The program ended with signal 9."),
    ],
)
def test_a_program_that_fails_has_not_taken_the_batch(tmp_path, text, sentence):
    # When, Then
    with pytest.raises(HandoverError, match=sentence) as raised:
        command(a_program(tmp_path, text), tmp_path)(a_batch())
    assert raised.value.reason == "exit_code"


def test_a_program_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(HandoverError, match="could not be started: No such file") as raised:
        command([str(tmp_path / "nothing")], tmp_path)(a_batch())
    assert raised.value.reason == "not_started"


STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    pathlib.Path('pids').write_text(f'{os.getpid()} {child}')
time.sleep(600)
"""


def gone(pid: int) -> bool:
    """Tell whether a process runs no more; one that waits for its parent counts as gone."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_a_program_that_does_not_end_in_time_is_ended_with_all_that_it_started(tmp_path):
    # Given
    send = command(a_program(tmp_path, STUBBORN), tmp_path, timeout_s=2.0)
    # When
    with pytest.raises(HandoverError, match="did not end within 2 s") as raised:
        send(a_batch())
    # Then
    assert raised.value.reason == "timed_out"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_until(lambda: all(map(gone, pids)))


def test_the_end_of_the_service_ends_the_program(tmp_path):
    # Given
    stopping = threading.Event()
    send = CommandSender(a_program(tmp_path, STUBBORN), tmp_path, timeout_s=600, stopping=stopping)

    def stop() -> None:
        wait_until((tmp_path / "pids").exists)
        stopping.set()

    threading.Thread(target=stop).start()
    # When, Then
    with pytest.raises(InterruptedHandoverError):
        send(a_batch())


class Listener:
    """An HTTP server of a test: what it was sent, and what it responds."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.statuses: list[int] = []
        self.slow = threading.Event()
        self.drips = False
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.requests.append((self.path, dict(self.headers), json.loads(body)))
                if listener.drips:
                    self._drip()
                    return
                status = listener.statuses.pop(0) if listener.statuses else 204
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _drip(self) -> None:
                try:
                    while not listener.slow.wait(0.05):
                        self.wfile.write(b"H")
                        self.wfile.flush()
                except OSError:
                    return

            def log_message(self, *_arguments: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/import", user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self._server.server_address[1]}{path}"

    def close(self) -> None:
        self.slow.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def post(url: str, timeout_s: float = 30.0) -> HttpSender:
    return HttpSender(url, Path("/data/objects"), timeout_s=timeout_s, store_ae_title="DOSEQR")


def test_a_post_has_the_uids_and_paths_and_the_id_of_the_batch(listener):
    # When
    post(listener.url("/import?a=1", "doc:p%40ss@"))(a_batch(attempt=2))
    # Then
    ((path, headers, body),) = listener.requests
    assert path == "/import?a=1"
    assert headers["Idempotency-Key"] == body["batch"] == "b1"
    assert headers["Authorization"] == "Basic ZG9jOnBAc3M="
    assert (body["job"], body["attempt"], body["store_ae_title"]) == ("r1", 2, "DOSEQR")
    assert body["objects"][1] == {
        "study_instance_uid": "1.1",
        "series_instance_uid": "1.2",
        "sop_instance_uid": "1.3.1",
        "sop_class_uid": "1.4",
        "path": "/data/objects/1.1/1.2/1.3.1.dcm",
        "size_bytes": 10,
        "sha256": "a" * 64,
        "content": "whole",
    }


@pytest.mark.parametrize("status", [307, 400, 404, 500, 503])
def test_only_2xx_means_that_it_was_taken(listener, status):
    # Given
    listener.statuses = [status]
    # When
    with pytest.raises(HandoverError, match=f"HTTP status {status}") as raised:
        post(listener.url())(a_batch())
    # Then
    assert raised.value.reason == "http_status"
    assert len(listener.requests) == 1


def test_a_response_that_drips_is_not_waited_for_for_ever(listener):
    # Given
    listener.drips = True
    # When, Then
    with pytest.raises(HandoverError, match="did not respond within") as raised:
        post(listener.url(), timeout_s=1.0)(a_batch())
    assert raised.value.reason == "timed_out"


def test_an_importer_that_is_away_cannot_be_reached():
    with pytest.raises(HandoverError, match="ConnectionRefusedError") as raised:
        post(f"http://127.0.0.1:{free_port()}/")(a_batch())
    assert raised.value.reason == "not_reached"


def test_an_importer_whose_certificate_nobody_vouches_for_gets_nothing(listener):
    with pytest.raises(HandoverError) as raised:
        post(listener.url().replace("http:", "https:"), timeout_s=5.0)(a_batch())
    assert raised.value.reason == "not_reached"
    assert listener.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOSEQR_HANDOVER_URL", "ftp://importer/"),
        ("DOSEQR_HANDOVER_URL", "https:///path"),
        ("DOSEQR_HANDOVER_URL", "http://importer/a b"),
        ("DOSEQR_HANDOVER_URL", "http://importer:99999/"),
        ("DOSEQR_HANDOVER_COMMAND", '[""]'),
        ("DOSEQR_HANDOVER_COMMAND", '["a\\u0000b"]'),
        ("DOSEQR_HANDOVER_TIMEOUT", "0"),
    ],
)
def test_a_setting_that_names_no_importer_is_refused_by_its_name(monkeypatch, name, value):
    # Given
    monkeypatch.setenv(name, value)
    # When, Then
    with pytest.raises(SettingsError, match=name):
        load()


def test_a_command_and_an_address_together_are_refused(sqlite_database, tmp_path):
    # Given
    settings = Settings(handover_command=("importer",), handover_url="http://importer/")
    # When, Then
    with pytest.raises(SettingsError, match="DOSEQR_HANDOVER_URL"):
        handover_workers(settings, sqlite_database, ObjectFolder(tmp_path))


def test_without_an_importer_nothing_is_begun(sqlite_database, tmp_path):
    assert handover_workers(Settings(), sqlite_database, ObjectFolder(tmp_path)) == []
