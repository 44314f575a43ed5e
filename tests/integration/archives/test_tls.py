"""TLS on each leg, with archives that are not ours: from us to the PACS, and from it to our store."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from services.echo.ping import ping
from shared.broker.memory.broker import MemoryBroker
from shared.database.models import Node
from shared.dicom.errors import Outcome
from shared.nodes.peers import peer_of, timeouts_of
from tests.integration.archives.test_strangers import EVERYTHING
from tests.integration.store.test_tls import certificate
from tests.support.archives.content import files_of, slim, studies
from tests.support.archives.orthanc import orthancs
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder with certificates and keys, and with those that both sides trust."""
    folder = tmp_path_factory.mktemp("tls")
    certificates = {name: Path(certificate(folder, name)[0]) for name in ("pacs", "store", "other")}
    trusted = certificates["pacs"].read_text() + certificates["store"].read_text()
    (folder / "trusted.pem").write_text(trusted)
    return folder


@pytest.fixture(scope="module")
def orthanc(folder, tmp_path_factory):
    """An Orthanc that speaks TLS only, and only with who shows a certificate that it trusts."""
    with orthancs(tmp_path_factory.mktemp("orthanc")) as start:
        started = start(
            "ORTHANC",
            DicomTlsEnabled=True,
            DicomTlsCertificate=str(folder / "pacs.pem"),
            DicomTlsPrivateKey=str(folder / "pacs.key"),
            DicomTlsTrustedCertificates=str(folder / "trusted.pem"),
            DicomTlsRemoteCertificateRequired=True,
        )
        for _, content in files_of(map(slim, studies(6))):
            started.add_bytes(content)
        yield started


@pytest.fixture
def system(make_system, test_settings, sqlite_database, folder):
    """A system whose store speaks TLS only, and only with who shows a certificate that it trusts."""
    broker = MemoryBroker()
    broker.declare()
    files = {
        "tls_dir": str(folder),
        "store_tls_cert": str(folder / "store.pem"),
        "store_tls_key": str(folder / "store.key"),
        "store_tls_client_ca": str(folder / "trusted.pem"),
    }
    return make_system(broker, sqlite_database, test_settings.model_copy(update=files))


@pytest.fixture
def pacs(system, orthanc):
    """The Orthanc, which knows our store, as node `pacs`."""
    orthanc.send_to("DOSEQR", "localhost", system.settings.store_port, tls=True)
    system.add_remote("pacs", orthanc.host, orthanc.port, orthanc.ae_title)
    return orthanc


def secured(system, **values: str) -> Node:
    """Set how TLS is spoken with the node `pacs`, and return it."""
    given = {
        "host": "localhost",
        "tls": "on",
        "tls_ca": "pacs.pem",
        "tls_certificate": "store.pem",
        "tls_key": "store.key",
    }
    with system.database.write() as session:
        node: Node = session.query(Node).filter_by(name="pacs").one()
        for column, value in (given | values).items():
            setattr(node, column, value)
        return node


@pytest.mark.parametrize("retrieve_by", ["move", "get"])
def test_query_and_retrieve_run_over_tls_on_every_leg(system, pacs, retrieve_by):
    # Given
    secured(system, retrieve_by=retrieve_by)
    system.add_own_store()
    system.start("store", "query", "retrieve")
    # When
    query = system.finished_query(EVERYTHING)
    retrieve = system.finished_retrieve(query["id"])
    # Then
    assert query["status"] == "completed"
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
    assert retrieve["counts"]["arrived"] == retrieve["counts"]["asked"] > 0


@pytest.mark.parametrize(
    ("values", "outcome", "words"),
    [
        ({}, Outcome.RESPONDS, ""),
        ({"host": "127.0.0.1", "tls": "any-name"}, Outcome.RESPONDS, ""),
        ({"host": "127.0.0.1"}, Outcome.ABORTED, "its certificate is not accepted (IP address mismatch"),
        (
            {"tls_ca": "other.pem"},
            Outcome.ABORTED,
            "its certificate is not accepted (self-signed certificate)",
        ),
        ({"tls_ca": ""}, Outcome.ABORTED, "its certificate is not accepted (self-signed certificate)"),
        ({"tls_ca": "absent.pem"}, Outcome.ABORTED, "absent.pem: No such file"),
        ({"tls_ca": "store.key"}, Outcome.ABORTED, "store.key: "),
        ({"tls_certificate": "other.pem"}, Outcome.ABORTED, "other.pem: KEY_VALUES_MISMATCH"),
        ({"tls_certificate": "other.pem", "tls_key": "other.key"}, Outcome.ABORTED, "localhost"),
        ({"tls_certificate": "", "tls_key": ""}, Outcome.ABORTED, "localhost"),
        ({"tls": "off"}, Outcome.ABORTED, "localhost"),
    ],
)
def test_an_echo_names_what_is_wrong_with_tls(system, pacs, values, outcome, words):
    # Given
    settings = system.settings
    # When
    result = ping(peer_of(secured(system, **values), settings), timeouts_of(settings))
    # Then
    assert result.outcome == outcome
    assert words in result.detail


def test_a_renewed_certificate_holds_without_a_restart(system, pacs, folder):
    # Given
    settings = system.settings
    peer = peer_of(secured(system, tls_ca="known.pem"), settings)
    known = folder / "known.pem"
    known.write_bytes((folder / "other.pem").read_bytes())
    before = ping(peer, timeouts_of(settings))
    # When
    known.write_bytes((folder / "pacs.pem").read_bytes())
    after = ping(peer, timeouts_of(settings))
    # Then
    assert (before.outcome, after.outcome) == (Outcome.ABORTED, Outcome.RESPONDS)


def test_a_storescp_of_dcmtk_is_tested_over_tls(system, folder, tmp_path):
    # Given
    if not shutil.which("storescp"):
        pytest.skip("no DCMTK: install the package dcmtk")
    settings, port = system.settings, free_port()
    command = ["storescp", "+tls", str(folder / "pacs.key"), str(folder / "pacs.pem"), "-rc"]
    command += ["+cf", str(folder / "store.pem"), str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    system.add_store("pacs", "localhost", port, "STORESCP")
    node = secured(system)
    try:
        # When
        wait_until(lambda: ping(peer_of(node, settings), timeouts_of(settings)).outcome == Outcome.RESPONDS)
        node = secured(system, tls="off")
        without = ping(peer_of(node, settings), timeouts_of(settings))
    finally:
        process.terminate()
        process.wait(10)
    # Then
    assert without.outcome != Outcome.RESPONDS
