"""Secrets of DICOMweb nodes: renewed while they are in use, and written nowhere."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.contract.messages import EchoCompleted, EchoNodes
from shared.database.session import Database
from shared.logs import configure
from simulator.dicomweb.behaviour import WebBehaviour
from simulator.dicomweb.server import DicomwebServer
from tests.integration.query.test_query import CT
from tests.support.peers.studies import ct_study
from tests.support.services.cli import Doseqr
from tests.support.services.in_process import System

MARKS = {"basic": "ZZPASSWORD", "bearer": "ZZTOKEN", "oauth": "ZZCLIENTSECRET"}


@pytest.fixture
def web_system(doseqr: Doseqr, make_system: Callable[..., System]) -> Iterator[System]:
    """A system over the data folder of `doseqr`, with a marked secret for each authentication."""
    settings = doseqr.settings.model_copy(update={"retry_pauses": (0.05,), "dimse_timeout": 5.0})
    settings.node_secrets_dir.mkdir(parents=True, exist_ok=True)
    for name, mark in MARKS.items():
        (settings.node_secrets_dir / name).write_text(f"{mark}\n")
    broker = MemoryBroker()
    broker.declare()
    database = Database(settings.database)
    yield make_system(broker, database, settings)
    database.close()


def add_node(system: System, kind: str, server: DicomwebServer) -> None:
    user = {} if kind == "bearer" else {"web_user": "doseqr"}
    token_url = {"web_token_url": server.token_url} if kind == "oauth" else {}
    system.add_dicomweb(kind, server.url, web_authentication=kind, web_secret_file=kind, **user, **token_url)


def test_a_token_that_is_refused_in_mid_job_is_renewed(
    web_system: System, dicomweb_server: Callable[..., DicomwebServer]
) -> None:
    # Given
    server = dicomweb_server([ct_study()], WebBehaviour(token_requests=6))
    add_node(web_system, "oauth", server)
    web_system.add_own_store()
    web_system.start("query")
    # When
    query = web_system.finished_query(CT, remote="oauth")
    # Then
    assert (query["status"], len(query["studies"]), query["missing"]) == ("completed", 1, [])
    assert server.tokens > 1


@pytest.mark.parametrize("renewed", [True, False], ids=["renewed", "not renewed"])
def test_a_bearer_file_is_read_again_when_its_token_is_refused(
    web_system: System, dicomweb_server: Callable[..., DicomwebServer], renewed: bool
) -> None:
    # Given: a server that ends the first token after three requests; the file is renewed at that moment
    file, sent = web_system.settings.node_secrets_dir / "bearer", list[str]()

    def accept(authorization: str) -> bool:
        sent.append(authorization)
        if len(sent) == 4 and renewed:
            file.write_text("second\n")
        return authorization == "Bearer second" or len(sent) < 4

    server = dicomweb_server([ct_study()], accept=accept)
    add_node(web_system, "bearer", server)
    web_system.add_own_store()
    web_system.start("query")
    # When
    query = web_system.finished_query(CT, remote="bearer")
    # Then
    refused = [token for token in sent[3:] if token != "Bearer second"]
    if renewed:
        assert (query["status"], query["missing"], len(refused)) == ("completed", [], 1)
    else:
        assert query["status"] in ("incomplete", "failed")
        words = json.dumps(query)
        assert "HTTP 401" in words
        assert "check the node's authentication and its secret" in words


def test_marked_secrets_of_nodes_are_written_nowhere(
    web_system: System,
    doseqr: Doseqr,
    dicomweb_server: Callable[..., DicomwebServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    configure("test", "DEBUG")
    messages: list[Message] = []
    web_system.broker.subscribe(["#"], messages.append)
    sent: list[str] = []

    def refuse(authorization: str) -> bool:
        sent.append(authorization)
        return False

    for kind in MARKS:
        server = dicomweb_server([ct_study()], accept=refuse)
        add_node(web_system, kind, server)
    web_system.add_own_store()
    web_system.start("echo", "query")
    # When
    web_system.command(EchoNodes(nodes=list(MARKS)))
    echoed: Any = web_system.wait_for_event(EchoCompleted)
    queries = [web_system.finished_query(CT, remote=kind) for kind in MARKS]
    web_system.stop()
    bundle = tmp_path / "bundle.zip"
    listed = doseqr("nodes", "list", "--json")
    made = doseqr("support-bundle", queries[0]["id"], "--output", str(bundle))
    # Then
    assert {result.outcome for result in echoed.results} == {"authentication failed"}
    assert {query["status"] for query in queries} == {"failed"}
    assert (listed.code, made.code) == (0, 0)
    assert f"Bearer {MARKS['bearer']}" in sent
    with zipfile.ZipFile(bundle) as parts:
        written = {name: parts.read(name) for name in parts.namelist()}
    written |= {"log": log.getvalue().encode(), "nodes": listed.out.encode()}
    written |= {f"message {message.routing_key}": message.body for message in messages}
    written |= {path.name: path.read_bytes() for path in tmp_path.glob("data/*") if path.is_file()}
    assert {"doseqr.sqlite", "log", "nodes", "job.json"} <= written.keys()
    assert queries[0]["id"] in log.getvalue()
    secrets = [*MARKS.values(), "ZG9zZXFy", "token-1"]
    assert [name for name, data in written.items() for secret in secrets if secret.encode() in data] == []
