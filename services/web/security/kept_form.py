"""A form that was sent after its session had ended: kept in the cookie until its sender has logged in.

The cookie is the sender's own, so any replica of the page can give it back. It is shown again, not sent.
"""

from __future__ import annotations

import json

from flask import flash, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from services.web.language import gettext

_KEY = "kept_form"
#: Endpoint of a form, and of the page that shows it.
_FORMS = {"query.submit": "query.form"}
#: Characters of a form as JSON; browsers take cookies of 4 KB.
MAX_LENGTH = 2500
#: Lists that are left out where the form is longer.
_LONG = ("accession_numbers", "study_instance_uids")


def keep_form() -> ResponseReturnValue | None:
    """Keep the form of the present request, and lead to the log-in and back; None if it is not to be kept."""
    page = _FORMS.get(request.endpoint or "")
    if page is None or request.method != "POST" or _is_cross_site():
        return None
    fields = {name: values for name, values in request.form.lists() if name != "csrf_token"}
    note = gettext("Log in to go on; what you filled in is kept.")
    if len(json.dumps(fields)) > MAX_LENGTH:
        fields = {name: values for name, values in fields.items() if name not in _LONG}
        note = gettext("Log in to go on; what you filled in is kept, but for the long lists.")
    if len(json.dumps(fields)) > MAX_LENGTH:
        return None
    session[_KEY] = fields
    flash(note, "info")
    return redirect(url_for("auth.login", next=url_for(page, kept=1)))


def kept_form() -> MultiDict[str, str] | None:
    """Return the kept form once."""
    fields = session.pop(_KEY, None)
    if not isinstance(fields, dict):
        return None
    return MultiDict([(name, value) for name, values in fields.items() for value in values])


def clear_session() -> None:
    """Empty the session but for a kept form."""
    fields = session.get(_KEY)
    session.clear()
    if fields is not None:
        session[_KEY] = fields


def _is_cross_site() -> bool:
    """Return whether another site sent the form: it must not decide what stands in ours."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"
