"""The course of a job as a timeline, and its request as others would send it: by command, message or HTTP."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.web.language import gettext, translated
from services.web.views.time_text import span
from shared.contract.criteria import IDENTIFIERS
from shared.contract.json_types import JsonDocument
from shared.contract.messages import ENDED, RunQuery
from shared.database.models import Retrieve
from shared.reading.jobs import Job

_TERMS = {
    "exclude_descriptions": "--exclude",
    "keep_descriptions": "--keep",
    "exclude_stations": "--exclude-station",
    "keep_stations": "--keep-station",
}
_DATES = {
    "date_from": "--from",
    "date_until": "--until",
    "time_from": "--time-from",
    "time_until": "--time-until",
}
_NUMBERS = {"accession_numbers": "--accession-number", "study_instance_uids": "--study"}
_TICKS = {
    "include_sr_only": "--include-sr-only",
    "station_at_study_level": "--station-at-study-level",
    "empty_sr": "--empty-sr",
    "toshiba": "--toshiba",
}
#: Options that take a file of numbers, for more than a line of a shell should hold; here its standard input.
_FILES = {"accession_numbers": "--accession-numbers", "study_instance_uids": "--studies"}
MOST_NUMBERS = 20


@dataclass(frozen=True, slots=True)
class Copies:
    """The forms of one query."""

    command_line: str
    message: str
    curl: str


def copies_of(
    job_id: str, remote: str, store: str, criteria: JsonDocument, *, retrieve: bool, address: str
) -> Copies:
    """Return a query in its forms; `address` is that of this installation."""
    body = {"remote": remote, "store": store, "criteria": dict(criteria), "retrieve": retrieve}
    curl = (
        f"curl -X POST {shlex.quote(address.rstrip('/') + '/api/v1/queries')} \\\n"
        '  -H "Authorization: Bearer $DOSEQR_TOKEN" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body))}"
    )
    # An id that was used is the same query: the copy has one of its own.
    copy_id = f"copy-{job_id}"[:64]
    message = {"specversion": "1.0", "id": copy_id, "source": "/copy", "type": RunQuery.TYPE, "data": body}
    command = _command_line(remote, store, criteria, retrieve=retrieve)
    return Copies(command, json.dumps(message, indent=2), curl)


def _command_line(remote: str, store: str, criteria: JsonDocument, *, retrieve: bool) -> str:
    words = ["doseqr", "query", "--remote", remote, "--store", store]
    words += [f"--{name.lower()}" for name in criteria.get("types", ()) if name != "SR"]
    for name, option in _DATES.items():
        if criteria.get(name):
            words += [option, str(criteria[name])]
    for name, option in _TERMS.items():
        for term in criteria.get(name) or ():
            words += [option, str(term)]
    lines: list[str] = []
    for name in IDENTIFIERS:
        numbers = [str(number) for number in criteria.get(name) or ()]
        if len(numbers) > MOST_NUMBERS:
            words += [_FILES[name], "-"]
            lines = numbers
        else:
            words += [word for number in numbers for word in (_NUMBERS[name], number)]
    words += [option for name, option in _TICKS.items() if criteria.get(name)]
    if not criteria.get("ignore_known", True):
        words.append("--include-known")
    if retrieve:
        words.append("--retrieve")
    command = shlex.join(words)
    return "\n".join([f"{command} <<'END'", *lines, "END"]) if lines else command


def timeline_of(job: Job, retrieves: Iterable[Retrieve] = ()) -> list[tuple[datetime, str]]:
    """Return the moments of a job with what happened then."""
    entries = [(job.requested_at, _requested(job))]
    if job.started_at is not None:
        waited_s = (job.started_at - job.requested_at).total_seconds()
        waited = gettext("Begun, after waiting %(duration)s", duration=span(waited_s))
        entries.append((job.started_at, waited if waited_s >= 1 else gettext("Begun")))
    entries += [
        (datetime.fromisoformat(rerun["at"]), _by(gettext("Continued"), rerun.get("requested_by", "")))
        for rerun in job.asked_again or ()
        if rerun.get("at")
    ]
    for retrieve in retrieves:
        requested = _by(gettext("Retrieve requested"), retrieve.requested_by)
        entries.append((retrieve.requested_at, requested))
        if retrieve.ended_at is not None:
            ended = gettext(
                "Retrieve %(status)s: %(arrived)s of %(asked)s objects arrived",
                status=translated(retrieve.status),
                arrived=retrieve.arrived,
                asked=retrieve.asked,
            )
            entries.append((retrieve.ended_at, ended))
    if job.ended_at is not None and job.status in ENDED:
        entries.append((job.ended_at, _ended(job)))
    return sorted(entries, key=lambda entry: entry[0])


def _requested(job: Job) -> str:
    return _by(gettext("Requested"), job.requested_by)


def _by(text: str, person: str) -> str:
    return gettext("%(text)s by %(person)s", text=text, person=person) if person else text


def _ended(job: Job) -> str:
    text = translated(job.status).capitalize()
    if job.started_at is not None and job.ended_at is not None:
        duration = span((job.ended_at - job.started_at).total_seconds())
        text = gettext("%(status)s after %(duration)s", status=text, duration=duration)
    return _by(text, str((job.cancelled_by or {}).get("cancelled_by", "")))
