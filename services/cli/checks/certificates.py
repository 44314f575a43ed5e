"""Certificates that settings name: whether they can be used, and until when."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.cli.checks.check_result import CheckResult, failed, ok, warning
from shared.dicom.tls import PeerTls
from shared.settings import Settings

CHECK = "certificate"
#: Time before its end in which a certificate should be renewed.
RENEW_WITHIN = timedelta(days=30)

#: Tags of DER (ITU-T X.690): times, and the version of a certificate (RFC 5280 4.1).
_UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x17, 0x18, 0xA0


def check_certificates(settings: Settings, now: datetime) -> list[CheckResult]:
    """Return how each certificate stands that the settings name."""
    found: list[CheckResult] = []
    pairs = (
        ("DOSEQR_STORE_TLS_CERT", settings.store_tls_cert, settings.store_tls_key),
        ("DOSEQR_AMQP_TLS_CERT", settings.amqp_tls_cert, settings.amqp_tls_key),
    )
    for name, certificate, key in pairs:
        if certificate:
            found.append(_pair(name, certificate, key, now))
        elif key:
            found.append(failed(CHECK, name, "is empty, and its key is set: set both or none"))
    authorities = (
        ("DOSEQR_STORE_TLS_CLIENT_CA", settings.store_tls_client_ca),
        ("DOSEQR_AMQP_TLS_CA", settings.amqp_tls_ca),
    )
    found += [_dates(name, file, now) for name, file in authorities if file]
    if settings.amqp_tls_ca and not settings.amqp_url.startswith("amqps://"):
        found.append(warning(CHECK, "DOSEQR_AMQP_TLS_CA", "is not used: DOSEQR_AMQP_URL is not amqps://"))
    return found


def check_node_certificates(node: str, tls: PeerTls, now: datetime) -> list[CheckResult]:
    """Return how the certificates stand that are used towards a node."""
    found: list[CheckResult] = []
    if tls.certificate:
        found.append(_dates(f"{node}: its certificate", tls.certificate, now))
    if tls.own_certificate:
        found.append(_pair(f"{node}: ours", tls.own_certificate, tls.own_key, now))
    return found


def _pair(name: str, certificate: str, key: str, now: datetime) -> CheckResult:
    try:
        # An encrypted key must not prompt for its password on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key or None, password="")
    except (OSError, ValueError) as error:
        return failed(CHECK, name, f"{certificate}: certificate and key cannot be used ({_reason(error)})")
    return _dates(name, certificate, now)


def _dates(name: str, file: str, now: datetime) -> CheckResult:
    try:
        ends = min(not_after(der) for der in _certificates(Path(file).read_text(encoding="ascii")))
    except (OSError, ValueError) as error:
        return failed(CHECK, name, f"{file}: cannot be read as certificates in PEM ({_reason(error)})")
    text = f"{file}: valid until {ends:%Y-%m-%d}"
    if ends <= now:
        return failed(CHECK, name, f"{text}: it has expired")
    if ends - now < RENEW_WITHIN:
        return warning(CHECK, name, f"{text}: renew it")
    return ok(CHECK, name, text)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def _certificates(text: str) -> Iterator[bytes]:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    blocks = text.split(begin)[1:]
    if not blocks:
        raise ValueError("no certificate in it")
    for block in blocks:
        yield ssl.PEM_cert_to_DER_cert(begin + block.split(end)[0] + end)


def not_after(der: bytes) -> datetime:
    """Return the end of validity of a certificate (RFC 5280 section 4.1).

    Raises:
        ValueError: it is none.
    """
    _, certificate, _ = _element(der)
    _, to_be_signed, _ = _element(certificate)
    tag, _, rest = _element(to_be_signed)
    if tag == _VERSION:
        _, _, rest = _element(rest)
    # Behind the serial number: signature algorithm, issuer, validity.
    for _ in range(2):
        _, _, rest = _element(rest)
    _, validity, _ = _element(rest)
    _, _, second = _element(validity)
    tag, content, _ = _element(second)
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280 4.1.2.5.1: 50 to 99 are of the last century.
        text = ("19" if int(text[:2]) >= 50 else "20") + text  # noqa: PLR2004
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no date in its validity")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Return tag and content of the first element of DER, and what follows."""
    if len(data) < 2:  # noqa: PLR2004 - a tag and a length
        raise ValueError("it ends too early")
    length, begin = data[1], 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + length:
        raise ValueError("it ends too early")
    return data[0], data[begin : begin + length], data[begin + length :]
