"""Static files: compressed, and with addresses that follow their content, so that browsers keep them."""

from __future__ import annotations

import gzip
import hashlib
import threading
from pathlib import Path
from typing import Final

from flask import Flask, Response, request

#: Endpoints of our own files and of Bootstrap's.
ENDPOINTS: Final = ("static", "bootstrap.static")
#: Seconds for which an address with a version is kept: a year.
KEPT_S = 31_536_000
#: Files that become smaller; others, such as fonts, are compressed already.
_COMPRESSED = (".css", ".js", ".svg")
_VERSION_LENGTH = 12


class StaticFiles:
    """Versions and compressed contents of the files that were requested; thread-safe."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._versions: dict[Path, tuple[int, str]] = {}
        self._compressed: dict[tuple[Path, str], bytes] = {}

    def version(self, endpoint: str, filename: str) -> str:
        """Return what changes with the content of a file; empty for one that is not there."""
        path = self._path(endpoint, filename)
        try:
            changed_at = path.stat().st_mtime_ns
        except OSError:
            return ""
        with self._lock:
            known = self._versions.get(path)
            if known is None or known[0] != changed_at:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()[:_VERSION_LENGTH]
                known = self._versions[path] = changed_at, digest
            return known[1]

    def compressed(self, endpoint: str, filename: str) -> bytes:
        """Return a file as gzip (RFC 1952)."""
        path, version = self._path(endpoint, filename), self.version(endpoint, filename)
        with self._lock:
            if (path, version) not in self._compressed:
                # No time in it: the same file gives the same bytes in every process.
                self._compressed[path, version] = gzip.compress(path.read_bytes(), 9, mtime=0)
            return self._compressed[path, version]

    def _path(self, endpoint: str, filename: str) -> Path:
        owner = self._app if endpoint == "static" else self._app.blueprints["bootstrap"]
        return Path(str(owner.static_folder)) / filename


def init_static_files(app: Flask) -> None:
    """Give the addresses of static files a version, and send them compressed to whoever takes that."""
    files = StaticFiles(app)

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, object]) -> None:
        if endpoint in ENDPOINTS and isinstance(name := values.get("filename"), str):
            values.setdefault("v", files.version(endpoint, name) or None)

    @app.after_request
    def serve(response: Response) -> Response:
        name = (request.view_args or {}).get("filename", "")
        if request.endpoint not in ENDPOINTS or response.status_code != 200:  # noqa: PLR2004
            return response
        version = files.version(request.endpoint, name)
        if version and request.args.get("v") == version:
            response.headers["Cache-Control"] = f"public, max-age={KEPT_S}, immutable"
        if name.endswith(_COMPRESSED):
            response.vary.add("Accept-Encoding")
            if request.accept_encodings.quality("gzip") > 0:
                # The file that it would have sent.
                response.close()
                response.direct_passthrough = False
                response.set_data(files.compressed(request.endpoint, name))
                response.headers["Content-Encoding"] = "gzip"
                response.set_etag(f"{version}-gzip")
        return response
