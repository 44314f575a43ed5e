"""What an address of notifications may hold."""

from __future__ import annotations

from typing import get_args

from services.web.language import LANGUAGES
from shared.notifications.definition import KindName, Language, parse_address_input
from shared.notifications.kinds import NoticeKind


def test_an_address_takes_every_kind_of_event():
    # When
    given = parse_address_input({"name": "all", "address": "jsons://host", "kinds": list(NoticeKind)})
    # Then
    assert given.kinds == list(NoticeKind)
    assert get_args(KindName) == tuple(NoticeKind)


def test_messages_may_be_in_the_languages_of_the_page():
    assert get_args(Language) == tuple(LANGUAGES)
