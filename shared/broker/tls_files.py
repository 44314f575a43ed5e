"""Files with which a client proves itself to a broker, and a broker to a client (PEM)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The authorities that are trusted instead of the system's, a certificate and its key; "" for none."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
