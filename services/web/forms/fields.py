"""Forms for log-in, password, nodes and users; their values are validated by shared code, not here."""

from __future__ import annotations

from collections.abc import Iterable

from flask_wtf import FlaskForm
from wtforms import Field, PasswordField, RadioField, SelectField, StringField

from services.web.forms.web_access import WebFields
from services.web.language import choices, lazy_gettext, translated
from services.web.views.criteria_text import readable_problem
from shared.database.models import User
from shared.errors import InvalidInputError
from shared.node_access.limits import (
    HOURS_MAX_LENGTH,
    MAX_ASSOCIATIONS_DEFAULT,
    MAX_ASSOCIATIONS_MOST,
    REQUESTS_PER_MINUTE_MOST,
    TIME_ZONE_MAX_LENGTH,
)
from shared.nodes.nodes import (
    FILE_NAME_MAX_LENGTH,
    GROUP,
    LIMITS,
    RETRIEVE_BY,
    RETRIEVE_CONTENT,
    TLS,
    VERIFY_BY,
    NodeInput,
    parse_node,
)
from shared.nodes.web_access import WEB, WEB_DEFAULTS
from shared.users.accounts import ROLES
from shared.users.api_tokens import DAYS_DEFAULT, DAYS_MAX
from shared.users.passwords import PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH

#: Labels of the roles in the form.
ROLE_NAMES = {
    "viewer": lazy_gettext("Viewer: looks at jobs"),
    "importer": lazy_gettext("Importer: queries and retrieves"),
    "admin": lazy_gettext("Administrator: also nodes and users"),
}


#: Label of each scope.
SCOPE_NAMES = {
    "read": lazy_gettext("read: looks at jobs"),
    "import": lazy_gettext("import: also queries and retrieves"),
    "admin": lazy_gettext("admin: also nodes, audit and dead letters"),
}


#: Valid values that replace invalid ones while the next problem is searched for.
_HARMLESS = {
    "name": "x",
    "host": "localhost",
    "port": 104,
    "ae_title": "X",
    "calling_ae_title": None,
    "max_associations": MAX_ASSOCIATIONS_DEFAULT,
    "requests_per_minute": None,
    "hours": "",
    "time_zone": "",
    GROUP: "",
    RETRIEVE_BY: "move",
    RETRIEVE_CONTENT: "whole",
    VERIFY_BY: "auto",
    "tls": "off",
    "tls_ca": "",
    "tls_certificate": "",
    "tls_key": "",
    **WEB_DEFAULTS,
}


class Form(FlaskForm):  # type: ignore[misc]
    """A form that shows problems found by shared code at its fields."""

    def complain(self, field: str, problem: str) -> None:
        """Show a problem at a field, or at the form as a whole if it has no such field."""
        text = readable_problem(problem)
        if field in self._fields:
            self._fields[field].errors = [*self._fields[field].errors, text]
        else:
            self.form_errors.append(text)

    def refuse(self, error: InvalidInputError) -> None:
        """Show an error of shared code at its field."""
        self.complain(error.field.rpartition(".")[2], error.problem)

    def problems(self) -> list[tuple[Field | None, str]]:
        """Return all problems with the field of each, in the order of the form."""
        found: list[tuple[Field | None, str]] = [(None, text) for text in self.form_errors]
        return found + [(field, text) for field in self for text in field.errors]


class LoginForm(Form):
    """Name and password."""

    name = StringField(
        lazy_gettext("User name"), render_kw={"autocomplete": "username", "maxlength": 64, "autofocus": True}
    )
    password = PasswordField(
        lazy_gettext("Password"), render_kw={"autocomplete": "current-password", "maxlength": 256}
    )


class PasswordForm(Form):
    """The present password, and the new one twice."""

    current = PasswordField(lazy_gettext("Present password"), render_kw={"autocomplete": "current-password"})
    password = PasswordField(
        lazy_gettext("New password"),
        description=lazy_gettext(
            "%(least)s to %(most)s characters.", least=PASSWORD_MIN_LENGTH, most=PASSWORD_MAX_LENGTH
        ),
        render_kw={"autocomplete": "new-password", "minlength": PASSWORD_MIN_LENGTH},
    )
    again = PasswordField(lazy_gettext("New password again"), render_kw={"autocomplete": "new-password"})


