"""The texts of notifications as shared/notifications/texts.py puts them together, with placeholders."""

from __future__ import annotations

_COUNTED = (
    *(f"%(number)s {noun}" for noun in ("event", "events", "study", "studies", "run", "runs")),
    *(f"%(number)s {noun}" for noun in ("dead letter", "dead letters")),
    *(f"%(number)s {noun} {rest}" for noun in ("study", "studies") for rest in ("kept", "found")),
    "%(number)s kept",
    "%(number)s missing",
    *(f"%(number)s of %(high)s {noun} arrived" for noun in ("object", "objects")),
)
_STATES = (
    "comes and goes",
    "well again",
    "well and steady again",
    "no dose reports any more",
    "more without a report",
    "takes no objects",
    "nearly full",
    "no dead letters any more",
    "left alone, its fuse has blown",
    "without a name",
    "under 1 min",
    "job",
    "test",
    "daily digest",
)
_JOBS = tuple(
    text
    for job in ("query", "retrieve")
    for text in (
        f"{job} of %(name)s",
        f"The {job} %(job_id)s of %(name)s ended: %(status)s, %(counts)s.",
        f"The {job} %(job_id)s of %(name)s, ordered by %(person)s, ended: %(status)s, %(counts)s.",
    )
)
_STATION = "Station %(station)s (%(code)s) of %(name)s"
_SENTENCES = (
    "The recurring query %(schedule)s of %(name)s: its last run is %(status)s (%(counts)s).",
    f"{_STATION} sends dose reports again, or had no study lately.",
    f"{_STATION} has sent no dose report since %(since)s: %(studies)s without one.",
    "The node %(name)s is sent requests again.",
    "Nothing is sent to the node %(name)s for some minutes, and its jobs wait: %(problem)s.",
    "DoseQR's own store takes objects again.",
    "DoseQR's own store has space again.",
    "DoseQR's own store takes no objects: %(problem)s.",
    "DoseQR's own store is nearly full.",
    "Make room before it takes no more objects.",
    "%(number)s MiB are free.",
    "The queue of dead letters is empty again.",
    "%(number)s message could not be handled.",
    "%(number)s messages could not be handled.",
    "Replay or drop them on the page System.",
    "It was not well for %(span)s.",
    "It was not well for %(span)s, %(runs)s.",
    "It has become bad %(number)s times within a short time.",
    "The next message comes when it has been the same for %(span)s.",
    "It came and went %(number)s times, and is now the same for long.",
    "This is a test of the address %(name)s.",
    "Notifications arrive here.",
    "The page is at %(address)s.",
)

NOTICES = (*_COUNTED, *_STATES, *_JOBS, *_SENTENCES)
