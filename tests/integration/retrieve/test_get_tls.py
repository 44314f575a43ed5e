"""A C-GET over TLS, from the PACS to us and from us to our own store."""

from __future__ import annotations

import shutil
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.database.models import Node
from shared.dicom.association.c_move import move_identifier
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Peer
from shared.dicom.relay.c_get import open_get_association
from shared.dicom.tls import PeerTls
from shared.nodes.peers import own_store_of, timeouts_of
from shared.settings import Settings
from tests.integration.store.test_tls import certificate
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.studies import objects, series, study
from tests.support.services.in_process import System

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificates and keys of the PACS, of our store, and of somebody else."""
    folder = tmp_path_factory.mktemp("certificates")
    return {name: certificate(folder, name) for name in ("pacs", "store", "other")}


@pytest.fixture
def kept_study():
    """A study of two series, with seven objects."""
    return study(series("ct_image", 5), series("rdsr_ct", 2))


@pytest.fixture
def tls_pacs(scripted_pacs, files, kept_study):
    """A PACS that speaks TLS only, and requests our certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files["pacs"])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(files["store"][0])
    return scripted_pacs([kept_study], ssl_context=context)


@pytest.fixture
def secure_system(make_system, test_settings: Settings, sqlite_database, files) -> System:
    """A system whose own store speaks TLS only."""
    broker = MemoryBroker()
    broker.declare()
    cert, key = files["store"]
    values = {"store_tls_cert": cert, "store_tls_key": key, "store_tls_client_ca": cert}
    values["tls_dir"] = str(Path(cert).parent)
    made: System = make_system(broker, sqlite_database, test_settings.model_copy(update=values))
    return made


def test_objects_that_are_fetched_over_tls_arrive_over_tls(secure_system, tls_pacs, kept_study):
    # Given
    retrieves = Retrieves(secure_system)
    retrieves.connect(tls_pacs)
    tls_pacs.destinations.clear()
    with secure_system.database.write() as session:
        node = session.get_one(Node, retrieves.remote.id)
        node.retrieve_by, node.tls, node.tls_ca = "get", "any-name", "pacs.pem"
        node.tls_certificate, node.tls_key = "store.pem", "store.key"
    retrieves.kept([kept_study])
    # When
    try:
        retrieve = retrieves.run()
    finally:
        retrieves.stop()
    # Then
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
    assert retrieve["counts"]["arrived"] == 7
    stored = {path.stem for path in secure_system.settings.objects_dir.glob("*/*/*.dcm")}
    assert stored == objects(kept_study)
    assert [request.level for request in recorded_requests(tls_pacs, "get")] == ["SERIES"]


def test_nothing_is_fetched_from_a_pacs_that_is_not_the_one_that_is_known(secure_system, tls_pacs, files):
    # Given
    peer = Peer(tls_pacs.host, tls_pacs.port, tls_pacs.ae_title, "DOSEQR", tls=PeerTls(files["other"][0]))
    # When
    with pytest.raises(PeerError) as caught:
        open_get_association(peer, ["1.2.840.10008.5.1.4.1.1.2"], timeouts_of(secure_system.settings))
    # Then
    assert caught.value.associating
    assert caught.value.outcome is not Outcome.RESPONDS
    assert recorded_requests(tls_pacs, "get") == []


def test_a_store_whose_certificate_is_not_ours_gets_nothing(secure_system, tls_pacs, files, kept_study):
    # Given
    secure_system.start("store")
    timeouts = timeouts_of(secure_system.settings)
    peer = Peer(
        tls_pacs.host,
        tls_pacs.port,
        tls_pacs.ae_title,
        "DOSEQR",
        tls=PeerTls(files["pacs"][0], *files["store"]),
    )
    store = replace(own_store_of(secure_system.settings), tls=PeerTls(files["other"][0], *files["store"]))
    association = open_get_association(peer, ["1.2.840.10008.5.1.4.1.1.2"], timeouts)
    identifier = move_identifier(
        "SERIES", [kept_study.study_instance_uid], [kept_study.series[0].series_instance_uid]
    )
    # When
    with pytest.raises(PeerError):
        association.c_get(identifier, store, timeouts)
    association.release()
    # Then
    assert recorded_requests(tls_pacs, "get") == []
    assert not list(secure_system.settings.objects_dir.glob("*/*/*.dcm"))