class NodeForm(WebFields, Form):
    """A remote or a store node."""

    name = StringField(
        lazy_gettext("Name"),
        description=lazy_gettext("As people call it, for example “Main PACS”."),
        render_kw={"maxlength": 64},
    )
    host = StringField(
        lazy_gettext("Host"),
        description=lazy_gettext("Host name or IP address."),
        render_kw={"autocapitalize": "off"},
    )
    port = StringField(
        lazy_gettext("Port"),
        description=lazy_gettext("1 to 65535; often 104 or 11112."),
        render_kw={"inputmode": "numeric"},
    )
    ae_title = StringField(
        lazy_gettext("AE title"), description=lazy_gettext("1 to 16 characters; upper and lower case differ.")
    )
    calling_ae_title = StringField(
        lazy_gettext("AE title that we call from"),
        description=lazy_gettext("Empty: that of DoseQR's own store."),
    )
    max_associations = StringField(
        lazy_gettext("Associations at once"),
        description=lazy_gettext(
            "1 to %(most)s; empty: %(default)s.", most=MAX_ASSOCIATIONS_MOST, default=MAX_ASSOCIATIONS_DEFAULT
        ),
        render_kw={"inputmode": "numeric"},
    )
    requests_per_minute = StringField(
        lazy_gettext("Requests a minute"),
        description=lazy_gettext(
            "C-FINDs and C-MOVEs, 1 to %(most)s; empty: as many as it takes.", most=REQUESTS_PER_MINUTE_MOST
        ),
        render_kw={"inputmode": "numeric"},
    )
    hours = StringField(
        lazy_gettext("Hours in which it takes requests"),
        description=lazy_gettext("For example 18:00-06:00, 12:00-13:00; empty: always."),
        render_kw={"maxlength": HOURS_MAX_LENGTH, "autocomplete": "off"},
    )
    group = StringField(
        lazy_gettext("Group"),
        description=lazy_gettext(
            "For example “Hospital A”: users can be limited to groups. Empty: for those alone who may use "
            "all nodes; a store node: for all."
        ),
        render_kw={"maxlength": 64, "autocomplete": "off"},
    )
    retrieve_by = RadioField(
        lazy_gettext("How objects are retrieved"),
        choices=choices(
            {
                "move": lazy_gettext("C-MOVE: the PACS sends them to the store node"),
                "get": lazy_gettext("C-GET: DoseQR fetches them and sends them on"),
            }
        ),
        default="move",
        validate_choice=False,
        description=lazy_gettext(
            "For C-MOVE the PACS has to know the store node and reach it; for C-GET it need not. "
            "Not every PACS offers C-GET."
        ),
    )
    retrieve_content = RadioField(
        lazy_gettext("What is kept of images whose header carries the dose"),
        choices=choices(
            {
                "whole": lazy_gettext("The whole object"),
                "headers": lazy_gettext("Headers only, without pixels"),
            }
        ),
        default="whole",
        validate_choice=False,
        description=lazy_gettext(
            "For mammography and radiography without a report, and the first PET or NM image. Reports and "
            "dose screens are always whole, and so is all that goes to another store node than DoseQR's own."
        ),
    )
    verify_by = RadioField(
        lazy_gettext("How it is known what arrived"),
        choices=choices(
            {
                "auto": lazy_gettext(
                    "Receipts or C-FIND where it offers them, otherwise the word of the PACS"
                ),
                "commitment": lazy_gettext("Storage commitment: it promises to keep each object"),
            }
        ),
        default="auto",
        validate_choice=False,
        description=lazy_gettext(
            "For storage commitment it has to know DoseQR's store by AE title, host and port. "
            "DoseQR's own store always gives receipts."
        ),
    )
    tls = RadioField(
        "TLS",
        choices={
            "off": "Off",
            "on": "On; its certificate names the host above",
            "any-name": "On, whatever name its certificate gives",
        },
        default="off",
        validate_choice=False,
        description="TLS 1.2 or newer. The files below are in the folder of DOSEQR_TLS_DIR on the server; "
        "what is renewed there holds from the next association on.",
    )
    tls_ca = StringField(
        "Its certificate, or the authorities of it",
        description="A file in PEM, by its name; empty: the authorities that the server trusts.",
        render_kw={"maxlength": FILE_NAME_MAX_LENGTH, "autocapitalize": "off", "autocomplete": "off"},
    )
    tls_certificate = StringField(
        "Certificate that we show",
        description="Empty: none is shown.",
        render_kw={"maxlength": FILE_NAME_MAX_LENGTH, "autocapitalize": "off", "autocomplete": "off"},
    )
    tls_key = StringField(
        "Key of that certificate",
        description="Empty: it stands in the same file.",
        render_kw={"maxlength": FILE_NAME_MAX_LENGTH, "autocapitalize": "off", "autocomplete": "off"},
    )
    time_zone = StringField(
        lazy_gettext("Time zone of the hours"),
        description=lazy_gettext("For example Europe/Berlin; empty: that of the server."),
        render_kw={"maxlength": TIME_ZONE_MAX_LENGTH, "autocapitalize": "off"},
    )

    def read(self, kind: str) -> NodeInput | None:
        """Validate the form; None if there are problems, all of which are then shown at their fields."""
        rest = self.values(kind)
        for _ in range(len(_HARMLESS) + 1):
            try:
                given = parse_node(rest)
            except InvalidInputError as error:
                self.refuse(error)
                if error.field not in _HARMLESS:
                    return None
                rest[error.field] = _HARMLESS[error.field]
            else:
                return None if self.problems() else given
        return None

    def values(self, kind: str) -> dict[str, object]:
        """Return the values of the form as `parse_node` takes them."""
        raw = {"kind": kind, "name": self.name.data, "host": self.host.data, "port": self.port.data}
        raw["ae_title"] = self.ae_title.data
        if kind == "remote":
            raw["calling_ae_title"] = self.calling_ae_title.data or None
        raw = {
            key: "" if value is None and key != "calling_ae_title" else value for key, value in raw.items()
        }
        own = (*LIMITS, RETRIEVE_BY, RETRIEVE_CONTENT, *WEB) if kind == "remote" else (VERIFY_BY,)
        return raw | self._optional_values((*own, GROUP, *TLS))

    def _optional_values(self, names: Iterable[str]) -> dict[str, str]:
        """Return the optional values; a field that was not submitted leaves its value unchanged."""
        raw = {name: str(self[name].data).strip() for name in names if self[name].data is not None}
        if raw.get("max_associations") == "":
            raw["max_associations"] = str(MAX_ASSOCIATIONS_DEFAULT)
        return raw


