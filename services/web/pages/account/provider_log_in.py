"""Log-in at the OpenID provider: there, and back with a code."""

from __future__ import annotations

from hmac import compare_digest
from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.language import gettext
from services.web.openid.errors import ProviderAwayError, ProviderError, ProviderRefusedError
from services.web.openid.provider import Authorization, OpenIdProvider, ProviderIdentity, claim_at
from services.web.pages.errors import error_page
from services.web.security.audit_trail import record_audit
from services.web.security.completion import complete_log_in
from services.web.security.kept_form import clear_session
from shared.database.models import User
from shared.errors import InvalidInputError
from shared.users.node_groups import set_groups_of_provider
from shared.users.provider_accounts import role_of, texts_of, user_of

blueprint = Blueprint("provider_log_in", __name__, url_prefix="/login/provider")

#: Seconds within which a log-in at the provider has to come back.
LOG_IN_S = 900.0

_BEGUN, _LOG_OUT = "provider_log_in", "provider_log_out"


@blueprint.get("")
def begin() -> ResponseReturnValue:
    """Lead to the provider."""
    try:
        begun = _provider().begin(_callback())
    except ProviderError as error:
        return _failed(error)
    clear_session()
    wanted, now_s = request.args.get("next", "")[:1000], components().clock().timestamp()
    session[_BEGUN] = [begun.state, begun.nonce, begun.code_verifier, wanted, now_s]
    return redirect(begun.url)


@blueprint.get("/callback")
def callback() -> ResponseReturnValue:
    """Log in whom the provider sends back, with the code of the log-in that was begun in this browser."""
    if request.method != "GET":
        abort(HTTPStatus.METHOD_NOT_ALLOWED)
    found = _begun(request.args.get("state", ""))
    if found is None:
        flash(gettext("This log-in was begun elsewhere or too long ago. Begin it again."), "warning")
        return redirect(url_for("auth.login"))
    begun, wanted = found
    try:
        if "error" in request.args:
            raise ProviderRefusedError(gettext("The provider let nobody log in."))
        identity = _provider().complete(request.args.get("code", ""), begun, _callback())
        user = _user(identity)
    except ProviderError as error:
        return _failed(error)
    if user is None:
        return _without_role(identity)
    if user.disabled_at is not None:
        record_audit("log-in refused", "", {"name": user.name, "reason": "disabled"})
        return error_page(HTTPStatus.FORBIDDEN, gettext("This account is disabled in DoseQR."))
    response = complete_log_in(user.id, wanted, provider=True)
    session[_LOG_OUT] = identity.end_session_endpoint
    return response


def log_out_address() -> str:
    """Return where the present session logs out at the provider; empty: nowhere."""
    ends_at, provider = session.get(_LOG_OUT), components().provider
    if not isinstance(ends_at, str) or not ends_at or provider is None:
        return ""
    return provider.log_out_address(ends_at, _address("auth.login"))


def _provider() -> OpenIdProvider:
    provider = components().provider
    if provider is None:
        abort(HTTPStatus.NOT_FOUND)
    return provider


def _begun(state: str) -> tuple[Authorization, str] | None:
    """Return the log-in that this browser began, once, and where it wanted to go."""
    try:
        expected, nonce, code_verifier, wanted, began_at = session.pop(_BEGUN)
    except (KeyError, TypeError, ValueError):
        return None
    passed_s = components().clock().timestamp() - began_at
    if not 0 <= passed_s < LOG_IN_S or not compare_digest(state.encode(), expected.encode()):
        return None
    return Authorization("", expected, nonce, code_verifier), wanted


def _user(identity: ProviderIdentity) -> User | None:
    """Return the user of the claims, with the role that they give; None: they give none."""
    settings, claims = components().settings, identity.claims
    role = role_of(claim_at(claims, settings.oidc_role_claim), settings.oidc_role_map)
    if role is None:
        return None
    name = claim_at(claims, settings.oidc_name_claim)
    try:
        with components().database.write() as database:
            user = user_of(
                database,
                settings.oidc_issuer,
                str(claims["sub"]),
                name if isinstance(name, str) else "",
                role,
                components().clock(),
            )
            if settings.oidc_group_claim:
                set_groups_of_provider(user, texts_of(claim_at(claims, settings.oidc_group_claim)))
            return user
    except InvalidInputError as error:
        raise ProviderRefusedError(f"{error.field}: {error.problem}") from error


def _without_role(identity: ProviderIdentity) -> ResponseReturnValue:
    name = claim_at(identity.claims, components().settings.oidc_name_claim)
    record_audit("log-in refused", "", {"name": str(name)[:64], "reason": "no role"})
    return error_page(
        HTTPStatus.FORBIDDEN,
        gettext("The provider knows you, but gives you no role in DoseQR."),
        gettext("Who administers the provider can put you in a group that has one."),
    )


def _failed(error: ProviderError) -> ResponseReturnValue:
    record_audit("log-in refused", "", {"reason": str(error)})
    if isinstance(error, ProviderAwayError):
        return error_page(
            HTTPStatus.SERVICE_UNAVAILABLE,
            gettext("%(provider)s cannot be used now: %(problem)s", provider=_label(), problem=error),
            gettext("Try again in a moment. Local accounts still log in with their password."),
        )
    return error_page(
        HTTPStatus.FORBIDDEN,
        gettext("The log-in at %(provider)s was not accepted: %(problem)s", provider=_label(), problem=error),
        gettext("Begin it again. If it stays so, an administrator finds the reason in the log."),
    )


def _label() -> str:
    return components().settings.oidc_label


def _callback() -> str:
    return _address("provider_log_in.callback")


def _address(endpoint: str) -> str:
    """Return the address of a page as the provider has to know it."""
    public = components().settings.public_url.rstrip("/")
    return public + url_for(endpoint) if public else url_for(endpoint, _external=True)
