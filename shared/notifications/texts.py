"""Notifications as text for people: counts, names of nodes, ids; no patient data. Pure.

All texts are English. Who sends one gives what translates each sentence, and each word that is put into one.
`tests/support/messages/notices.py` lists them with placeholders for their blanks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contract.json_types import JsonDocument
from shared.notifications.kinds import NoticeKind, Phase

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_MEBIBYTE = 1 << 20
#: Gives a sentence or word in the language of who reads it.
Translate = Callable[[str], str]
#: The same for any reader: takes the language as well.
Translator = Callable[[str, str], str]
#: Events of one message; the rest is in the next.
EVENTS_OF_MESSAGE = 50


@dataclass(frozen=True, slots=True)
class Notice:
    """Something of which people are notified."""

    kind: NoticeKind
    phase: Phase
    at: datetime
    details: JsonDocument


@dataclass(frozen=True, slots=True)
class NoticeText:
    """What is sent: a line, and a text."""

    title: str
    body: str


def as_it_is(text: str) -> str:
    """Return an English text for who reads English."""
    return text


def in_english(text: str, _language: str) -> str:
    """Return an English text for any reader: where no catalogue is at hand."""
    return text


def message_of(
    events: Sequence[Notice], public_url: str, translate: Translate = as_it_is, *, digest: bool = False
) -> NoticeText:
    """Return the message about some events, the oldest first; one has a title of its own."""
    sentences = [sentence(event, translate) for event in events]
    if len(events) == 1 and not digest:
        name = title(events[0], translate)
        return NoticeText(f"DoseQR: {name}", _paragraph(events[0], sentences[0], public_url))
    count = translate(_count(len(events), "event", "events"))
    named = f"DoseQR: {translate('daily digest')}, {count}" if digest else f"DoseQR: {count}"
    parts = [
        f"{event.at:%Y-%m-%d %H:%M} UTC: {title(event, translate)}\n{_paragraph(event, text, public_url)}"
        for event, text in zip(events, sentences, strict=True)
    ]
    return NoticeText(named, "\n\n".join(parts))


def trial_message(name: str, public_url: str, translate: Translate = as_it_is) -> NoticeText:
    """Return the message that tests an address."""
    parts = [f"This is a test of the address {name}.", "Notifications arrive here."]
    if public_url:
        parts.append(f"The page is at {public_url}.")
    body = " ".join(translate(part) for part in parts)
    return NoticeText(f"DoseQR: {translate('test')}", body)


def title(event: Notice, translate: Translate = as_it_is) -> str:
    """Return an event in a few words."""
    return _TITLES[event.kind](event, translate)


def sentence(event: Notice, translate: Translate = as_it_is) -> str:
    """Return an event in a sentence or two."""
    about = _SENTENCES[event.kind](event, translate)
    extra = _AFTER[event.phase](event.details, translate)
    return f"{about} {extra}".strip()


def path_of(event: Notice) -> str:
    """Return where on the page an event is explained."""
    details = event.details
    if event.kind is NoticeKind.JOB:
        return f"/jobs/{details['job_id']}"
    if event.kind is NoticeKind.SCHEDULE:
        return f"/schedules/{details['schedule_id']}"
    if event.kind is NoticeKind.COVERAGE:
        return f"/coverage?node={details['node_id']}"
    if event.kind is NoticeKind.NODE:
        return f"/nodes/{details['node_id']}"
    return "/system" if event.kind is NoticeKind.DEAD_LETTERS else "/"


def span(seconds: float) -> str:
    """Return how long something lasted, in two units at most: `under 1 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = int(seconds)
    if whole < _MINUTE_S:
        return "under 1 min"
    days, rest = divmod(whole, _DAY_S)
    hours, rest = divmod(rest, _HOUR_S)
    minutes = rest // _MINUTE_S
    units = [(days, "d"), (hours, "h"), (0 if days else minutes, "min")]
    return " ".join(f"{number} {unit}" for number, unit in units if number)


def _paragraph(event: Notice, text: str, public_url: str) -> str:
    return f"{text}\n{public_url.rstrip('/')}{path_of(event)}" if public_url else text


_STATES: Mapping[Phase, str] = {
    Phase.FLAPPING: "comes and goes",
    Phase.OVER: "well again",
    Phase.STEADY: "well and steady again",
}


def _schedule_title(event: Notice, translate: Translate) -> str:
    return f"{event.details['schedule']}: {translate(_STATES.get(event.phase, event.details['status']))}"


def _schedule_sentence(event: Notice, translate: Translate) -> str:
    details = event.details
    counts = [translate(f"{_count(details.get('kept', 0), 'study', 'studies')} kept")]
    if details.get("missing"):
        counts.append(translate(f"{details['missing']} missing"))
    if details.get("job_id"):
        counts.append(f"{translate('job')} {details['job_id']}")
    about = translate(
        f"The recurring query {details['schedule']} of {details['node']}: its last run is"
        f" {details['status']} ({', '.join(counts)})."
    )
    return f"{about} {translate(details['detail'])}" if details.get("detail") else about


def _coverage_title(event: Notice, translate: Translate) -> str:
    state = {Phase.BEGAN: "no dose reports any more", Phase.STUCK: "no dose reports any more"}
    found = _STATES.get(event.phase, state.get(event.phase, "more without a report"))
    return f"{_station(event.details, translate)}: {translate(found)}"


def _coverage_sentence(event: Notice, translate: Translate) -> str:
    details = event.details
    about = f"Station {_station(details, translate)} ({details['type']}) of {details['node']}"
    if event.phase in (Phase.OVER, Phase.STEADY):
        return translate(f"{about} sends dose reports again, or had no study lately.")
    number = translate(_count(details["studies"], "study", "studies"))
    return translate(f"{about} has sent no dose report since {details['since']}: {number} without one.")


def _station(details: JsonDocument, translate: Translate) -> str:
    return str(details["station"] or translate("without a name"))


def _store_title(event: Notice, translate: Translate) -> str:
    fallback = "takes no objects" if event.details.get("refuses") else "nearly full"
    return f"{translate('store')}: {translate(_STATES.get(event.phase, fallback))}"


def _store_sentence(event: Notice, translate: Translate) -> str:
    details = event.details
    free = details.get("free_bytes")
    space = f" {translate(f'{free // _MEBIBYTE:,} MiB are free.')}" if isinstance(free, int) else ""
    if event.phase in (Phase.OVER, Phase.STEADY):
        state = "takes objects" if details.get("refuses") else "has space"
        return translate(f"DoseQR's own store {state} again.") + space
    if details.get("refuses"):
        return translate(f"DoseQR's own store takes no objects: {details.get('problem', '')}.") + space
    full = translate("DoseQR's own store is nearly full.")
    return f"{full}{space} {translate('Make room before it takes no more objects.')}"


def _dead_letters_title(event: Notice, translate: Translate) -> str:
    number = _count(event.details.get("number", 0), "dead letter", "dead letters")
    return translate({**_STATES, Phase.OVER: "no dead letters any more"}.get(event.phase, number))


def _dead_letters_sentence(event: Notice, translate: Translate) -> str:
    if event.phase in (Phase.OVER, Phase.STEADY):
        return translate("The queue of dead letters is empty again.")
    number = _count(event.details.get("number", 0), "message", "messages")
    advice = translate("Replay or drop them on the page System.")
    return f"{translate(f'{number} could not be handled.')} {advice}"


def _node_title(event: Notice, translate: Translate) -> str:
    state = _STATES.get(event.phase, "left alone, its fuse has blown")
    return f"{event.details['node']}: {translate(state)}"


def _node_sentence(event: Notice, translate: Translate) -> str:
    node = event.details["node"]
    if event.phase in (Phase.OVER, Phase.STEADY):
        return translate(f"The node {node} is sent requests again.")
    return translate(
        f"Nothing is sent to the node {node} for some minutes, and its jobs wait: {event.details['problem']}."
    )


def _job_title(event: Notice, translate: Translate) -> str:
    details = event.details
    about = f"{details['job']} of {details['node']}"
    return f"{translate(about)}: {translate(details['status'])}"


def _job_sentence(event: Notice, translate: Translate) -> str:
    details = event.details
    if details["job"] == "query":
        counts = [f"{_count(details['found'], 'study', 'studies')} found", f"{details['kept']} kept"]
        counts += [f"{details['missing']} missing"] if details.get("missing") else []
    else:
        counts = [f"{details['arrived']} of {_count(details['asked'], 'object', 'objects')} arrived"]
    by = f", ordered by {details['by']}," if details.get("by") else ""
    came = ", ".join(translate(count) for count in counts)
    what = f"The {details['job']} {details['job_id']} of {details['node']}"
    return translate(f"{what}{by} ended: {details['status']}, {came}.")


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number:,} {singular if number == 1 else plural}"


def _nothing(_details: JsonDocument, _translate: Translate) -> str:
    return ""


def _over(details: JsonDocument, translate: Translate) -> str:
    lasted = translate(span(details.get("lasted_s", 0)))
    if not details.get("schedule"):
        return translate(f"It was not well for {lasted}.")
    runs = translate(_count(details["failures"], "run", "runs"))
    return translate(f"It was not well for {lasted}, {runs}.")


def _flapping(details: JsonDocument, translate: Translate) -> str:
    often = translate(f"It has become bad {details.get('turns', 0)} times within a short time.")
    quiet = translate(span(details.get("quiet_s", 0)))
    return f"{often} {translate(f'The next message comes when it has been the same for {quiet}.')}"


def _stuck(details: JsonDocument, translate: Translate) -> str:
    return translate(f"It came and went {details.get('turns', 0)} times, and is now the same for long.")


_AFTER: Mapping[Phase, Callable[[JsonDocument, Translate], str]] = {
    Phase.BEGAN: _nothing,
    Phase.GREW: _nothing,
    Phase.ENDED: _nothing,
    Phase.OVER: _over,
    Phase.STEADY: _over,
    Phase.FLAPPING: _flapping,
    Phase.STUCK: _stuck,
}
_TITLES: Mapping[NoticeKind, Callable[[Notice, Translate], str]] = {
    NoticeKind.SCHEDULE: _schedule_title,
    NoticeKind.COVERAGE: _coverage_title,
    NoticeKind.STORE: _store_title,
    NoticeKind.DEAD_LETTERS: _dead_letters_title,
    NoticeKind.NODE: _node_title,
    NoticeKind.JOB: _job_title,
}
_SENTENCES: Mapping[NoticeKind, Callable[[Notice, Translate], str]] = {
    NoticeKind.SCHEDULE: _schedule_sentence,
    NoticeKind.COVERAGE: _coverage_sentence,
    NoticeKind.STORE: _store_sentence,
    NoticeKind.DEAD_LETTERS: _dead_letters_sentence,
    NoticeKind.NODE: _node_sentence,
    NoticeKind.JOB: _job_sentence,
}
