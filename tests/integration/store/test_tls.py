"""TLS from the senders to the store: who has no certificate is not let in where one is required."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from services.cli.commands.ready import quiet_store
from services.echo.ping import ping
from services.store.scp.admission import SecurityError
from services.store.scp.server import StoreScp, listening_socket
from services.store.store_object import StoreResponse
from shared.database.models import Node
from shared.dicom.tls import PeerTls
from shared.nodes.peers import own_store_of, peer_of, timeouts_of
from tests.support.peers.storage_scu import EndedError, Scu
from tests.support.services.store import CT_EXPLICIT, made_object, running_store, store_settings

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """Make a certificate that signs itself; returns the files of certificate and key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return str(cert), str(key)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return certificate(folder, "store"), certificate(folder, "sender")


def trusting(cert: str, own: tuple[str, str] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cert)
    if own is not None:
        context.load_cert_chain(*own)
    return context


def test_objects_come_over_tls(certificates, tmp_path):
    # Given
    (cert, key), _ = certificates
    objects = [made_object(1), made_object(2, size_bytes=3 << 20)]
    with running_store(tmp_path / "data", store_tls_cert=cert, store_tls_key=key) as store:
        # When
        with Scu(store.port, [CT_EXPLICIT], tls=trusting(cert)) as scu:
            statuses = [sent.send(scu) for sent in objects]
            scu.release()
        # Then
        assert statuses == [0, 0]
        assert store.files() == {sent.path for sent in objects}
        # And not without
        with pytest.raises((EndedError, OSError)), store.scu(CT_EXPLICIT):
            pass


def test_only_senders_with_a_certificate_of_ours_are_let_in(certificates, tmp_path):
    # Given
    (cert, key), sender = certificates
    files = {"store_tls_cert": cert, "store_tls_key": key, "store_tls_client_ca": sender[0]}
    with running_store(tmp_path / "data", **files) as store:
        # When / Then
        with pytest.raises((EndedError, OSError)), Scu(store.port, [CT_EXPLICIT], tls=trusting(cert)):
            pass
        with Scu(store.port, [CT_EXPLICIT], tls=trusting(cert, sender)) as scu:
            assert made_object(1).send(scu) == 0


@pytest.mark.parametrize("requires_certificates", [False, True])
def test_our_own_echo_reaches_a_store_that_speaks_tls_only(certificates, tmp_path, requires_certificates):
    # Given
    (cert, key), _ = certificates
    files = {"store_tls_cert": cert, "store_tls_key": key}
    if requires_certificates:
        files["store_tls_client_ca"] = cert
    with running_store(tmp_path / "data", **files) as store:
        # When
        result = ping(own_store_of(store.settings), timeouts_of(store.settings))
        # Then
        assert (result.outcome, result.detail) == ("answers", "")
        assert quiet_store(store.settings) == []


def test_only_the_node_of_our_own_store_is_called_over_tls(certificates, tmp_path):
    # Given
    (cert, key), _ = certificates
    settings = store_settings(tmp_path, store_tls_cert=cert, store_tls_key=key)
    own = Node(
        kind="store", host="127.0.0.1", port=settings.store_port, ae_title="DOSEQR", calling_ae_title=""
    )
    pacs = Node(
        kind="remote", host="127.0.0.1", port=settings.store_port, ae_title="PACS", calling_ae_title=""
    )
    # When / Then
    assert peer_of(own, settings).tls == PeerTls(cert)
    assert peer_of(pacs, settings).tls is None


def test_a_store_with_another_certificate_is_not_taken_for_ours(certificates, tmp_path):
    # Given
    (cert, key), (other, _) = certificates
    with running_store(tmp_path / "data", store_tls_cert=cert, store_tls_key=key) as store:
        # When
        (other_error,) = quiet_store(store.settings.model_copy(update={"store_tls_cert": other}))
        (no_file,) = quiet_store(
            store.settings.model_copy(update={"store_tls_cert": str(tmp_path / "none.pem")})
        )
        # Then
        assert "no TLS with 127.0.0.1" in other_error
        assert "the files for TLS with 127.0.0.1" in no_file


def test_a_store_that_admits_only_others_responds_with_a_rejection(tmp_path):
    # Given
    with running_store(tmp_path / "data", store_calling_ae_titles=("CT1",)) as store:
        # When / Then
        assert quiet_store(store.settings) == []


def test_a_renewed_certificate_of_the_store_holds_from_the_next_connection(certificates, tmp_path):
    # Given
    (cert, key), (other_cert, other_key) = certificates
    files = [tmp_path / "present.pem", tmp_path / "present.key"]

    def install(*sources: str) -> None:
        for file, source in zip(files, sources, strict=True):
            file.write_bytes(Path(source).read_bytes())

    def can_connect(trusted: str) -> bool:
        try:
            with Scu(store.port, [CT_EXPLICIT], tls=trusting(trusted)) as scu:
                scu.release()
        except (EndedError, OSError):
            return False
        return True

    install(cert, key)
    with running_store(tmp_path / "data", store_tls_cert=str(files[0]), store_tls_key=str(files[1])) as store:
        before = can_connect(cert), can_connect(other_cert)
        # When: files that do not fit each other, then both
        install(other_cert, key)
        between = can_connect(cert), can_connect(other_cert)
        install(other_cert, other_key)
        after = can_connect(cert), can_connect(other_cert)
    # Then
    assert (before, between, after) == ((True, False), (True, False), (False, True))


def test_a_connection_from_an_address_that_is_not_admitted_is_closed():
    # Given
    counted: list[str] = []
    scp = StoreScp(
        lambda _request: StoreResponse(0),
        listener=listening_socket("127.0.0.1", 0),
        ae_title="DOSEQR",
        stall_timeout_s=5,
        count=counted.append,
        admit_address=lambda address: address != "127.0.0.1",
    )
    scp.start()
    # When
    with pytest.raises((EndedError, OSError)), Scu(scp.port, [CT_EXPLICIT]):
        pass
    scp.stop(1)
    # Then
    assert counted == ["rejected_address"]


def test_files_that_are_no_certificates_are_reported_at_the_start(tmp_path):
    # Given
    none = tmp_path / "none.pem"
    none.write_text("no certificate")
    # When / Then
    with (
        pytest.raises(SecurityError, match="DOSEQR_STORE_TLS"),
        running_store(tmp_path / "data", store_tls_cert=str(none)),
    ):
        pass
    with (
        pytest.raises(SecurityError, match="DOSEQR_STORE_TLS_CERT: is missing"),
        running_store(tmp_path / "other", store_tls_key=str(none)),
    ):
        pass
