"""TLS to a peer (PS3.15 annex B.12): whose certificate counts, and what is shown to it."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerTls:
    """What a peer has to show, and what is shown to it: files in PEM.

    They are read whenever a connection is secured, so that renewed files hold from the next association on.
    """

    #: The certificate itself, or its authorities; empty: the authorities that the operating system trusts.
    certificate: str
    own_certificate: str = ""
    own_key: str = ""
    #: Whether the certificate has to name the host as it is called (RFC 9525).
    check_name: bool = False


def client_context(tls: PeerTls) -> ssl.SSLContext:
    """Return how TLS is spoken with this peer.

    Raises:
        OSError: a file cannot be read, or is none of its kind.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.check_name
    # A certificate that is named itself is trusted, whoever has issued it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if tls.certificate:
        with _naming(tls.certificate):
            context.load_verify_locations(tls.certificate)
    else:
        context.load_default_certs()
    if tls.own_certificate:
        # An encrypted key must not prompt for its password on a terminal.
        with _naming(tls.own_certificate):
            context.load_cert_chain(tls.own_certificate, tls.own_key or None, password="")
    return context


@contextlib.contextmanager
def _naming(file: str) -> Iterator[None]:
    """Let an error name the file, which those of OpenSSL do not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or file
        raise
