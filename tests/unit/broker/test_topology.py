from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.topology import QUEUES, Names, topic_matches

words = st.sampled_from(["a", "b", "cc"])
routing_keys = st.lists(words, min_size=1, max_size=6).map(".".join)
binding_keys = st.lists(st.one_of(words, st.sampled_from(["*", "#"])), min_size=1, max_size=5).map(".".join)


@pytest.mark.parametrize(
    ("binding_key", "routing_key", "matches"),
    [
        ("echo", "echo", True),
        ("echo", "echo.more", False),
        ("query.*", "query.completed", True),
        ("query.*", "query", False),
        ("query.*", "query.study.found", False),
        ("query.#", "query", True),
        ("query.#", "query.study.found", True),
        ("#", "anything.at.all", True),
        ("#.found", "found", True),
        ("*.study.#", "query.study", True),
        ("#.a.#", "b.b.a.b", True),
        ("task", "tasks", False),
    ],
)
def test_topic_keys_match_as_in_amqp(binding_key, routing_key, matches):
    # When / Then
    assert topic_matches(binding_key, routing_key) is matches


@given(routing_keys)
def test_key_without_wildcards_matches_exactly_itself(key):
    # When / Then
    assert topic_matches(key, key)
    assert not topic_matches(key, f"{key}.x")


@given(routing_keys)
def test_hash_matches_everything_and_star_one_word(key):
    # When / Then
    assert topic_matches("#", key)
    assert topic_matches(".".join("*" for _ in key.split(".")), key)


@given(binding_keys, routing_keys)
def test_matching_agrees_with_a_regular_expression(binding_key, routing_key):
    # Given: each word followed by a dot, so that "#" is any number of such words
    parts = {"*": r"[^.]+\.", "#": r"(?:[^.]+\.)*"}
    pattern = "".join(parts.get(word, re.escape(word) + r"\.") for word in binding_key.split("."))
    # When
    expected = re.fullmatch(pattern, f"{routing_key}.") is not None
    # Then
    assert topic_matches(binding_key, routing_key) is expected


def test_two_prefixes_share_no_name():
    # Given
    first, second = Names("doseqr"), Names("other")
    # When
    of_first = {
        first.commands,
        first.events,
        first.dead_letters,
        *(first.queue(spec.name) for spec in QUEUES),
    }
    of_second = {second.commands, second.events, second.dead_letters, *(second.queue(s.name) for s in QUEUES)}
    # Then
    assert not of_first & of_second
