"""Template filters: numbers, times, dates and durations as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from flask import Flask
from flask_login import current_user
from markupsafe import Markup
from wtforms import Field

from services.web.components import components
from services.web.language import gettext, ngettext, shown_day, translated
from services.web.live.progress import query_fraction
from services.web.security.background import in_background
from services.web.views.criteria_text import TYPE_NAMES, criteria_brief, criteria_rows, slice_text
from services.web.views.report_text import REPORT_KINDS, UNREADABLE_REASONS, key_figures
from services.web.views.time_text import age, span
from shared.contract.criteria_fields import MAX_IDENTIFIERS
from shared.contract.messages import ENDED
from shared.contract.reasons import sentence
from shared.database.models import Node, Query, QueryTask, Retrieve
from shared.dicom.errors import dimse_status
from shared.dose.summary import SummaryJson
from shared.reading.rate_text import duration
from shared.reading.retrieve_json import ARRIVAL_TEXTS
from shared.reading.summaries import ReportEntry
from shared.reading.summaries import brief as shorten
from shared.study_lists.ledger import number_of_parts

EN_DASH = "\N{EN DASH}"

#: Bootstrap colour and sign of each status; the pages show the status as text beside both.
STATUS_SIGNS = {
    "queued": ("secondary", "…"),
    "running": ("primary", "▸"),
    "completed": ("success", "✓"),
    "incomplete": ("warning", "!"),
    "failed": ("danger", "✕"),
    "cancelled": ("secondary", EN_DASH),
}

_IN_BRACKETS = re.compile(r"\s*\(([^()]*)\)")


def init_filters(app: Flask) -> None:
    """Register the filters and globals of the templates."""
    app.jinja_env.filters.update(
        figure=figure,
        many=many,
        moment=moment,
        day=day,
        sentence=translated_sentence,
        duration=lambda seconds: translated(duration(seconds)),
        without_repetition=lambda note, before="": translated(without_repetition(note, before)),
        criteria_rows=criteria_rows,
        key_figures=key_figures,
        ago=ago,
        took=took,
        brief=brief,
        short_id=short_id,
        slice_text=slice_text,
        clock=clock_time,
        address=address,
        brief_figures=brief_figures,
        list_parts=number_of_parts,
        dimse_status=dimse_status,
    )
    app.jinja_env.globals.update(fraction_of=fraction_of, without=without, lack_of=lack_of)
    app.jinja_env.globals.update(waiting_text=waiting_text)
    app.jinja_env.globals.update(STATUS_SIGNS=STATUS_SIGNS, TYPE_NAMES=TYPE_NAMES, ENDED=ENDED, tied=tied)
    app.jinja_env.globals.update(
        ARRIVAL_TEXTS=ARRIVAL_TEXTS, list_limit=MAX_IDENTIFIERS, is_fragment=in_background
    )
    app.jinja_env.globals.update(REPORT_KINDS=REPORT_KINDS, UNREADABLE_REASONS=UNREADABLE_REASONS)
    app.jinja_env.globals.update(installation_complaints=lambda: components().banner())
    app.context_processor(_context)


def _context() -> dict[str, object]:
    settings = components().settings
    known = current_user if current_user and current_user.is_authenticated else None
    return {"me": known, "embedded": settings.embedded, "amqp_prefix": settings.amqp_prefix}


def translated_sentence(code: str, note: str | None = None) -> str:
    """Return the sentence of a reason code and that of its note in the language of the page."""
    return translated(sentence(code, note))


def figure(number: float | None) -> str:
    """Return a number with thousands set apart, or a dash."""
    return EN_DASH if number is None else f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def many(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: `1 object`, `2 objects`."""
    texts = f"%(number)s {singular}", f"%(number)s {plural or singular + 's'}"
    return ngettext(*texts, number, number=figure(number))


def tied(field: Field) -> dict[str, str]:
    """Return the ARIA attributes that link an input to its hint and errors."""
    hint = [f"{field.id}-hint"] if field.description else []
    ids = hint + ([f"{field.id}-error"] if field.errors else [])
    attributes = {"aria-describedby": " ".join(ids)} if ids else {}
    return attributes | ({"aria-invalid": "true"} if field.errors else {})


def moment(value: datetime | str | None) -> str:
    """Return a `<time>` element that page.js shows in local time; UTC without JavaScript."""
    if not value:
        return EN_DASH
    parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    text = parsed.astimezone(UTC)
    return Markup('<time datetime="{}" data-local>{} UTC</time>').format(
        text.isoformat().replace("+00:00", "Z"), f"{text:%Y-%m-%d %H:%M}"
    )


def ago(value: datetime | None) -> str:
    """Return a `<time>` element with the age of a moment, and the moment itself on hover."""
    if value is None:
        return EN_DASH
    text = value.astimezone(UTC)
    return Markup('<time datetime="{}" data-ago title="{} UTC">{}</time>').format(
        text.isoformat().replace("+00:00", "Z"),
        f"{text:%Y-%m-%d %H:%M}",
        age(value, components().clock()),
    )


