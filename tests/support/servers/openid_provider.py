"""A scripted OpenID provider over HTTP: from discovery to log-out, with faults."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "doseqr", "a secret of the client that is long enough"
#: Seconds for which a provider that hangs holds a request at most.
HANG_S = 30.0


@functools.cache
def rsa_key(number: int, kid: str = "") -> RSAKey:
    """Return a key, made once: to make one takes longer than most tests do."""
    return RSAKey.generate_key(2048, {"use": "sig", "kid": kid or f"key-{number}"})


class OpenIdScript:
    """What the provider says of the person who logs in, and what it does wrong."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.claims: dict[str, Any] = {"sub": "1234", "preferred_username": "anna", "roles": ["dose-users"]}
        #: Claims that only UserInfo gives.
        self.info: dict[str, Any] = {}
        self.fault = ""
        self.logged_out: list[dict[str, list[str]]] = []
        self.released = threading.Event()
        self._codes: dict[str, dict[str, str]] = {}
        self._rotations = 0
        self.key = rsa_key(0)

    def rotate(self) -> None:
        """Replace the key that signs."""
        self._rotations += 1
        self.key = rsa_key(self._rotations)

    def document(self) -> dict[str, object]:
        """Return what Discovery serves."""
        endpoints = {
            "authorization": "authorize",
            "token": "token",
            "userinfo": "userinfo",
            "end_session": "logout",
        }
        return {
            "issuer": self.issuer + ("/other" if self.fault == "other issuer" else ""),
            "jwks_uri": f"{self.issuer}/jwks",
            **{f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in endpoints.items()},
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser goes on to: back, with a code."""
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        if self.fault == "denied":
            return f"{query['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': query['state']})}"
        code = token_urlsafe(16)
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], login: str) -> tuple[int, dict[str, str]]:
        """Exchange a code, once, for its verifier and the secret of the client."""
        query = self._codes.pop(form.get("code", ""), None)
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if login != f"Basic {expected}":
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            query is None
            or query["code_challenge"] != challenge
            or query["redirect_uri"] != form["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": "access",
            "token_type": "Bearer",
            "id_token": self._id_token(query["nonce"]),
        }

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce}
        claims |= self.claims
        wrong: dict[str, dict[str, Any]] = {
            "wrong nonce": {"nonce": "another"},
            "wrong audience": {"aud": "another"},
            "wrong issuer": {"iss": "https://another.example"},
            "several audiences": {"aud": [CLIENT_ID, "another"], "azp": "another"},
            "expired": {"iat": now - 900, "exp": now - 600},
            "of tomorrow": {"nbf": now + 86400},
        }
        claims |= wrong.get(self.fault, {})
        if self.fault == "without nonce":
            del claims["nonce"]
        if self.fault == "unsigned":
            header, payload = ({"alg": "none"}, claims)
            return ".".join([_encoded(header), _encoded(payload), ""])
        if self.fault == "signed with the secret":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET))
        key = rsa_key(-1, str(self.key.kid)) if self.fault == "another key" else self.key
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, key)


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


class _Handler(BaseHTTPRequestHandler):
    script: OpenIdScript

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/.well-known/openid-configuration":
                self._serve(self.script.document())
            case "/jwks":
                self._serve({"keys": [{"kty": "unknown"}, self.script.key.as_dict(private=False)]})
            case "/userinfo" if self.headers["Authorization"] == "Bearer access":
                other = {"sub": "5678"} if self.script.fault == "info of another" else {}
                self._serve({"sub": self.script.claims["sub"], **self.script.info, **other})
            case "/authorize":
                self._redirect(self.script.authorize(query))
            case "/logout":
                self.script.logged_out.append(parse_qs(parts.query))
                self._redirect(query["post_logout_redirect_uri"])
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        status, document = self.script.token(form, self.headers.get("Authorization", ""))
        self._serve(document, status)

    def _serve(self, document: object, status: int = 200) -> None:
        fault = self.script.fault
        if fault == "hangs":
            self.script.released.wait(HANG_S)
        body = b"no JSON" if fault == "no JSON" else json.dumps(document).encode()
        body = body + b" " * (2 << 20) if fault == "endless" else body
        self.send_response({"500": 500, "redirects": 302}.get(fault, status))
        self.send_header("Location", self.script.issuer)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the output of the tests free of requests."""


@contextmanager
def openid_provider() -> Iterator[OpenIdScript]:
    """Serve a provider on a free port."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    script = OpenIdScript(f"http://127.0.0.1:{server.server_port}")
    handler.script = script  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.released.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def settings_of(script: OpenIdScript) -> dict[str, object]:
    """Return the settings with which the page uses a provider."""
    return {
        "oidc_issuer": script.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_role_map": ("dose-users=importer", "dose-admins=admin", "others=viewer"),
        "oidc_label": "Keycloak",
    }
