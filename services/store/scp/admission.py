"""Who may send to the store, and how: addresses, calling AE titles, and TLS (PS3.15 annex B.12)."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import structlog

from shared.errors import PermanentError
from shared.settings import Settings

log = structlog.get_logger(__name__)


class SecurityError(PermanentError):
    """The TLS files cannot be used."""


def admitted_titles(settings: Settings) -> Callable[[str], bool]:
    """Return a function that decides whether a calling AE title may associate."""
    allowed = frozenset(settings.store_calling_ae_titles)
    return lambda calling_ae_title: not allowed or calling_ae_title.strip() in allowed


def admitted_addresses(settings: Settings) -> Callable[[str], bool]:
    """Return a function that decides whether an IP address may connect."""
    networks = [ip_network(network) for network in settings.store_networks]

    def admit(address: str) -> bool:
        if not networks:
            return True
        parsed = ip_address(address.partition("%")[0])
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return parsed.is_loopback or any(parsed in network for network in networks)

    return admit


class ServerTls:
    """TLS of the store; renewed files hold from the next connection on."""

    def __init__(self, settings: Settings) -> None:
        """Read the files.

        Raises:
            SecurityError: a file cannot be read, or does not hold what it should.
        """
        self._certificate = settings.store_tls_cert
        self._key = settings.store_tls_key
        self._client_ca = settings.store_tls_client_ca
        self._lock = threading.Lock()
        self._version = self._stat()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """Return how TLS is spoken now; files that cannot be used leave what was."""
        version = self._stat()
        with self._lock:
            if version != self._version:
                self._version = version
                try:
                    self._context = self._read()
                    log.info("TLS files renewed")
                except SecurityError as error:
                    log.warning("renewed TLS files not used, the former ones hold", error=str(error))
            return self._context

    def _stat(self) -> list[tuple[int, int, int] | None]:
        versions: list[tuple[int, int, int] | None] = []
        for file in filter(None, (self._certificate, self._key, self._client_ca)):
            versions.append(None)
            with contextlib.suppress(OSError):
                found = Path(file).stat()
                versions[-1] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return versions

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key or None)
            if self._client_ca:
                context.load_verify_locations(self._client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:
            raise SecurityError(f"DOSEQR_STORE_TLS_…: cannot be used: {error.strerror or error}") from error
        return context


def server_tls(settings: Settings) -> ServerTls | None:
    """Return TLS of the store; None where it is off.

    Raises:
        SecurityError: a file cannot be read, or does not hold what it should.
    """
    if settings.store_tls_cert:
        return ServerTls(settings)
    if settings.store_tls_key or settings.store_tls_client_ca:
        raise SecurityError("DOSEQR_STORE_TLS_CERT: is missing while other settings of TLS are there")
    return None
