"""The provider at which people log in: its addresses, its keys, and what it knows of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from services.web.openid.errors import ProviderAwayError, ProviderRefusedError
from services.web.openid.id_token import verified_claims
from shared.clock import Clock
from shared.configuration.values import is_secure_url
from shared.errors import SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from authlib.integrations.requests_client import OAuth2Session

#: Log-ins that exchange with the provider at once: each holds a thread for as long as it lets us wait.
EXCHANGES_AT_ONCE = 8
#: Seconds that a log-in waits for its turn.
EXCHANGE_WAIT_S = 5.0
#: Below the issuer (OpenID Connect Discovery, 4).
DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Authorization:
    """A log-in that was begun: where to send the browser, and what must come back."""

    url: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """Who logged in: the claims, and where to log out at the provider (empty: it offers none)."""

    claims: Mapping[str, object]
    end_session_endpoint: str


class OpenIdProvider:
    """One provider; thread-safe. Nothing of it is cached: keys may change, and log-ins are rare."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._exchanges = threading.BoundedSemaphore(EXCHANGES_AT_ONCE)

    @property
    def issuer(self) -> str:
        """Its identifier."""
        return self._settings.oidc_issuer

    def begin(self, redirect_uri: str) -> Authorization:
        """Return where to send the browser.

        Raises:
            ProviderAwayError: the provider does not respond.
            ProviderRefusedError: what it published is not usable.
        """
        from authlib.common.security import generate_token  # noqa: PLC0415

        nonce, code_verifier = token_urlsafe(32), generate_token(64)
        with self._session(redirect_uri) as session:
            about = self._discovered(session)
            url, state = session.create_authorization_url(
                _address(about, "authorization_endpoint"),
                state=token_urlsafe(32),
                code_verifier=code_verifier,
                nonce=nonce,
            )
        return Authorization(url, state, nonce, code_verifier)

    def complete(self, code: str, begun: Authorization, redirect_uri: str) -> ProviderIdentity:
        """Exchange the code for what the provider knows of who logged in.

        Raises:
            ProviderAwayError: the provider does not respond.
            ProviderRefusedError: it took the code for wrong, or its ID token is not valid.
        """
        with self._session(redirect_uri) as session:
            about = self._discovered(session)
            session.token_endpoint_auth_method = self._auth_method(about)
            token = session.fetch_token(
                _address(about, "token_endpoint"),
                grant_type="authorization_code",
                code=code,
                code_verifier=begun.code_verifier,
            )
            claims = verified_claims(
                str(token.get("id_token", "")),
                _document(session, _address(about, "jwks_uri")),
                issuer=self.issuer,
                client_id=self._settings.oidc_client_id,
                nonce=begun.nonce,
                access_token=str(token.get("access_token", "")),
                now_s=int(self._clock().timestamp()),
            )
            claims = self._with_user_info(session, about, claims)
        ends_at = about.get("end_session_endpoint")
        return ProviderIdentity(
            claims, ends_at if isinstance(ends_at, str) and is_secure_url(ends_at) else ""
        )

    def log_out_address(self, end_session_endpoint: str, back: str) -> str:
        """Return where a browser logs out (OpenID Connect RP-Initiated Logout 1.0, 2)."""
        about = {"client_id": self._settings.oidc_client_id, "post_logout_redirect_uri": back}
        return f"{end_session_endpoint}{'&' if '?' in end_session_endpoint else '?'}{urlencode(about)}"

    def _with_user_info(
        self, session: OAuth2Session, about: Mapping[str, object], claims: dict[str, object]
    ) -> dict[str, object]:
        """Add what the provider gives at its UserInfo endpoint alone (OpenID Connect Core, 5.3)."""
        settings = self._settings
        needed = (settings.oidc_role_claim, settings.oidc_name_claim, settings.oidc_group_claim)
        if (
            all(claim_at(claims, path) is not None for path in needed if path)
            or "userinfo_endpoint" not in about
        ):
            return claims
        info = _document(session, _address(about, "userinfo_endpoint"), authorized=True)
        if info.get("sub") != claims["sub"]:
            raise ProviderRefusedError("The UserInfo of the provider is about somebody else.")
        return {**info, **claims}

    def _auth_method(self, about: Mapping[str, object]) -> str:
        if not self._settings.oidc_client_secret:
            return "none"
        offered = about.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = isinstance(offered, list) and "client_secret_basic" in offered
        return "client_secret_basic" if basic else "client_secret_post"

    def _discovered(self, session: OAuth2Session) -> Mapping[str, object]:
        about = _document(session, self.issuer.rstrip("/") + DISCOVERY)
        if about.get("issuer") != self.issuer:
            raise ProviderRefusedError(
                "The provider names itself otherwise than DOSEQR_OIDC_ISSUER; they must be the same."
            )
        return about

    @contextmanager
    def _session(self, redirect_uri: str) -> Iterator[OAuth2Session]:
        from services.web.openid.provider_session import opened  # noqa: PLC0415

        if not self._exchanges.acquire(timeout=EXCHANGE_WAIT_S):
            raise ProviderAwayError("Too many log-ins wait for the provider.")
        try:
            with opened(self._settings, redirect_uri) as session:
                yield session
        finally:
            self._exchanges.release()


def provider_of(settings: Settings, clock: Clock) -> OpenIdProvider | None:
    """Return the provider of the settings; None if there is none.

    Raises:
        SettingsError: the settings do not suffice for a log-in.
    """
    if not settings.oidc_issuer:
        if settings.local_login != "all":
            raise SettingsError("DOSEQR_LOCAL_LOGIN: without DOSEQR_OIDC_ISSUER nobody else could log in")
        return None
    if not settings.oidc_client_id:
        raise SettingsError("DOSEQR_OIDC_CLIENT_ID: is required with DOSEQR_OIDC_ISSUER")
    if not settings.oidc_role_map:
        raise SettingsError("DOSEQR_OIDC_ROLE_MAP: without it nobody has a role, and nobody gets in")
    return OpenIdProvider(settings, clock)


def claim_at(claims: Mapping[str, object], path: str) -> object:
    """Return a claim; a name with dots also leads into claims that are objects. None: it is not there."""
    if path in claims:
        return claims[path]
    found: object = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _document(session: OAuth2Session, url: str, *, authorized: bool = False) -> dict[str, object]:
    from services.web.openid.provider_session import document  # noqa: PLC0415

    return document(session, url, authorized=authorized)


def _address(about: Mapping[str, object], name: str) -> str:
    address = about.get(name)
    if not isinstance(address, str) or not is_secure_url(address):
        raise ProviderRefusedError(f"The provider published no usable {name}.")
    return address
