"""Notifications are plain sentences with counts, names and a link."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.notifications.kinds import NoticeKind, Phase
from shared.notifications.texts import Notice, message_of, sentence, span, title

AT = datetime(2024, 11, 5, 6, 30, tzinfo=UTC)
SCHEDULE = {
    "schedule": "Night",
    "schedule_id": 3,
    "node": "pacs",
    "status": "incomplete",
    "detail": "",
    "job_id": "j1",
    "kept": 12,
    "missing": 2,
}
COVERAGE = {
    "node": "pacs",
    "node_id": 1,
    "station": "CT1",
    "type": "CT",
    "since": "2024-11-01",
    "studies": 5,
}
QUERY = {
    "job": "query",
    "job_id": "j2",
    "node": "pacs",
    "status": "completed",
    "found": 1,
    "kept": 1,
    "by": "",
}
RETRIEVE = {**QUERY, "job": "retrieve", "status": "incomplete", "asked": 7, "arrived": 5, "by": "eve"}
LASTED = {"lasted_s": 7500, "failures": 3, "turns": 4, "quiet_s": 7200}


def notice(kind: NoticeKind, phase: Phase, details: dict[str, Any]) -> Notice:
    return Notice(kind, phase, AT, details)


@pytest.mark.parametrize(
    ("kind", "phase", "details", "expected_title", "expected"),
    [
        (
            NoticeKind.SCHEDULE,
            Phase.BEGAN,
            SCHEDULE,
            "Night: incomplete",
            (
                "The recurring query Night of pacs: its last run is incomplete (12 studies kept, 2 missing, "
                "job j1)."
            ),
        ),
        (
            NoticeKind.SCHEDULE,
            Phase.OVER,
            {**SCHEDULE, "status": "completed", "missing": 0, **LASTED},
            "Night: well again",
            (
                "The recurring query Night of pacs: its last run is completed (12 studies kept, job j1). It "
                "was not well for 2 h 5 min, 3 runs."
            ),
        ),
        (
            NoticeKind.SCHEDULE,
            Phase.FLAPPING,
            {**SCHEDULE, "missing": 0, **LASTED},
            "Night: comes and goes",
            (
                "The recurring query Night of pacs: its last run is incomplete (12 studies kept, job j1). "
                "It has become bad 4 times within a short time. The next message comes when it has been the "
                "same for 2 h."
            ),
        ),
        (
            NoticeKind.COVERAGE,
            Phase.BEGAN,
            COVERAGE,
            "CT1: no dose reports any more",
            "Station CT1 (CT) of pacs has sent no dose report since 2024-11-01: 5 studies without one.",
        ),
        (
            NoticeKind.STORE,
            Phase.BEGAN,
            {"problem": "", "free_bytes": 3 << 30},
            "store: nearly full",
            (
                "DoseQR's own store is nearly full. 3,072 MiB are free. Make room before it takes no "
                "more objects."
            ),
        ),
        (
            NoticeKind.NODE,
            Phase.BEGAN,
            {"node": "pacs", "node_id": 1, "problem": "its fuse has blown"},
            "pacs: left alone, its fuse has blown",
            "Nothing is sent to the node pacs for some minutes, and its jobs wait: its fuse has blown.",
        ),
        (
            NoticeKind.DEAD_LETTERS,
            Phase.BEGAN,
            {"number": 1},
            "1 dead letter",
            "1 message could not be handled. Replay or drop them on the page System.",
        ),
        (
            NoticeKind.JOB,
            Phase.ENDED,
            QUERY,
            "query of pacs: completed",
            "The query j2 of pacs ended: completed, 1 study found, 1 kept.",
        ),
        (
            NoticeKind.JOB,
            Phase.ENDED,
            RETRIEVE,
            "retrieve of pacs: incomplete",
            "The retrieve j2 of pacs, ordered by eve, ended: incomplete, 5 of 7 objects arrived.",
        ),
    ],
)
def test_an_event_is_a_title_and_a_sentence(kind, phase, details, expected_title, expected):
    # When
    found = notice(kind, phase, details)
    # Then
    assert (title(found), sentence(found)) == (expected_title, expected)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize(
    ("kind", "details"),
    [
        (NoticeKind.SCHEDULE, SCHEDULE),
        (NoticeKind.COVERAGE, COVERAGE),
        (NoticeKind.STORE, {"problem": "the disk is full", "free_bytes": None}),
        (NoticeKind.DEAD_LETTERS, {"number": 2}),
        (NoticeKind.JOB, QUERY),
    ],
)
def test_every_phase_of_every_kind_has_a_text(kind, phase, details):
    assert sentence(notice(kind, phase, {**details, **LASTED})).endswith(".")


def test_a_single_event_has_its_own_title_and_a_link():
    # When
    message = message_of([notice(NoticeKind.JOB, Phase.ENDED, QUERY)], "https://doseqr.example.org/")
    # Then
    assert message.title == "DoseQR: query of pacs: completed"
    assert message.body.splitlines()[-1] == "https://doseqr.example.org/jobs/j2"


def test_a_digest_lists_its_events_with_their_times():
    # Given
    notices = [notice(NoticeKind.JOB, Phase.ENDED, QUERY), notice(NoticeKind.COVERAGE, Phase.BEGAN, COVERAGE)]
    # When
    message = message_of(notices, "", digest=True)
    # Then
    assert message.title == "DoseQR: daily digest, 2 events"
    assert message.body.count("2024-11-05 06:30 UTC: ") == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "under 1 min"), (60, "1 min"), (7200, "2 h"), (7500, "2 h 5 min"), (100_000, "1 d 3 h")],
)
def test_a_span_has_two_units_at_most(seconds, text):
    assert span(seconds) == text
