"""One whole way over HTTP: query, events, studies, retrieve, objects; real RabbitMQ, services and PACS."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.topology import QUEUES
from shared.clock import utc_now
from shared.users.accounts import create_user
from shared.users.api_tokens import create_token
from simulator.archive.model import Study
from tests.e2e.archive import CRITERIA, FIRST, LAST, mixed_archive, wanted
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[4]
PAGE_OF_DOCS = ROOT / "docs" / "http-api.md"
EXAMPLE = ROOT / "docs" / "examples" / "http_api.py"


class Running:
    """A system with its page, and a token of an importer."""

    def __init__(self, system: System, archive: list[Study]) -> None:
        self.system, self.archive = system, archive
        self.page = f"http://127.0.0.1:{system.settings.web_port}"
        with system.database.write() as session:
            user = create_user(session, "ada", "importer", "correct horse battery", utc_now())
            _, self.token = create_token(session, "nightly", user, "import", utc_now())

    def send(self, method, path, body=None, headers=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.page + path, data, method=method, headers=headers or {})
        request.add_header("Authorization", f"Bearer {self.token}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)

    def events(self, job_id):
        request = urllib.request.Request(f"{self.page}/api/v1/jobs/{job_id}/events")
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=60) as response:
            return re.findall(r"^event: (\w+)\ndata: (.*)$", response.read().decode(), re.MULTILINE)


@pytest.fixture
def running(make_system, sqlite_database, rabbitmq_url, amqp_prefix, scripted_pacs, test_settings):
    """All services over RabbitMQ, and a PACS with a mixed archive."""
    archive = mixed_archive(30)
    broker = RabbitBroker(rabbitmq_url, amqp_prefix)
    broker.declare()
    system = make_system(broker, sqlite_database)
    destination = ("127.0.0.1", test_settings.store_port)
    pacs = scripted_pacs(archive, destinations={"DOSEQR": destination})
    system.add_own_store()
    system.add_remote("pacs", "127.0.0.1", pacs.port, pacs.ae_title)
    system.start("store", "echo", "query", "retrieve", "web")
    # Until a worker listens at each, the API refuses what needs it.
    wait_until(lambda: all(broker.queue_state(queue.name).consumers for queue in QUEUES))
    yield Running(system, archive)
    system.stop()
    broker.close()


def test_a_query_and_its_retrieve_are_followed_to_the_end(running):
    # When
    query = {"remote": "pacs", "store": "doseqr", "criteria": CRITERIA, "retrieve": True}
    status, begun = running.send("POST", "/api/v1/queries", query)
    # Then
    assert status == 202
    *_, (name, last) = running.events(begun["id"])
    summary = json.loads(last)
    assert (name, summary["status"], summary["requested_by"]) == ("ended", "completed", "ada")
    query = running.send("GET", f"/api/v1/jobs/{begun['id']}")[1]
    assert summary["counts"]["kept"] == query["counts"]["kept"] > 0
    studies = running.send("GET", f"/api/v1/jobs/{begun['id']}/studies?limit=1000")[1]["items"]
    assert studies == query["studies"]
    kept = next(study for study in studies if study["decision"] == "keep")
    uid = kept["study_instance_uid"]
    assert running.send("GET", f"/api/v1/jobs/{begun['id']}/studies/{uid}/why")[1]["decision"] == "keep"
    wait_until(lambda: running.send("GET", f"/api/v1/jobs/{begun['id']}?studies=false")[1]["retrieves"])
    [retrieve_id] = running.send("GET", f"/api/v1/jobs/{begun['id']}?studies=false")[1]["retrieves"]
    *_, (name, last) = running.events(retrieve_id)
    assert (name, json.loads(last)["status"]) == ("ended", "completed")
    objects = running.send("GET", f"/api/v1/jobs/{retrieve_id}/objects?state=arrived&limit=1000")[1]["items"]
    assert {row["sop_instance_uid"] for row in objects} == wanted(running.archive)


def test_a_refusal_of_the_service_comes_with_the_response(running):
    # Given
    criteria = CRITERIA | {"date_from": "2001-01-01", "date_until": "2001-01-01"}
    _, begun = running.send(
        "POST", "/api/v1/queries", {"remote": "pacs", "store": "doseqr", "criteria": criteria}
    )
    running.events(begun["id"])
    # When
    with pytest.raises(urllib.error.HTTPError) as caught:
        running.send("POST", f"/api/v1/queries/{begun['id']}/retrieve")
    # Then
    problem = json.load(caught.value)
    caught.value.close()
    assert problem["status"] == 409
    assert problem["detail"] == "the query kept nothing"


def test_a_node_responds_to_an_echo(running):
    # When
    status, result = running.send("POST", "/api/v1/nodes/pacs/echo")
    # Then
    assert (status, result["node"], result["ok"]) == (200, "pacs", True)


def test_the_curl_lines_of_the_documentation_work(running, tmp_path):
    # Given
    [script] = re.findall(
        r"^```bash\n(.*?)^```", PAGE_OF_DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    # When
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PAGE": running.page, "TOKEN": running.token, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # Then
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("event: ended") == 2
    assert '"state": "arrived"' in done.stdout


def test_the_python_example_of_the_documentation_works(running):
    # When
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), running.page, running.token, "pacs", "doseqr", str(FIRST), str(LAST)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # Then
    assert done.returncode == 0, done.stdout + done.stderr
    arrived = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("arrived ")}
    assert arrived == wanted(running.archive)