def took(job: Query | Retrieve | QueryTask) -> str:
    """Return how long a job or task took, or has run until now; empty before it began."""
    if job.started_at is None:
        return ""
    return span(((job.ended_at or components().clock()) - job.started_at).total_seconds())


def brief(query: Query) -> str:
    """Return the types and dates of a query in a few words."""
    return criteria_brief(query.criteria, query.today)


def short_id(job_id: str) -> str:
    """Return the beginning of an id; of a job of a recurring query, the recurring query and the time."""
    begin, dash, rest = job_id.partition("-")
    return rest if dash and begin == "schedule" else job_id[:8]


def fraction_of(job: Query | Retrieve) -> float:
    """Return the part of a job that is done, from its row alone."""
    if isinstance(job, Retrieve):
        return min(1.0, job.arrived / job.asked) if job.asked else 0.0
    slices_done = job.slices_complete + job.slices_failed
    examined = job.studies_examined + job.studies_missing
    return query_fraction(job.slices_total, slices_done, job.studies_found, examined)


def day(value: str | None) -> str:
    """Return a DICOM date (DA, PS3.5 6.2) as YYYY-MM-DD; any other text unchanged."""
    da_length = 8
    if value and len(value) == da_length and value.isdecimal():
        value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return shown_day(value) if value else EN_DASH


def clock_time(value: str) -> str:
    """Return a DICOM time (TM, PS3.5 6.2) as hours and minutes; any other text unchanged."""
    return f"{value[:2]}:{value[2:4]}" if value[:4].isdecimal() and len(value) >= len("hhmm") else value


def brief_figures(entry: ReportEntry[SummaryJson]) -> str:
    """Return the figures of a report in one line."""
    shortened = shorten(entry)["summary"]
    return key_figures(shortened) if shortened is not None else ""


def address(node: Node) -> str:
    """Return host and port; an IPv6 address in brackets (RFC 3986, 3.2.2); or where DICOMweb is spoken."""
    if node.protocol == "dicomweb":
        return node.web_url
    host = f"[{node.host}]" if ":" in node.host else node.host
    return f"{host}:{node.port}"


def without(arguments: dict[str, str], name: str) -> dict[str, str]:
    """Return the arguments of an address but for one."""
    return {key: value for key, value in arguments.items() if key != name}


def waiting_text(job: Query | Retrieve) -> Markup:
    """Return the note of a job, when it tries again and when it gives up; empty if it waits for nothing."""
    if job.held_since is not None:
        return hold_text(job)
    if not job.note:
        return Markup()
    text = Markup("{}").format(translated(without_repetition(job.note)))
    if job.next_try_at is not None:
        text += _in_html(gettext("; next try at %(time)s"), time=time_of_day(job.next_try_at))
    if job.gives_up_at is not None:
        text += _in_html(gettext("; gives up at %(time)s"), time=time_of_day(job.gives_up_at))
    return text


def hold_text(job: Query | Retrieve) -> Markup:
    """Return who paused a job, or a node that it needs, and since when; empty if nobody did."""
    sentences = []
    if job.pause is not None:
        text = gettext("Paused by %(person)s since %(time)s.")
        sentences.append(_in_html(text, person=_person(job.pause.by), time=moment(job.pause.at)))
    for name, pause in job.node_pauses.items():
        text = gettext("The node %(name)s is paused by %(person)s since %(time)s.")
        sentences.append(_in_html(text, name=name, person=_person(pause.by), time=moment(pause.at)))
    return Markup(" ").join(sentences)


def _person(name: str) -> str:
    return name or gettext("somebody")


def _in_html(text: str, **values: object) -> Markup:
    """Return a text of ours as HTML, with its values escaped."""
    return Markup(text) % values  # noqa: S704 - a text of the catalogue


def lack_of(job: Query, between: str) -> str:
    """Return the windows and studies of a query without a complete response: `2 windows, 1 study`."""
    parts = [many(job.slices_failed, "window")] if job.slices_failed else []
    parts += [many(job.studies_missing, "study", "studies")] if job.studies_missing else []
    return between.join(parts)


def without_repetition(note: str, before: str = "") -> str:
    """Return a note without text in brackets that stands in it already, or in the text before it."""

    def kept(found: re.Match[str]) -> str:
        earlier = f"{before} {note[: found.start()]}".casefold()
        return "" if found[1].casefold() in earlier else found[0]

    return _IN_BRACKETS.sub(kept, note)


def time_of_day(moment: datetime) -> Markup:
    """Return a time of day as an element that page.js shows in local time; UTC without JavaScript."""
    text = moment.astimezone(UTC)
    return Markup('<time datetime="{}" data-local="time">{} UTC</time>').format(
        text.isoformat().replace("+00:00", "Z"), f"{text:%H:%M}"
    )
