"""The course of a job, and its request in other forms, which all mean the same query."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta

from services.web.views.job.course import copies_of, timeline_of
from shared.broker.port import Message
from shared.contract.criteria import parse_criteria
from shared.contract.messages import RunQuery
from shared.messaging.codec import decode_command
from tests.support.jobs.rows import NOW, a_query, a_retrieve

CRITERIA = {
    "types": ["CT", "MG"],
    "date_from": "2024-04-01",
    "date_until": "2024-04-02",
    "exclude_descriptions": ["knee", "it's"],
    "ignore_known": False,
    "toshiba": True,
}


def test_a_command_line_has_the_options_of_the_command():
    # When
    copies = copies_of("q1", "main pacs", "doseqr", CRITERIA, retrieve=True, address="http://dose/")
    # Then
    assert shlex.split(copies.command_line) == [
        *("doseqr", "query", "--remote", "main pacs", "--store", "doseqr", "--ct", "--mg"),
        *("--from", "2024-04-01", "--until", "2024-04-02", "--exclude", "knee", "--exclude", "it's"),
        *("--toshiba", "--include-known", "--retrieve"),
    ]


def test_a_command_line_of_many_numbers_reads_all_of_them_from_its_input():
    # Given
    numbers = [f"A-{number}" for number in range(30)]
    # When
    copies = copies_of(
        "q1", "pacs", "doseqr", {"types": ["CT"], "accession_numbers": numbers}, retrieve=False, address=""
    )
    # Then
    first, *lines = copies.command_line.splitlines()
    assert first.endswith("--accession-numbers - <<'END'")
    assert lines == [*numbers, "END"]


def test_message_and_request_carry_the_same_command():
    # When
    copies = copies_of("q1", "pacs", "doseqr", CRITERIA, retrieve=False, address="http://dose/")
    message = json.loads(copies.message)
    words = shlex.split(copies.curl.replace("\\\n", ""))
    # Then
    command = RunQuery.model_validate(message["data"])
    assert parse_criteria(command.criteria) == parse_criteria(CRITERIA)
    assert json.loads(words[-1]) == message["data"]
    assert isinstance(decode_command(Message("query", copies.message.encode(), ""))[1], RunQuery)
    assert "http://dose/api/v1/queries" in words


def test_a_timeline_is_in_the_order_of_time():
    # Given
    again = {"command_id": "c", "requested_by": "ben", "at": (NOW + timedelta(minutes=5)).isoformat()}
    job = a_query(
        requested_by="anna",
        started_at=NOW + timedelta(seconds=20),
        ended_at=NOW + timedelta(seconds=440),
        status="cancelled",
        asked_again=[again],
        cancelled_by={"command_id": "c", "cancelled_by": "carl"},
    )
    retrieve = a_retrieve(
        requested_at=NOW + timedelta(hours=1), ended_at=NOW + timedelta(hours=2), asked=4, arrived=3
    )
    # When
    texts = [text for _, text in timeline_of(job, [retrieve])]
    # Then
    assert texts == [
        "Requested by anna",
        "Begun, after waiting 20 s",
        "Continued by ben",
        "Cancelled after 7 min by carl",
        "Retrieve requested",
        "Retrieve completed: 3 of 4 objects arrived",
    ]
