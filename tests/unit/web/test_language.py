"""Pages are written in the language that was chosen, or in that of the browser."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.web.language import COOKIE, date_text, shown_day, translated, translated_into, value_text
from shared.notifications.kinds import NoticeKind, Phase
from shared.notifications.texts import message_of, trial_message
from tests.unit.notifications.test_texts import COVERAGE, LASTED, QUERY, RETRIEVE, SCHEDULE, notice


@pytest.mark.parametrize(
    ("accepted", "chosen", "language", "text"),
    [
        ("", "", "en", "Log in"),
        ("de-DE,de;q=0.9,en;q=0.5", "", "de", "Anmelden"),
        ("fr-FR,fr;q=0.9", "", "en", "Log in"),
        ("en-GB,de;q=0.5", "", "en", "Log in"),
        ("de", "en", "en", "Log in"),
        ("en", "de", "de", "Anmelden"),
        ("en", "xx", "en", "Log in"),
    ],
)
def test_a_page_is_written_in_the_language_chosen(site, accepted, chosen, language, text):
    # Given
    visitor = site.person()
    if chosen:
        visitor.client.set_cookie(COOKIE, chosen)

    # When
    page = visitor.get("/login", headers={"Accept-Language": accepted}).text

    # Then
    assert f'<html lang="{language}">' in page
    assert f"<title>{text} " in page


def test_programs_get_english_whatever_they_accept(site):
    # When
    response = site.person().get("/api/v1/jobs", headers={"Accept-Language": "de"}).text

    # Then
    assert "token" in response
    assert "Anmelde" not in response


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("The node was removed.", "Der Knoten wurde entfernt."),
        ("33.9 objects a minute, about 2 min left", "33,9 Objekte je Minute, noch etwa 2 min"),
        (
            "About 1,200 to 1,500 studies, 30 requests, 2 to 3 minutes (judged by 3 earlier queries).",
            (
                "Etwa 1.200 bis 1.500 Untersuchungen, 30 Anfragen, 2 bis 3 Minuten"
                " (geschätzt aus 3 früheren Abfragen)."
            ),
        ),
        (
            "2026-11-20 is after today, 2026-11-03",
            "20.11.2026 liegt nach heute, 03.11.2026",
        ),
        ("there is already a remote node of this name", "es gibt schon einen Quellknoten dieses Namens"),
    ],
)
def test_sentences_of_other_packages_are_translated(site, english, german):
    # When
    with site.app.test_request_context(headers={"Accept-Language": "de"}):
        text = translated(english)

    # Then
    assert text == german


def test_days_are_written_as_the_language_does(site):
    # When
    with site.app.test_request_context(headers={"Accept-Language": "de"}):
        german = [
            shown_day("2026-11-03"),
            date_text(date(2026, 11, 3), "d. MMMM yyyy"),
            value_text("1,234", "de"),
        ]
    english = [shown_day("2026-11-03"), date_text(date(2026, 11, 3), "d MMMM yyyy"), value_text("any", "en")]

    # Then
    assert german == ["03.11.2026", "3. November 2026", "1.234"]
    assert english == ["2026-11-03", "3 November 2026", "any"]


def test_a_notification_is_written_in_german():
    # When
    event = notice(NoticeKind.SCHEDULE, Phase.OVER, {**SCHEDULE, **LASTED})
    message = message_of([event], "", lambda text: translated_into(text, "de"))

    # Then
    assert message.title == "DoseQR: Night: wieder in Ordnung"
    assert message.body == (
        "Die wiederkehrende Abfrage Night von pacs: Ihr letzter Lauf ist unvollständig (12 Untersuchungen "
        "behalten, 2 fehlen, Auftrag j1). Es war 2 h 5 min lang nicht in Ordnung, 3 Läufe."
    )


def test_no_text_of_a_notification_is_left_in_english():
    # Given
    store = {"free_bytes": 5 << 30, "problem": "the disk is full", **LASTED}
    details: list[tuple[NoticeKind, dict[str, Any]]] = [
        (NoticeKind.SCHEDULE, {**SCHEDULE, **LASTED}),
        (NoticeKind.COVERAGE, {**COVERAGE, **LASTED}),
        (NoticeKind.STORE, {**store, "refuses": False}),
        (NoticeKind.STORE, {**store, "refuses": True}),
        (NoticeKind.DEAD_LETTERS, {"number": 2, **LASTED}),
        (NoticeKind.NODE, {"node": "pacs", "problem": "too many", **LASTED}),
        (NoticeKind.JOB, {**QUERY, "missing": 3}),
        (NoticeKind.JOB, RETRIEVE),
    ]
    english: list[str] = []

    def translate(text: str) -> str:
        found = translated_into(text, "de")
        english.extend([text] if found == text and not text.endswith("min") else [])
        return found

    # When
    for kind, about in details:
        for phase in Phase if kind is not NoticeKind.JOB else (Phase.ENDED,):
            event = notice(kind, phase, about)
            message_of([event, event], "", translate, digest=True)
    trial_message("my mail", "https://doseqr.example.org", translate)

    # Then
    assert set(english) <= {"2 h", "2 h 5 min"}
