"""The form of a query, converted from and to the criteria that page, command line and messages share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from flask_wtf.file import FileField
from sqlalchemy.orm import Session
from wtforms import BooleanField, RadioField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.widgets import CheckboxInput, ListWidget

from services.web.forms.confirmation import Confirmation, confirmation
from services.web.forms.fields import Form
from services.web.language import choices, gettext, lazy_gettext, ngettext, shown_day, translated
from services.web.views.criteria_text import LABELS, TYPE_NAMES, readable_problem
from shared.contract.criteria import CODES, IDENTIFIERS, Criteria, DateWindow, parse_criteria, window
from shared.contract.criteria_fields import MAX_IDENTIFIERS
from shared.contract.identifier_lines import identifier_lines
from shared.contract.json_types import JsonDocument
from shared.database.models import Node, Query
from shared.errors import InvalidInputError
from shared.nodes.nodes import find_node
from shared.querying.estimate import warning
from shared.querying.estimate_text import sentence
from shared.reading.estimates import estimate_of, last_complete_day
from shared.settings import Settings
from shared.study_lists.upload import UploadedList, read_upload

TEXTS = (
    "date_from",
    "date_until",
    "time_from",
    "time_until",
    "exclude_descriptions",
    "keep_descriptions",
    "exclude_stations",
    "keep_stations",
)
OPTIONS = ("station_at_study_level", "include_sr_only", "ignore_known", "empty_sr", "toshiba")
#: Fields in the folded part of the form.
ADVANCED = (*TEXTS[2:4], *TEXTS[6:], *OPTIONS)
#: What names the studies: their dates, or their numbers. The fields of the other one count for nothing.
BY = {"date": lazy_gettext("By date"), "number": lazy_gettext("By accession number or study UID")}

_LINES = lazy_gettext("One on each line. Fill in one of the two lists.")
_TERMS = lazy_gettext("Terms separated by commas; upper and lower case do not matter.")


def _types() -> dict[str, str]:
    """Return the types with their codes, as the form offers them."""
    names = {name: str(TYPE_NAMES[name]) for name in CODES if name != "SR"}
    return {
        name: text if CODES[name] == (name,) == (text,) else f"{text} ({', '.join(CODES[name])})"
        for name, text in names.items()
    }


class QueryForm(Form):
    """Criteria of a query."""

    remote = SelectField(LABELS["remote"], validate_choice=False)
    store = SelectField(LABELS["store"], validate_choice=False)
    types = SelectMultipleField(
        LABELS["types"],
        choices=_types,
        validate_choice=False,
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )
    #: Not given by older forms and programs: then dates and numbers exclude each other.
    by = RadioField(lazy_gettext("Studies"), choices=choices(BY), validate_choice=False)
    date_from = StringField(LABELS["date_from"])
    date_until = StringField(LABELS["date_until"])
    time_from = StringField(LABELS["time_from"])
    time_until = StringField(LABELS["time_until"])
    accession_numbers = TextAreaField(LABELS["accession_numbers"], description=_LINES)
    study_instance_uids = TextAreaField(LABELS["study_instance_uids"], description=_LINES)
    #: In place of the two lists; its column by letter, empty: found by name or content.
    list_file = FileField(
        lazy_gettext("The list as a file"),
        description=lazy_gettext("CSV or XLSX of up to 100,000 lines, in place of the two lists above."),
    )
    #: What was read of it.
    uploaded: UploadedList | None = None
    list_column = StringField(lazy_gettext("Column"))
    list_leave_out = BooleanField(lazy_gettext("Leave out the lines that are wrong"))
    exclude_descriptions = StringField(LABELS["exclude_descriptions"], description=_TERMS)
    keep_descriptions = StringField(LABELS["keep_descriptions"], description=_TERMS)
    exclude_stations = StringField(LABELS["exclude_stations"], description=_TERMS)
    keep_stations = StringField(LABELS["keep_stations"], description=_TERMS)
    station_at_study_level = BooleanField(
        LABELS["station_at_study_level"],
        description=lazy_gettext("Compare the station name of the study instead of that of each series."),
    )
    include_sr_only = BooleanField(
        LABELS["include_sr_only"],
        description=lazy_gettext("Also studies that hold nothing but structured reports."),
    )
    ignore_known = BooleanField(
        LABELS["ignore_known"], description=lazy_gettext("Objects that arrived before are not requested.")
    )
    empty_sr = BooleanField(
        LABELS["empty_sr"],
        description=lazy_gettext("They may be dose reports: the PACS omits their SOP class, so all are got."),
    )
    toshiba = BooleanField(
        LABELS["toshiba"],
        description=lazy_gettext("The first image of each series, and dose secondary captures whole."),
    )
    #: The key of what was confirmed (services/web/forms/confirmation.py).
    confirmed = StringField()
    retrieve = BooleanField(
        LABELS["retrieve"],
        description=lazy_gettext("Retrieve what is kept as soon as the query has ended."),
    )

    def offer(self, remotes: Iterable[Node], stores: Iterable[Node]) -> None:
        """Set the nodes that can be chosen."""
        self.remote.choices = {str(node.id): node.name for node in remotes}
        self.store.choices = {str(node.id): node.name for node in stores}

    def raw_criteria(self) -> dict[str, object]:
        """Return the criteria of the form, not yet validated; identifiers as lines of text."""
        raw: dict[str, object] = {"types": list(self.types.data or [])}
        raw |= {name: self[name].data or "" for name in (*TEXTS, *IDENTIFIERS)}
        if self.by.data == "number":
            raw |= dict.fromkeys(TEXTS[:4], "")
        elif self.by.data == "date":
            raw |= dict.fromkeys(IDENTIFIERS, "")
        return raw | {name: bool(self[name].data) for name in OPTIONS}

    @property
    def opens_advanced(self) -> bool:
        """Whether the folded part holds a changed value or an error."""
        changed = any(self[name].data for name in ADVANCED if name != "ignore_known")
        return changed or not self.ignore_known.data or any(self[name].errors for name in ADVANCED)


@dataclass(frozen=True, slots=True)
class RequestedQuery:
    """A valid form, and what has to be confirmed before it is published."""

    remote: Node
    store: Node
    criteria: Criteria
    unconfirmed: Confirmation | None = None
    #: The uploaded list, if it is longer than one query; `criteria` has its first part.
    long_list: UploadedList | None = None


def read(form: QueryForm, session: Session, settings: Settings, today: date) -> RequestedQuery | None:
    """Validate a form; None if there are problems, which are then shown at its fields."""
    nodes = [_node(form, session, kind) for kind in ("remote", "store")]
    uploaded = uploaded_list(form)
    raw, found = checked(form.raw_criteria() | first_part(uploaded), today)
    for name, problem in found.items():
        # The form has no tick for reports alone, so it does not name their type.
        missing_type = name == "types" and not form.types.data
        form.complain(name, gettext("tick at least one modality") if missing_type else problem)
    remote, store = nodes
    if remote is None or store is None or found or form.list_file.errors:
        return None
    criteria = parse_criteria(raw)
    estimate = estimate_of(session, remote, settings, criteria, today)
    doubt = confirmation(criteria, window(criteria, today), estimate, remote.name, today)
    confirmed = doubt is None or form.confirmed.data == doubt.key
    is_long = uploaded is not None and len(uploaded.identifiers) > MAX_IDENTIFIERS
    return RequestedQuery(
        remote, store, criteria, None if confirmed else doubt, uploaded if is_long else None
    )


def uploaded_list(form: QueryForm) -> UploadedList | None:
    """Return the list of the file, also as `form.uploaded`; problems are shown at its field."""
    file = form.list_file.data
    if not file or not file.filename or form.by.data == "date":
        return None
    if any(str(form[name].data or "").strip() for name in IDENTIFIERS):
        form.complain("list_file", gettext("give either the file or a list above"))
        return None
    content = file.stream.read()
    file.stream.seek(0)
    try:
        found = read_upload(content, str(form.list_column.data or ""))
    except InvalidInputError as error:
        form.complain("list_file", gettext("the file %(problem)s", problem=translated(error.problem)))
        return None
    form.uploaded = found
    if found.column is None:
        form.complain("list_file", gettext("choose the column that holds the numbers"))
    elif not found.identifiers:
        form.complain("list_file", gettext("no line of it can be used"))
    elif found.number_of_errors and not form.list_leave_out.data:
        form.complain(
            "list_file",
            gettext("some lines are wrong: correct them, or have them left out"),
        )
    return found


def first_part(uploaded: UploadedList | None) -> dict[str, object]:
    """Return the identifiers of a list as far as one query takes them, as lines of text."""
    if uploaded is None:
        return {}
    found: dict[str, object] = dict.fromkeys(IDENTIFIERS, "")
    return found | {uploaded.field: "\n".join(uploaded.identifiers[:MAX_IDENTIFIERS])}


def _node(form: QueryForm, session: Session, kind: str) -> Node | None:
    reference = str(form[kind].data or "").strip()
    if not reference:
        form.complain(
            kind,
            gettext("choose one")
            if form[kind].choices
            else gettext("there is none yet; an administrator adds it"),
        )
        return None
    try:
        return find_node(session, reference, kind, kind)
    except InvalidInputError as error:
        form.refuse(error)
        return None


def checked(raw: Mapping[str, object], today: date) -> tuple[dict[str, object], dict[str, str]]:
    """Return the criteria with their identifiers as lists, and the problem of each field.

    An empty input of a date or time is no limit.
    """
    values, found = dict(raw), {}
    values |= {name: None for name in TEXTS[:4] if not str(raw.get(name) or "").strip()}
    for name in IDENTIFIERS:
        try:
            values[name] = identifier_lines(name, str(raw.get(name) or ""))
        except InvalidInputError as error:
            values[name], found[name] = None, error.problem
    return values, found | _problems_of(values, today)


def _problems_of(raw: Mapping[str, object], today: date) -> dict[str, str]:
    """Return the problem of each field; a field with a problem is replaced to find those behind it."""
    rest: dict[str, object] = dict(raw)
    found: dict[str, str] = {}
    for _ in raw:
        try:
            window(parse_criteria(rest), today)
        except InvalidInputError as error:
            name = error.field.partition(".")[0]
            if name in found:
                break
            found[name] = error.problem
            rest[name] = _harmless(name, rest, today)
        else:
            break
    return found


def _harmless(name: str, raw: Mapping[str, object], today: date) -> object:
    """Return a valid value in place of an invalid one, so that other problems show."""
    if name == "types":
        return ["CT"]
    if name not in ("date_from", "date_until"):
        return None
    other = raw.get("date_until" if name == "date_from" else "date_from")
    try:
        return date.fromisoformat(str(other)).isoformat()
    except ValueError:
        return today.isoformat()


def values_of(criteria: JsonDocument) -> dict[str, object]:
    """Return the form values of these criteria."""
    values: dict[str, object] = {name: _text(criteria.get(name)) for name in TEXTS}
    values |= {name: "\n".join(criteria.get(name) or ()) for name in IDENTIFIERS}
    values |= {name: bool(criteria.get(name, name == "ignore_known")) for name in OPTIONS}
    by = "number" if any(criteria.get(name) for name in IDENTIFIERS) else "date"
    return values | {"types": list(criteria.get("types", ())), "by": by}


def choices_of(query: Query) -> dict[str, object]:
    """Return the form values that stay from one query of a person to the next; no dates and no filters."""
    values = values_of(query.criteria)
    kept = {name: values[name] for name in ("types", *OPTIONS)}
    nodes = {"remote": str(query.remote_id), "store": str(query.store_id)}
    return {**kept, **nodes, "retrieve": query.retrieve_after}


@dataclass(frozen=True, slots=True)
class Preset:
    """A usual range of dates."""

    name: str
    first: date
    last: date


def presets(today: date) -> list[Preset]:
    """Return the usual ranges of dates, as seen from today."""
    yesterday = today - timedelta(days=1)
    month_end = today.replace(day=1) - timedelta(days=1)
    return [
        Preset(gettext("Today"), today, today),
        Preset(gettext("Yesterday"), yesterday, yesterday),
        Preset(gettext("Last 7 days"), today - timedelta(days=6), today),
        Preset(gettext("Last month"), month_end.replace(day=1), month_end),
    ]


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Preview:
    """Summary of the form: days, estimate, warning, and problems by field."""

    days: str
    estimate: str
    warning: str
    problems: dict[str, str]
    #: The day after the last one that earlier queries of the node cover completely; empty: none does.
    since: str = ""


def preview(form: QueryForm, session: Session, settings: Settings, today: date) -> Preview:
    """Summarise a form while it is being filled in; a missing modality is not yet a problem."""
    values, problems = checked(form.raw_criteria(), today)
    unfinished = problems.pop("types", None) is not None
    since = "" if unfinished else _since(form, session, today)
    if problems:
        readable = {name: readable_problem(problem) for name, problem in problems.items()}
        return Preview("", "", "", readable, since)
    criteria = parse_criteria({**values, "types": ["CT"]} if unfinished else values)
    estimate_text = "" if unfinished else _estimate(form, session, settings, criteria, today)
    if form.by.data == "number" and not any(values.get(name) for name in IDENTIFIERS):
        # Of a file nothing is known here, and an empty field is no search of the whole archive.
        return Preview("", "", "", {}, since)
    days = window(criteria, today)
    return Preview(_days(criteria, days), estimate_text, translated(warning(criteria, days)), {}, since)


def _chosen_remote(form: QueryForm, session: Session) -> Node | None:
    # Before the form is submitted, the browser shows the first node as chosen.
    shown = form.remote.data or next(iter(form.remote.choices or ()), "")
    try:
        return find_node(session, str(shown), "remote")
    except InvalidInputError:
        return None


def _estimate(form: QueryForm, session: Session, settings: Settings, criteria: Criteria, today: date) -> str:
    node = _chosen_remote(form, session)
    return "" if node is None else translated(sentence(estimate_of(session, node, settings, criteria, today)))


def _since(form: QueryForm, session: Session, today: date) -> str:
    node = _chosen_remote(form, session)
    last = None if node is None else last_complete_day(session, node.id, form.types.data or [])
    return (last + timedelta(days=1)).isoformat() if last is not None and last < today else ""


def _days(criteria: Criteria, days: DateWindow) -> str:
    if named := criteria.accession_numbers or criteria.study_instance_uids:
        number = len(named)
        if criteria.accession_numbers:
            return ngettext(
                "%(number)s accession number, of any date.",
                "%(number)s accession numbers, of any date.",
                number,
                number=number,
            )
        return ngettext(
            "%(number)s study UID, of any date.", "%(number)s study UIDs, of any date.", number, number=number
        )
    first, last = days.date_from, days.date_until
    if last is None:
        return gettext("All dates.")
    if first is None:
        return gettext("Everything until %(day)s.", day=shown_day(last))
    number_of_days = (last - first).days + 1
    if number_of_days == 1:
        return gettext("%(day)s: one day.", day=shown_day(first))
    return gettext(
        "%(first)s to %(last)s: %(number)s days.",
        first=shown_day(first),
        last=shown_day(last),
        number=number_of_days,
    )