class UserForm(Form):
    """A new user."""

    name = StringField(lazy_gettext("User name"), render_kw={"maxlength": 64, "autocomplete": "off"})
    groups = StringField(
        lazy_gettext("Groups of nodes"),
        description=lazy_gettext("Separated by commas; empty: all nodes. Administrators use all."),
        render_kw={"maxlength": 1000, "autocomplete": "off"},
    )
    role = SelectField(
        lazy_gettext("Role"),
        choices=choices({role: ROLE_NAMES[role] for role in ROLES}),
        validate_choice=False,
    )


class TokenForm(Form):
    """A new token."""

    name = StringField(
        lazy_gettext("Name"),
        description=lazy_gettext("What it is for, for example “nightly import”."),
        render_kw={"maxlength": 64, "autocomplete": "off"},
    )
    owner = SelectField(
        lazy_gettext("In the name of"),
        validate_choice=False,
        description=lazy_gettext("It never may more than the role of this user."),
    )
    scope = SelectField(lazy_gettext("Scope"), choices=choices(SCOPE_NAMES), validate_choice=False)
    days = StringField(
        lazy_gettext("Valid for days"),
        default=str(DAYS_DEFAULT),
        description=lazy_gettext("1 to %(most)s; empty: until it is revoked.", most=DAYS_MAX),
        render_kw={"inputmode": "numeric", "maxlength": 4},
    )

    def offer(self, users: Iterable[User]) -> None:
        """Set the users that can be chosen."""
        self.owner.choices = {
            user.name: f"{user.name} ({translated(user.role)})" for user in users if not user.disabled_at
        }

    def lifetime(self) -> int | None:
        """Return the days for which it is to be valid; None: until it is revoked.

        Raises:
            InvalidInputError: it is no number.
        """
        text = (self.days.data or "").strip()
        if not text:
            return None
        if not (text.isascii() and text.isdecimal()):
            raise InvalidInputError("days", f"must be 1 to {DAYS_MAX}, or empty")
        return int(text)
