"""TLS to a peer that shows a certificate that is known beforehand (PS3.15 annex B.12)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerTls:
    """What a peer has to show, and what is shown to it: files in PEM."""

    certificate: str
    own_certificate: str = ""
    own_key: str = ""


def client_context(tls: PeerTls) -> ssl.SSLContext:
    """Return how TLS is spoken with this peer; its certificate counts, not the name by which it is called.

    Raises:
        OSError: a file cannot be read, or is none of its kind.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    # The certificate itself is trusted, whoever has issued it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(tls.certificate)
    if tls.own_certificate:
        context.load_cert_chain(tls.own_certificate, tls.own_key or None)
    return context
