"""Certificates of one test: an authority, and what it issues."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


class Authority:
    """Issues certificates by openssl."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate = str(folder / "ca.pem")
        self._key = str(folder / "ca.key")
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate),
        )

    def issue(self, name: str, subject_alternative_name: str = "", days: int = 2) -> Issued:
        """Issue a certificate, such as for `IP:127.0.0.1`."""
        key, request = str(self._folder / f"{name}.key"), str(self._folder / f"{name}.csr")
        certificate, extensions = str(self._folder / f"{name}.pem"), self._folder / f"{name}.ext"
        extensions.write_text(
            f"subjectAltName={subject_alternative_name}\n" if subject_alternative_name else ""
        )
        _openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key),
            *("-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", certificate),
        )
        return Issued(certificate, key)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
