"""Addresses of DICOMweb services: checked, and taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

#: Characters of an address.
URL_MAX_LENGTH = 500
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where a request goes; the path has no slash at its end."""

    host: str
    port: int
    path: str
    secure: bool

    @property
    def authority(self) -> str:
        """The Host header (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"

    def target_of(self, url: str) -> str | None:
        """Return the rest of an address below this one; None if it lies elsewhere."""
        begin = f"{'https' if self.secure else 'http'}://{self.authority}{self.path}/"
        if not url.isascii() or not url.startswith(begin) or any(character <= " " for character in url):
            return None
        return f"/{url.removeprefix(begin)}"


def web_address(url: str) -> WebAddress:
    """Take an address apart.

    Raises:
        ValueError: it is none of HTTP, or holds a user, a query or a fragment.
    """
    if len(url) > URL_MAX_LENGTH or not url.isascii() or any(character <= " " for character in url):
        raise ValueError(f"must be an address of up to {URL_MAX_LENGTH} ASCII characters, without blanks")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("must begin with https:// or http:// and a host")
    if "@" in parts.netloc:
        raise ValueError("must hold no user and no password: choose an authentication instead")
    if parts.query or parts.fragment:
        raise ValueError("must end with its path, without ? and #")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("must hold a port of 1 to 65535, if any") from None
    port = _PORTS[parts.scheme] if port is None else port
    if not port:
        raise ValueError("must hold a port of 1 to 65535, if any")
    return WebAddress(parts.hostname, port, parts.path.rstrip("/"), parts.scheme == "https")
