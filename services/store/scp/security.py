"""Who may send, and how: calling AE titles, and TLS (PS3.15 annex B.12)."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from shared.errors import PermanentError
from shared.settings import Settings


class SecurityError(PermanentError):
    """The TLS files cannot be used."""


def admission(settings: Settings) -> Callable[[str], bool]:
    """Return a function that decides whether a calling AE title may associate."""
    allowed = frozenset(settings.store_calling_ae_titles)
    return lambda calling_ae_title: not allowed or calling_ae_title.strip() in allowed


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return how TLS is spoken; None: not at all.

    Raises:
        SecurityError: a file cannot be read, or is none of its kind.
    """
    if not settings.store_tls_cert:
        if settings.store_tls_key or settings.store_tls_client_ca:
            raise SecurityError("DOSEQR_STORE_TLS_CERT: is missing while other settings of TLS are there")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.store_tls_cert, settings.store_tls_key or None)
        if settings.store_tls_client_ca:
            context.load_verify_locations(settings.store_tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise SecurityError(f"DOSEQR_STORE_TLS_…: cannot be used: {error.strerror or error}") from error
    return context
