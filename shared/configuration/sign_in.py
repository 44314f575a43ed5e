"""Settings of how people log in to the page."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from shared.configuration.values import is_secure_url


def _valid_issuer(value: str) -> str:
    """Accept the issuer of an OpenID provider (OpenID Connect Core, 2)."""
    if value and (not is_secure_url(value) or "?" in value or "#" in value):
        raise ValueError("expected https:// with a host, without query and fragment")
    return value


def _valid_role_of_claim(value: str) -> str:
    """Accept `value=role`."""
    claim, _, role = value.rpartition("=")
    if not claim or role not in ("viewer", "importer", "admin"):
        raise ValueError("expected value=role, with one of the roles viewer, importer, admin")
    return value


class SignInSettings(BaseSettings):
    """Second factors, the OpenID provider, and who logs in without it."""

    require_second_factor: Literal["none", "admins", "all"] = Field(
        "none",
        description="Users who have to set up a second factor before anything else: none, admins or all.",
    )
    oidc_issuer: Annotated[str, AfterValidator(_valid_issuer)] = Field(
        "",
        description="Issuer of the OpenID provider at which people log in, as it names itself; empty: none.",
    )
    oidc_client_id: str = Field("", description="Client of the OpenID provider that DoseQR is.")
    oidc_client_secret: str = Field(
        "", description="Secret of this client; empty: a public client, which has PKCE alone.", repr=False
    )
    oidc_scopes: tuple[str, ...] = Field(
        ("openid", "profile"),
        max_length=20,
        description="Scopes that are requested, as a JSON list; `openid` is among them.",
    )
    oidc_role_claim: str = Field(
        "roles", description="Claim that holds what a user is; dots lead into objects: realm_access.roles."
    )
    oidc_role_map: tuple[Annotated[str, AfterValidator(_valid_role_of_claim)], ...] = Field(
        (),
        max_length=100,
        description="Role for each value of that claim, as a JSON list of value=role; the highest counts.",
    )
    oidc_name_claim: str = Field(
        "preferred_username", description="Claim with the name that a new user gets."
    )
    oidc_group_claim: str = Field(
        "",
        description="Claim that holds the groups of nodes of a user; empty: administrators set them.",
    )
    oidc_label: str = Field("OpenID", max_length=64, description="What the log-in page calls the provider.")
    oidc_tls_ca: str = Field(
        "",
        description="File with the authorities, in PEM, that the provider's TLS rests on; empty: the usual.",
    )
    local_login: Literal["all", "break-glass"] = Field(
        "all",
        description="Who may log in with a password of DoseQR: all local accounts, or break-glass: only "
        "DOSEQR_BREAK_GLASS_USER.",
    )
    break_glass_user: str = Field(
        "admin", description="Local account that logs in while others cannot, if the provider is away."
    )
