"""Sentences of other packages are found by their English with filled blanks."""

from __future__ import annotations

import re

import pytest
from babel.messages.catalog import Message

from services.web.catalogue import TRANSLATED, Sentences, sentences, translations
from services.web.catalogue import _catalogue as catalogue_of

GERMAN = Sentences(
    {
        "is busy": "ist ausgelastet",
        "%(node)s is busy.": "%(node)s ist ausgelastet.",
        "the node": "der Knoten",
        "takes %(rate)s requests a minute": "nimmt %(rate)s Anfragen je Minute an",
        "%(number)s objects": "%(number)s Objekte",
        "about %(left)s left": "noch etwa %(left)s",
    }
)


def unchanged(value: str) -> str:
    return value


def messages(language: str) -> list[Message]:
    return [message for message in catalogue_of(language) if message.id]


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("is busy", "ist ausgelastet"),
        ("the node is busy.", "der Knoten ist ausgelastet."),
        ("PACS 1 is busy.", "PACS 1 ist ausgelastet."),
        ("takes 30 requests a minute", "nimmt 30 Anfragen je Minute an"),
        ("5 objects; takes 3 requests a minute", "5 Objekte; nimmt 3 Anfragen je Minute an"),
        ("is busy: of its own words", "ist ausgelastet: of its own words"),
        ("many objects", "many objects"),
        ("", ""),
    ],
)
def test_a_sentence_is_found_by_its_blanks(english, german):
    # When
    translated = GERMAN.translate(english, unchanged)

    # Then
    assert translated == german


def test_values_are_written_as_the_language_does():
    # When
    translated = GERMAN.translate("takes 33.9 requests a minute", lambda value: value.replace(".", ","))

    # Then
    assert translated == "nimmt 33,9 Anfragen je Minute an"


def test_english_needs_no_catalogue():
    # When
    found = translations("en").gettext("Jobs")

    # Then
    assert found == "Jobs"


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_is_read_without_being_compiled(language):
    # When
    found = translations(language).gettext("Dose report")

    # Then
    assert found == "Dosisbericht"
    assert sentences(language).translate("The node was removed.", unchanged) == "Der Knoten wurde entfernt."


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_text_of_a_language_is_missing_or_fuzzy(language):
    # When
    lacking = [message.id for message in messages(language) if message.fuzzy or not all(_strings(message))]

    # Then
    assert lacking == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_the_placeholders_of_their_text(language):
    # When
    changed = [
        message.id
        for message in messages(language)
        for text, translation in zip(_ids(message), _strings(message), strict=True)
        if translation and _blanks(text) != _blanks(translation)
    ]

    # Then
    assert changed == []


def _ids(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def _strings(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def _blanks(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)\w|%%", text))
