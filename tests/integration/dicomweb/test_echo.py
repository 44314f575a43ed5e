"""The echo of a DICOMweb server: each way it can end has words of its own, and so has TLS in jobs."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.contract.messages import EchoCompleted, EchoNodes
from shared.database.session import Database
from shared.dicom.errors import Outcome
from shared.nodes.nodes import find_node
from shared.settings import Settings
from simulator.dicomweb.behaviour import WebBehaviour
from tests.integration.query.test_query import CT
from tests.support.archives.dicomweb_server import ServerFactory, web_fault
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import ct_study
from tests.support.ports import free_port
from tests.support.servers.certificates import Authority
from tests.support.services.in_process import System

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


class Row(NamedTuple):
    """A server, how the node names it, and what the echo has to say."""

    outcome: Outcome
    words: str
    behaviour: WebBehaviour = WebBehaviour()
    #: `http`: no TLS; `tls`: TLS; `client`: TLS for clients with a certificate only.
    speaks: str = "http"
    node: Mapping[str, Any] = {}


TRUSTED = {"tls": "on", "tls_ca": "ca.pem"}
OWN = {"tls_certificate": "doseqr.pem", "tls_key": "doseqr.key"}
ROWS = {
    "answers": Row(Outcome.RESPONDS, ""),
    "no studies": Row(Outcome.RESPONDS, "", web_fault("no_content")),
    "HTTP 401": Row(Outcome.UNAUTHORIZED, "check the node's authentication and its secret", web_fault(401)),
    "no secret": Row(
        Outcome.UNAUTHORIZED,
        "No such file",
        node={"web_authentication": "bearer", "web_secret_file": "absent"},
    ),
    "HTTP 403": Row(Outcome.FORBIDDEN, "known there, and may not do this", web_fault(403)),
    "HTTP 404": Row(Outcome.NOT_FOUND, "is its path right?", web_fault(404)),
    "HTTP 500": Row(Outcome.STATUS, "HTTP 500", web_fault(500)),
    "HTTP 503": Row(Outcome.STATUS, "the server is busy", web_fault(503)),
    "html": Row(Outcome.NO_DICOMWEB, "and not with DICOM JSON", web_fault("html")),
    "redirection": Row(Outcome.NO_DICOMWEB, "redirections are not followed", web_fault(302)),
    "no JSON": Row(Outcome.BAD_RESPONSE, "no JSON", web_fault("truncated")),
    "silence": Row(
        Outcome.TIMED_OUT,
        "silent for too long",
        web_fault("delay", delay_s=2.5),
        node={"web_timeout_s": 1},
    ),
    "trusted": Row(Outcome.RESPONDS, "", speaks="tls", node=TRUSTED),
    "unknown authority": Row(Outcome.CERTIFICATE, "is not accepted", speaks="tls", node={"tls": "on"}),
    "wrong name": Row(Outcome.CERTIFICATE, "is not accepted", speaks="wrong name", node=TRUSTED),
    "expired": Row(Outcome.CERTIFICATE, "certificate has expired", speaks="expired", node=TRUSTED),
    "any name": Row(Outcome.RESPONDS, "", speaks="wrong name", node=TRUSTED | {"tls": "any-name"}),
    "our certificate": Row(Outcome.RESPONDS, "", speaks="client", node=TRUSTED | OWN),
    "no certificate of ours": Row(
        Outcome.CERTIFICATE, "wants a certificate of ours", speaks="client", node=TRUSTED
    ),
    "http there": Row(Outcome.ABORTED, "speak http:// on this port", speaks="plain", node=TRUSTED),
}


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, ssl.SSLContext]]:
    """The folder of the nodes' files, and how servers speak TLS."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder, "hospital")
    authority.issue("doseqr")
    made = {}
    for name, host in (
        ("tls", "IP:127.0.0.1"),
        ("client", "IP:127.0.0.1"),
        ("wrong name", "DNS:other.example"),
        ("expired", "IP:127.0.0.1"),
    ):
        issued = authority.issue(name.replace(" ", "-"), host, days=-1 if name == "expired" else 2)
        made[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made[name].load_cert_chain(issued.certificate, issued.key)
    made["client"].verify_mode = ssl.CERT_REQUIRED
    made["client"].load_verify_locations(authority.certificate)
    return folder, made


@pytest.fixture
def rows_system(
    make_system: Callable[..., System],
    test_settings: Settings,
    sqlite_database: Database,
    contexts: tuple[Path, dict[str, ssl.SSLContext]],
    dicomweb_server: ServerFactory,
) -> System:
    """A system that knows a node for each row, and two that are away."""
    folder, contexts_of = contexts
    broker = MemoryBroker()
    broker.declare()
    settings = test_settings.model_copy(update={"dimse_timeout": 5.0, "tls_dir": str(folder)})
    system = make_system(broker, sqlite_database, settings)
    for name, row in ROWS.items():
        server = dicomweb_server([ct_study()], row.behaviour, ssl_context=contexts_of.get(row.speaks))
        url = server.url.replace("http:", "https:") if row.speaks == "plain" else server.url
        system.add_dicomweb(name, url, **row.node)
    system.add_dicomweb("away", f"http://127.0.0.1:{free_port()}")
    system.add_dicomweb("no host", "http://doseqr.invalid/dicom-web")
    return system


EXPECTED = {name: (row.outcome.value, row.words) for name, row in ROWS.items()} | {
    "away": (Outcome.CONNECTION_REFUSED.value, "does not take connections"),
    "no host": (Outcome.HOST_NOT_FOUND.value, ""),
}


def test_each_way_an_echo_ends_has_its_own_words(rows_system: System):
    # Given
    rows_system.start("echo")
    # When
    rows_system.command(EchoNodes(nodes=list(EXPECTED)))
    echoed: Any = rows_system.wait_for_event(EchoCompleted)
    # Then
    found = {result.node: (result.outcome, result.detail) for result in echoed.results}
    wrong = {
        name: found.get(name)
        for name, (outcome, words) in EXPECTED.items()
        if name not in found or found[name][0] != outcome or words not in found[name][1]
    }
    assert wrong == {}
    assert {result.node for result in echoed.results if result.ok} == {
        name for name, (outcome, _words) in EXPECTED.items() if outcome == "answers"
    }


#: What a query and a retrieve have to say of a node, beside the code.
TLS_WORDS = {
    "unknown authority": "is not accepted (unable to get local issuer certificate)",
    "wrong name": "is not accepted (IP address mismatch",
    "expired": "is not accepted (certificate has expired)",
    "no certificate of ours": "wants a certificate of ours",
}


def _kept(name: str) -> str:
    """Return the id of the query that kept something of a node."""
    return f"kept-{name.replace(' ', '-')}"


def test_queries_and_retrieves_name_what_is_wrong_with_tls(rows_system: System):
    # Given
    system, retrieves = rows_system, Retrieves(rows_system)
    retrieves.store = system.add_own_store()
    system.start("store", "query", "retrieve")
    done = system.finished_query(CT, remote="our certificate")
    for name in TLS_WORDS:
        with system.database.read() as session:
            retrieves.remote = find_node(session, name)
        retrieves.kept([ct_study()], job_id=_kept(name))
    # When
    jobs = {(name, "query"): system.query(CT, remote=name) for name in TLS_WORDS}
    jobs |= {(name, "retrieve"): retrieves.order(_kept(name)) for name in TLS_WORDS}
    for job_id in jobs.values():
        system.wait_for_end(job_id)
    # Then
    ended: dict[tuple[str, str], Any] = {
        (name, kind): system.query_json(job_id) if kind == "query" else system.retrieve_json(job_id)
        for (name, kind), job_id in jobs.items()
    }
    wrong = {
        key: (job["status"], job["failure"], job["detail"])
        for key, job in ended.items()
        if (job["status"], job["failure"]) != ("failed", "access_refused")
        or TLS_WORDS[key[0]] not in job["detail"]
    }
    assert wrong == {}
    assert {job["counts"].get("arrived", 0) for job in ended.values()} == {0}
    # And with what the server wants
    retrieve = system.finished_retrieve(done["id"])
    assert (done["status"], retrieve["status"], retrieve["counts"]["arrived"]) == (
        "completed",
        "completed",
        1,
    )
