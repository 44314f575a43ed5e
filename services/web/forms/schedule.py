"""The form of a recurring query, validated by the code that the command line and HTTP share."""

from __future__ import annotations

from collections.abc import Mapping

from wtforms import BooleanField, RadioField, StringField

from services.web.forms.query import OPTIONS, TEXTS, QueryForm
from services.web.language import choices, gettext, lazy_gettext
from shared.contract.criteria import parse_criteria
from shared.contract.results import ScheduleDetails
from shared.errors import InvalidInputError
from shared.node_access.limits import TIME_ZONE_MAX_LENGTH
from shared.nodes.names import NAME_MAX_LENGTH
from shared.schedules.definition import ScheduleInput, parse_schedule
from shared.schedules.recurrence import LINE_MAX_LENGTH, parse_recurrence

#: How it can recur, and the input that belongs to it.
KINDS = {
    "every": lazy_gettext("Every so many minutes"),
    "daily": lazy_gettext("Every day"),
    "weekdays": lazy_gettext("Monday to Friday"),
    "cron": lazy_gettext("By a cron line"),
}
_INPUTS = {"every": "every", "daily": "at", "weekdays": "at", "cron": "cron"}
#: Texts of the criteria that a recurring query has.
_TERMS = TEXTS[4:]
#: Valid values that replace invalid ones while the next problem is searched for.
_HARMLESS: Mapping[str, object] = {"name": "x", "when": "daily 06:30", "time_zone": "", "start": None}


class ScheduleForm(QueryForm):
    """A query that recurs: its criteria without dates, and when it is due."""

    by = date_from = date_until = time_from = time_until = None
    accession_numbers = study_instance_uids = confirmed = None

    name = StringField(
        lazy_gettext("Name"),
        description=lazy_gettext("As people call it, for example “Nightly CT”."),
        render_kw={"maxlength": NAME_MAX_LENGTH, "autocomplete": "off"},
    )
    kind = RadioField(lazy_gettext("When"), choices=choices(KINDS), default="daily", validate_choice=False)
    every = StringField(
        lazy_gettext("Minutes"), description=lazy_gettext("1 to 1440."), render_kw={"inputmode": "numeric"}
    )
    at = StringField(lazy_gettext("Time of day"), description=lazy_gettext("By the clock of the time zone."))
    cron = StringField(
        lazy_gettext("Cron line"),
        description=lazy_gettext("Minute, hour, day of the month, month, day of the week: 30 6 * * mon-fri."),
        render_kw={"maxlength": LINE_MAX_LENGTH, "autocapitalize": "off", "autocomplete": "off"},
    )
    time_zone = StringField(
        lazy_gettext("Time zone"),
        description=lazy_gettext(
            "For example Europe/Berlin; empty: that of the site. Days of studies are its days."
        ),
        render_kw={"maxlength": TIME_ZONE_MAX_LENGTH, "autocapitalize": "off"},
    )
    start = StringField(
        lazy_gettext("First study date"),
        description=lazy_gettext("Everything from this day on is covered; empty: from today."),
    )
    retrieve = BooleanField(
        lazy_gettext("Retrieve"), description=lazy_gettext("Retrieve what each run keeps.")
    )

    def read(self, *, paused: bool = False) -> ScheduleInput | None:
        """Validate the form; None if there are problems, all of which are then shown at their fields."""
        rest = self.values() | {"paused": paused}
        for name in ("remote", "store"):
            if not rest[name]:
                self.complain(name, gettext("choose one"))
                rest[name] = "x"
        for _ in range(len(rest) + len(_TERMS)):
            try:
                given = parse_schedule(rest)
            except InvalidInputError as error:
                self.refuse(error)
                if not self._replace(rest, error.field):
                    return None
            else:
                return None if self.problems() else given
        return None

    def refuse(self, error: InvalidInputError) -> None:
        """Show an error of shared code at its field."""
        top, _, rest = error.field.partition(".")
        name = rest.partition(".")[0] if top == "criteria" else top
        if name == "when":
            name = _INPUTS.get(str(self.kind.data), "kind")
        missing_type = name == "types" and not any(self.types.data or ())
        self.complain(name, gettext("tick at least one modality") if missing_type else error.problem)

    @staticmethod
    def _replace(rest: dict[str, object], field: str) -> bool:
        """Replace an invalid value by a valid one; returns whether there is one."""
        top, _, inner = field.partition(".")
        if top == "criteria":
            name = inner.partition(".")[0]
            criteria = rest["criteria"]
            assert isinstance(criteria, dict)
            criteria[name] = ["CT"] if name == "types" else ()
            return True
        if top not in _HARMLESS:
            return False
        rest[top] = _HARMLESS[top]
        return True

    def values(self) -> dict[str, object]:
        """Return the values of the form as `parse_schedule` takes them."""
        criteria: dict[str, object] = {"types": list(self.types.data or [])}
        criteria |= {name: self[name].data or "" for name in _TERMS}
        criteria |= {name: bool(self[name].data) for name in OPTIONS}
        kind = str(self.kind.data or "")
        given = str(self[_INPUTS[kind]].data or "").strip() if kind in _INPUTS else ""
        forms = {"every": f"every {given} minutes", "cron": given}
        return {
            "name": self.name.data or "",
            "remote": self.remote.data or "",
            "store": self.store.data or "",
            "criteria": criteria,
            "retrieve": bool(self.retrieve.data),
            "when": forms.get(kind, f"{kind} {given}"),
            "time_zone": self.time_zone.data or "",
            "start": self.start.data or None,
        }

    def fill(self, schedule: ScheduleDetails, remote_id: int, store_id: int) -> None:
        """Show a recurring query."""
        criteria = parse_criteria(schedule["criteria"]).to_json()
        self.name.data, self.time_zone.data = schedule["name"], schedule["time_zone"]
        self.remote.data, self.store.data = str(remote_id), str(store_id)
        self.types.data, self.retrieve.data = criteria["types"], schedule["retrieve"]
        self.start.data = schedule["start"]
        for name in _TERMS:
            self[name].data = ", ".join(map(str, criteria[name] or ()))  # type: ignore[arg-type]
        for name in OPTIONS:
            self[name].data = criteria[name]
        self.kind.data, text = _kind_of(schedule["when"])
        self[_INPUTS[self.kind.data]].data = text

    @property
    def opens_advanced(self) -> bool:
        """Whether the folded part holds a changed value or an error."""
        names = (*_TERMS[2:], *OPTIONS)
        changed = any(self[name].data for name in names if name != "ignore_known")
        return changed or not self.ignore_known.data or any(self[name].errors for name in names)


def _kind_of(when: str) -> tuple[str, str]:
    """Return how something recurs, and the text of its input."""
    recurrence = parse_recurrence(when)
    if recurrence.every_minutes:
        return "every", str(recurrence.every_minutes)
    kind, _, at = when.partition(" ")
    return (kind, at) if kind in ("daily", "weekdays") else ("cron", when)
