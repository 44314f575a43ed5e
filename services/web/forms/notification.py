"""The form of an address of notifications, validated by the code that the command line and HTTP share."""

from __future__ import annotations

from collections.abc import Mapping

from wtforms import RadioField, SelectField, SelectMultipleField, StringField
from wtforms.widgets import CheckboxInput, ListWidget

from services.web.forms.fields import Form
from services.web.language import ENGLISH, LANGUAGES, choices, gettext, lazy_gettext
from shared.errors import InvalidInputError
from shared.node_access.limits import TIME_ZONE_MAX_LENGTH
from shared.nodes.names import NAME_MAX_LENGTH
from shared.notifications.definition import AddressInput, parse_address_input
from shared.notifications.kinds import NoticeKind, kinds_of
from shared.notifications.results import NotificationAddressResult
from shared.notifications.transport.address import ADDRESS_MAX_LENGTH

#: Of what somebody is notified, in the words of the page.
KIND_NAMES: Mapping[str, str] = {
    NoticeKind.SCHEDULE: lazy_gettext("A recurring query fails or is incomplete, and when it is well again"),
    NoticeKind.COVERAGE: lazy_gettext("A station stops to send dose reports"),
    NoticeKind.STORE: lazy_gettext("The store is nearly full, or takes no objects"),
    NoticeKind.DEAD_LETTERS: lazy_gettext("Messages that nobody could handle"),
    NoticeKind.NODE: lazy_gettext("A node is left alone: too many associations were attempted"),
    NoticeKind.JOB: lazy_gettext("A job that I ordered has ended"),
}
#: The same, of the installation.
SYSTEM_KIND_NAMES: Mapping[str, str] = {
    **KIND_NAMES,
    NoticeKind.JOB: lazy_gettext("A job has ended, whoever ordered it"),
}
OUTCOME_NAMES = {
    "completed": lazy_gettext("completed"),
    "incomplete": lazy_gettext("incomplete"),
    "failed": lazy_gettext("failed"),
}
_WHEN = {"once": lazy_gettext("At once"), "daily": lazy_gettext("As a daily digest")}
#: Valid values that replace invalid ones while the next problem is searched for.
_HARMLESS: Mapping[str, object] = {
    "name": "x",
    "address": "x",
    "kinds": ["job"],
    "digest_at": "",
    "time_zone": "",
    "language": ENGLISH,
}


class AddressForm(Form):
    """Where somebody wants notifications, and which."""

    name = StringField(
        lazy_gettext("Name"),
        description=lazy_gettext("As you call it, for example “my mail”."),
        render_kw={"maxlength": NAME_MAX_LENGTH, "autocomplete": "off"},
    )
    address = StringField(
        lazy_gettext("Address"),
        render_kw={
            "maxlength": ADDRESS_MAX_LENGTH,
            "autocomplete": "off",
            "autocapitalize": "off",
            "spellcheck": "false",
        },
    )
    kinds = SelectMultipleField(
        lazy_gettext("Notify of"),
        choices=choices(KIND_NAMES),
        validate_choice=False,
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )
    outcomes = SelectMultipleField(
        lazy_gettext("Of jobs that ended as"),
        choices=choices(OUTCOME_NAMES),
        validate_choice=False,
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )
    when = RadioField(lazy_gettext("When"), choices=choices(_WHEN), default="once", validate_choice=False)
    digest_at = StringField(lazy_gettext("Time of the digest"))
    time_zone = StringField(
        lazy_gettext("Time zone"),
        description=lazy_gettext("For example Europe/Berlin; empty: that of the site."),
        render_kw={"maxlength": TIME_ZONE_MAX_LENGTH, "autocapitalize": "off"},
    )

    language = SelectField(
        lazy_gettext("Language of the messages"), choices=choices(LANGUAGES), validate_choice=False
    )

    def offer(self, role: str | None, *, mail: bool, present: str = "") -> None:
        """Set what can be chosen by a role, or (None) for the installation.

        `mail`: plain e-mail addresses are served; `present`: the address as shown, which stays if empty.
        """
        names = KIND_NAMES if role is not None else SYSTEM_KIND_NAMES
        kinds = kinds_of(role) if role is not None else list(NoticeKind)
        self.kinds.choices = {str(kind): str(names[kind]) for kind in kinds}
        if present:
            hint = gettext("Empty: it stays %(address)s.", address=present)
        elif mail:
            hint = gettext("An e-mail address, or a URL of apprise, such as slack://TOKEN or jsons://HOST.")
        else:
            hint = gettext("A URL of apprise, such as mailtos://HOST, slack://TOKEN or jsons://HOST.")
        self.address.description = hint

    def read(self, *, stays: bool = False) -> AddressInput | None:
        """Validate the form; None if there are problems, all of which are then shown at their fields.

        `stays`: an empty address is the present one.
        """
        rest = self.values()
        if stays and not rest["address"]:
            rest["address"] = "-"
        for _ in range(len(_HARMLESS) + 1):
            try:
                given = parse_address_input(rest)
            except InvalidInputError as error:
                self.refuse(error)
                name = error.field.partition(".")[0]
                if name not in _HARMLESS:
                    return None
                rest[name] = _HARMLESS[name]
            else:
                return None if self.problems() else given
        return None

    def refuse(self, error: InvalidInputError) -> None:
        """Show an error of shared code at its field."""
        name = error.field.partition(".")[0]
        nothing = name == "kinds" and not self.kinds.data
        self.complain(name, gettext("tick at least one") if nothing else error.problem)

    def values(self) -> dict[str, object]:
        """Return the values of the form as `parse_address_input` takes them."""
        digest = self.when.data == "daily"
        return {
            "name": self.name.data or "",
            "address": (self.address.data or "").strip(),
            "kinds": list(self.kinds.data or []),
            "outcomes": list(self.outcomes.data or []),
            "digest_at": (self.digest_at.data or "07:00") if digest else "",
            "time_zone": self.time_zone.data or "",
            "language": self.language.data or ENGLISH,
        }

    def fill(self, row: NotificationAddressResult) -> None:
        """Show an address."""
        self.name.data, self.time_zone.data = row["name"], row["time_zone"]
        self.language.data = row["language"]
        self.kinds.data, self.outcomes.data = row["kinds"], row["outcomes"]
        self.when.data, self.digest_at.data = "daily" if row["digest_at"] else "once", row["digest_at"]
