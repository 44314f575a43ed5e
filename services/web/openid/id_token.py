"""ID tokens: whose they are, for whom, and by whom they were signed (OpenID Connect Core, 3.1.3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from services.web.openid.errors import ProviderRefusedError

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

#: Signatures with a private key of the provider; never `none`, nor HMAC with a secret that we hold too.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: Seconds by which the clocks may differ.
LEEWAY_S = 60


def verified_claims(
    id_token: str,
    key_set: Mapping[str, object],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str,
    now_s: int,
) -> dict[str, object]:
    """Return the claims of an ID token whose signature, issuer, audience, times and nonce are right.

    Raises:
        ProviderRefusedError: they are not; the text names the claim or what else is wrong.
    """
    from authlib.oidc.core import CodeIDToken  # noqa: PLC0415
    from joserfc import jwt  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415

    try:
        token = jwt.decode(id_token, _signature_keys(key_set), algorithms=list(ALGORITHMS))
        claims = CodeIDToken(
            token.claims,
            token.header,
            {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}},
            {"nonce": nonce, "client_id": client_id, "access_token": access_token},
        )
        claims.validate(now=now_s, leeway=LEEWAY_S)
    except (JoseError, ValueError) as error:
        raise ProviderRefusedError(f"The ID token is not valid: {_problem(error)}.") from error
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise ProviderRefusedError("The ID token is not valid: sub.")
    return dict(claims)


def _signature_keys(key_set: Mapping[str, object]) -> KeySet:
    """Return the keys that sign; those of other uses and of kinds that nobody here knows are left out."""
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import KeySet, import_key  # noqa: PLC0415

    keys = []
    given = key_set.get("keys")
    for described in given if isinstance(given, list) else ():
        if not isinstance(described, dict) or described.get("use", "sig") != "sig":
            continue
        try:
            keys.append(import_key(described))
        except (JoseError, ValueError, KeyError, TypeError):
            continue
    if not keys:
        raise ProviderRefusedError("The provider published no key that signs.")
    return KeySet(keys)


def _problem(error: Exception) -> str:
    # Claims are named, their values are not: they may hold whatever somebody sent.
    claim = getattr(error, "claim", None)
    return f"{getattr(error, 'error', type(error).__name__)}{f' ({claim})' if claim else ''}"
