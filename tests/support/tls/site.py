"""An installation in a hospital that has TLS on every leg: broker, database, archives, store and page."""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.clock import utc_now
from shared.database.session import Database
from shared.users.accounts import create_user
from shared.users.api_tokens import create_token
from tests.support.archives.content import files_of, slim, studies
from tests.support.archives.dcmqrscp import MISSING
from tests.support.archives.orthanc import Orthanc, orthancs
from tests.support.archives.storescp import ReferenceStore
from tests.support.processes.installation import Installation, installed
from tests.support.servers.certificates import Authority
from tests.support.servers.databases import private_postgres
from tests.support.servers.rabbitmq import skip_or_fail
from tests.support.tls.proxy import tls_proxy
from tests.support.tls.rabbitmq import TlsRabbit

#: What every certificate of a server names.
HERE = "DNS:localhost,IP:127.0.0.1"
SERVICES = ("echo", "query", "retrieve", "store", "web")


@dataclass(frozen=True)
class TlsSite:
    """What runs, and what a browser or program needs to reach the page."""

    installation: Installation
    orthanc: Orthanc
    reference: ReferenceStore
    authority: Authority
    stranger: Authority
    page: str
    token: str

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the HTTP API through the proxy; return the JSON of its response."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.page}/api/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60, context=self.trusting(self.authority)) as response:
            return json.load(response)

    @staticmethod
    def trusting(authority: Authority) -> ssl.SSLContext:
        """Return what a client needs that trusts an authority."""
        return ssl.create_default_context(cafile=authority.certificate)


@contextlib.contextmanager
def tls_site(folder: Path, rabbit: TlsRabbit) -> Iterator[TlsSite]:
    """Run everything at a broker that is there; it ends with the block."""
    if shutil.which("storescp") is None:
        skip_or_fail(MISSING)
    authority, stranger = rabbit.authority, Authority(folder / "stranger", "stranger")
    tls_dir = Path(authority.certificate).parent
    shutil.copy(stranger.certificate, tls_dir / "stranger.pem")
    server = authority.issue("server", HERE)
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(private_postgres(server))
        start_orthanc = stack.enter_context(orthancs(folder))
        orthanc = start_orthanc(
            "ORTHANC",
            DicomTlsEnabled=True,
            DicomTlsCertificate=server.certificate,
            DicomTlsPrivateKey=server.key,
            DicomTlsTrustedCertificates=authority.certificate,
            DicomTlsRemoteCertificateRequired=True,
        )
        for _, content in files_of(slim(study) for study in studies(20)):
            orthanc.add_bytes(content)
        options = ("+tls", server.key, server.certificate, "+cf", authority.certificate, "-rc")
        reference = ReferenceStore(folder / "reference", options=options)
        stack.callback(reference.stop)
        reference.start()
        database_url = postgres.url.replace("postgresql://", "postgresql+psycopg://")
        installation = stack.enter_context(
            installed(
                folder / "installation",
                rabbit.url(),
                f"tls-{folder.name}",
                database_url=f"{database_url}?sslmode=verify-full&sslrootcert={authority.certificate}",
                DOSEQR_AMQP_TLS_CA=authority.certificate,
                DOSEQR_AMQP_TLS_CERT=rabbit.client.certificate,
                DOSEQR_AMQP_TLS_KEY=rabbit.client.key,
                DOSEQR_TLS_DIR=str(tls_dir),
                DOSEQR_STORE_TLS_CERT=server.certificate,
                DOSEQR_STORE_TLS_KEY=server.key,
                DOSEQR_STORE_TLS_CLIENT_CA=authority.certificate,
                DOSEQR_TRUSTED_PROXIES="1",
                DOSEQR_SECURE_COOKIES="true",
            )
        )
        orthanc.send_to("DOSEQR", "localhost", installation.settings.store_port, tls=True)
        installation.serve(*SERVICES)
        _add_nodes(installation, orthanc, reference)
        port = stack.enter_context(tls_proxy(installation.settings.web_port, server))
        page, token = f"https://localhost:{port}", _token(installation.settings.database)
        yield TlsSite(installation, orthanc, reference, authority, stranger, page, token)


def _add_nodes(installation: Installation, orthanc: Orthanc, reference: ReferenceStore) -> None:
    pacs = ("--host", "localhost", "--port", str(orthanc.port), "--ae-title", orthanc.ae_title)
    store = ("--host", "localhost", "--port", str(reference.port), "--ae-title", reference.ae_title)
    ours = ("--tls", "on", "--tls-certificate", "doseqr.pem", "--tls-key", "doseqr.key")
    for kind, name, where, trusted in (
        ("remote", "pacs", pacs, "ca.pem"),
        ("store", "reference", store, "ca.pem"),
        ("remote", "misled-pacs", pacs, "stranger.pem"),
        ("store", "misled-reference", store, "stranger.pem"),
    ):
        added = installation.doseqr("nodes", "add", kind, name, *where, *ours, "--tls-ca", trusted)
        assert added.code == 0, added.err


def _token(database_url: str) -> str:
    database = Database(database_url)
    with database.write() as session:
        user = create_user(session, "ada", "admin", "correct horse battery", utc_now())
        _, token = create_token(session, "program", user, "import", utc_now())
    database.close()
    return token
