"""Notifications as text for people: counts, names of nodes, ids; no patient data. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contract.json_types import JsonDocument
from shared.notifications.kinds import NoticeKind, Phase

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_MEBIBYTE = 1 << 20
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


def message_of(events: Sequence[Notice], public_url: str, *, digest: bool = False) -> NoticeText:
    """Return the message about some events, the oldest first; one has a title of its own."""
    sentences = [sentence(event) for event in events]
    if len(events) == 1 and not digest:
        return NoticeText(f"DoseQR: {title(events[0])}", _paragraph(events[0], sentences[0], public_url))
    count = "1 event" if len(events) == 1 else f"{len(events)} events"
    named = f"DoseQR: daily digest, {count}" if digest else f"DoseQR: {count}"
    parts = [
        f"{event.at:%Y-%m-%d %H:%M} UTC: {title(event)}\n{_paragraph(event, text, public_url)}"
        for event, text in zip(events, sentences, strict=True)
    ]
    return NoticeText(named, "\n\n".join(parts))


def trial_message(name: str, public_url: str) -> NoticeText:
    """Return the message that tests an address."""
    where = f" The page is at {public_url}." if public_url else ""
    return NoticeText(
        "DoseQR: test", f"This is a test of the address {name}. Notifications arrive here.{where}"
    )


def title(event: Notice) -> str:
    """Return an event in a few words."""
    return _TITLES[event.kind](event)


def sentence(event: Notice) -> str:
    """Return an event in a sentence or two."""
    about = _SENTENCES[event.kind](event)
    extra = _AFTER[event.phase](event.details)
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


def _schedule_title(event: Notice) -> str:
    return f"{event.details['schedule']}: {_STATES.get(event.phase, event.details['status'])}"


def _schedule_sentence(event: Notice) -> str:
    details = event.details
    about = f"The recurring query {details['schedule']} of {details['node']}"
    counts = f"{_count(details.get('kept', 0), 'study', 'studies')} kept"
    if details.get("missing"):
        counts += f", {details['missing']} missing"
    job = f", job {details['job_id']}" if details.get("job_id") else ""
    why = f" {details['detail']}" if details.get("detail") else ""
    return f"{about}: its last run is {details['status']} ({counts}{job}).{why}"


def _coverage_title(event: Notice) -> str:
    details = event.details
    state = {Phase.BEGAN: "no dose reports any more", Phase.STUCK: "no dose reports any more"}
    return f"{_station(details)}: {_STATES.get(event.phase, state.get(event.phase, 'more without a report'))}"


def _coverage_sentence(event: Notice) -> str:
    details = event.details
    about = f"Station {_station(details)} ({details['type']}) of {details['node']}"
    if event.phase in (Phase.OVER, Phase.STEADY):
        return f"{about} sends dose reports again, or had no study lately."
    number = _count(details["studies"], "study", "studies")
    return f"{about} has sent no dose report since {details['since']}: {number} without one."


def _station(details: JsonDocument) -> str:
    return str(details["station"] or "without a name")


def _store_title(event: Notice) -> str:
    fallback = "takes no objects" if event.details.get("refuses") else "nearly full"
    return f"store: {_STATES.get(event.phase, fallback)}"


def _store_sentence(event: Notice) -> str:
    details = event.details
    free = details.get("free_bytes")
    space = f" {free // _MEBIBYTE:,} MiB are free." if isinstance(free, int) else ""
    if event.phase in (Phase.OVER, Phase.STEADY):
        state = "takes objects" if details.get("refuses") else "has space"
        return f"DoseQR's own store {state} again.{space}"
    if details.get("refuses"):
        return f"DoseQR's own store takes no objects: {details.get('problem', '')}.{space}"
    return f"DoseQR's own store is nearly full.{space} Make room before it takes no more objects."


def _dead_letters_title(event: Notice) -> str:
    number = _count(event.details.get("number", 0), "dead letter", "dead letters")
    return {**_STATES, Phase.OVER: "no dead letters any more"}.get(event.phase, number)


def _dead_letters_sentence(event: Notice) -> str:
    if event.phase in (Phase.OVER, Phase.STEADY):
        return "The queue of dead letters is empty again."
    number = _count(event.details.get("number", 0), "message", "messages")
    return f"{number} could not be handled. Replay or drop them on the page System."


def _node_title(event: Notice) -> str:
    return f"{event.details['node']}: {_STATES.get(event.phase, 'left alone, its fuse has blown')}"


def _node_sentence(event: Notice) -> str:
    node = event.details["node"]
    if event.phase in (Phase.OVER, Phase.STEADY):
        return f"The node {node} is sent requests again."
    return (
        f"Nothing is sent to the node {node} for some minutes, and its jobs wait: {event.details['problem']}."
    )


def _job_title(event: Notice) -> str:
    return f"{event.details['job']} of {event.details['node']}: {event.details['status']}"


def _job_sentence(event: Notice) -> str:
    details = event.details
    if details["job"] == "query":
        counts = f"{_count(details['found'], 'study', 'studies')} found, {details['kept']} kept"
        counts += f", {details['missing']} missing" if details.get("missing") else ""
    else:
        counts = f"{details['arrived']} of {_count(details['asked'], 'object', 'objects')} arrived"
    what = f"The {details['job']} {details['job_id']} of {details['node']}"
    by = f", ordered by {details['by']}," if details.get("by") else ""
    return f"{what}{by} ended: {details['status']}, {counts}."


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number:,} {singular if number == 1 else plural}"


def _nothing(_details: JsonDocument) -> str:
    return ""


def _over(details: JsonDocument) -> str:
    runs = f", {_count(details['failures'], 'run', 'runs')}" if details.get("schedule") else ""
    return f"It was not well for {span(details.get('lasted_s', 0))}{runs}."


def _flapping(details: JsonDocument) -> str:
    return (
        f"It has become bad {details.get('turns', 0)} times within a short time. The next message comes "
        f"when it has been the same for {span(details.get('quiet_s', 0))}."
    )


def _stuck(details: JsonDocument) -> str:
    return f"It came and went {details.get('turns', 0)} times, and is now the same for long."


_AFTER: Mapping[Phase, Callable[[JsonDocument], str]] = {
    Phase.BEGAN: _nothing,
    Phase.GREW: _nothing,
    Phase.ENDED: _nothing,
    Phase.OVER: _over,
    Phase.STEADY: _over,
    Phase.FLAPPING: _flapping,
    Phase.STUCK: _stuck,
}
_TITLES: Mapping[NoticeKind, Callable[[Notice], str]] = {
    NoticeKind.SCHEDULE: _schedule_title,
    NoticeKind.COVERAGE: _coverage_title,
    NoticeKind.STORE: _store_title,
    NoticeKind.DEAD_LETTERS: _dead_letters_title,
    NoticeKind.NODE: _node_title,
    NoticeKind.JOB: _job_title,
}
_SENTENCES: Mapping[NoticeKind, Callable[[Notice], str]] = {
    NoticeKind.SCHEDULE: _schedule_sentence,
    NoticeKind.COVERAGE: _coverage_sentence,
    NoticeKind.STORE: _store_sentence,
    NoticeKind.DEAD_LETTERS: _dead_letters_sentence,
    NoticeKind.NODE: _node_sentence,
    NoticeKind.JOB: _job_sentence,
}
