"""Each reason has a stable code and a sentence."""

from __future__ import annotations

import re

import pytest

from shared.contract.reasons import TEXTS, Reason, kind, sentence


@pytest.mark.parametrize("reason", list(Reason))
def test_each_code_has_a_kind_and_a_sentence(reason):
    # When
    text = sentence(reason)
    # Then
    assert re.fullmatch(r"[a-z][a-z_]{1,62}", reason)
    assert kind(reason) is not None
    assert text[0].isupper() or text[0] == "…"
    assert text.endswith(".")


def test_no_sentence_is_written_twice():
    assert len({text for _, text in TEXTS.values()}) == len(Reason) == len(TEXTS)


def test_a_note_follows_its_reason():
    text = sentence(Reason.RDSR, Reason.DESCRIPTION_NOT_RETURNED)
    assert text.startswith("An X-ray radiation dose report")
    assert text.endswith("The PACS returned no description to filter by.")


def test_blanks_are_filled_and_not_read_again():
    text = sentence(Reason.ASSOCIATION_REJECTED, node="{node}", detail="called AE title not recognised")
    assert text == "{node} rejected the association: called AE title not recognised."


def test_blanks_left_open_do_not_fail():
    assert sentence(Reason.TIMED_OUT) == "The node did not respond in time."
    assert all("…" not in sentence(reason) and "{" not in sentence(reason) for reason in Reason)


def test_a_code_of_a_later_version_is_shown_as_text():
    assert kind("not_yet_invented") is None
    assert sentence("not_yet_invented") == "Not yet invented."
    assert sentence("") == ""
