"""Forms of the second factor."""

from __future__ import annotations

from wtforms import PasswordField, StringField

from services.web.forms.fields import Form
from services.web.language import lazy_gettext
from shared.users.second_factor import CODE_MAX_LENGTH

_CODE = {"autocomplete": "one-time-code", "maxlength": CODE_MAX_LENGTH, "autocapitalize": "off"}


class CodeForm(Form):
    """A code of one's second factor."""

    code = StringField(
        lazy_gettext("Code"),
        description=lazy_gettext("The six digits that the authenticator app shows, or a recovery code."),
        render_kw=_CODE | {"autofocus": True, "spellcheck": "false"},
    )


class SetUpForm(Form):
    """The first code of a new second factor, and one's password."""

    current = PasswordField(
        lazy_gettext("Present password"), render_kw={"autocomplete": "current-password", "maxlength": 256}
    )
    code = StringField(
        lazy_gettext("Code"),
        description=lazy_gettext("The six digits that the app now shows."),
        render_kw=_CODE | {"inputmode": "numeric"},
    )
