"""What a schema says of a command and what the code does with it are the same, both ways."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from shared.broker.port import Message
from shared.contract.criteria import parse_criteria
from shared.contract.messages import EchoNodes, RetryHandover, RunQuery, RunRetrieve
from shared.contract.schemas import schemas
from shared.errors import InvalidInputError
from shared.messaging.codec import decode_command

QUERY: dict[str, Any] = {"remote": "pacs", "store": "doseqr", "criteria": {"types": ["CT"]}}


def envelope(kind: str, **attributes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "a", "source": "/x", "type": kind} | attributes


def a_query(**criteria: Any) -> dict[str, Any]:
    return envelope(RunQuery.TYPE, data=QUERY | {"criteria": criteria})


def with_query(**fields: Any) -> dict[str, Any]:
    return envelope(RunQuery.TYPE, data=QUERY | fields)


def taken_by_code(body: dict[str, Any]) -> bool:
    try:
        _, command = decode_command(Message("any", json.dumps(body).encode(), "a"))
        if isinstance(command, RunQuery):
            parse_criteria(command.criteria)
    except InvalidInputError:
        return False
    return True


CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("echo without data", envelope(EchoNodes.TYPE), True),
    ("hand-over without data", envelope(RetryHandover.TYPE), True),
    ("echo with data_base64", envelope(EchoNodes.TYPE, data_base64="e30="), False),
    ("query without data", envelope(RunQuery.TYPE), False),
    ("retrieve as text", with_query(retrieve="yes"), False),
    ("retrieve as a number", with_query(retrieve=1), False),
    ("remote as a boolean", with_query(remote=True), False),
    ("types in lower case", a_query(types=["ct", " Dx "]), True),
    ("types as text", a_query(types="ct, MG"), True),
    ("types as other text", a_query(types="ct; MG"), False),
    ("an unknown type", a_query(types=["XX"]), False),
    ("no types", a_query(), False),
    ("empty types", a_query(types=[]), False),
    ("blank types", a_query(types=["  "]), False),
    ("types of commas", a_query(types=" , "), False),
    ("reports alone", a_query(include_sr_only=True), True),
    ("reports as a type", a_query(types=["SR"]), True),
    ("a time without zone", a_query(types=["CT"]) | {"time": "2026-01-01T10:00:00"}, True),
    ("a time with zone", a_query(types=["CT"]) | {"time": "2026-01-01T10:00:00+01:00"}, True),
    ("a time as a number", a_query(types=["CT"]) | {"time": 1767261600}, False),
    ("a date for a time", a_query(types=["CT"]) | {"time": "2026-01-01"}, False),
    ("UIDs as text", a_query(types=["CT"], study_instance_uids="1.2, 1.3"), True),
    ("no UIDs as text", a_query(types=["CT"], study_instance_uids="1.2, x"), False),
    ("an accession number with a wildcard", a_query(types=["CT"], accession_numbers=["A*"]), False),
    ("the same as text", a_query(types=["CT"], accession_numbers="A1,B?"), False),
    ("a backslash in an accession number", a_query(types=["CT"], accession_numbers=["A\\B"]), False),
    (
        "a blank time",
        a_query(types=["CT"], date_from="2026-01-01", date_until="2026-01-01", time_from=" "),
        False,
    ),
    ("no accession number", a_query(types=["CT"], accession_numbers=[]), True),
    ("an empty accession number", a_query(types=["CT"], accession_numbers=[""]), False),
    ("an empty one beside another", a_query(types=["CT"], accession_numbers=["", "A1"]), True),
    ("accession numbers of commas", a_query(types=["CT"], accession_numbers=" , "), False),
    ("empty text for UIDs", a_query(types=["CT"], study_instance_uids=""), False),
    ("accession numbers", a_query(types=["CT"], accession_numbers=["A1", " B 2 "]), True),
    ("a control character in a term", a_query(types=["CT"], keep_stations=["a\u0007b"]), False),
    ("the same as text", a_query(types=["CT"], keep_stations="x,a\u0085b"), False),
    ("terms", a_query(types=["CT"], exclude_descriptions="Thorax, Schädel\n"), True),
]


@pytest.mark.parametrize(("body", "taken"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_schema_and_code_take_the_same_commands(body, taken):
    # Given
    validator = jsonschema.Draft202012Validator(schemas()[body["type"]])
    # Then
    assert (validator.is_valid(body), taken_by_code(body)) == (taken, taken)


@pytest.mark.parametrize(("types", "valid"), [(["ct"], True), (["free text"], False), ([""], False)])
def test_the_schema_of_a_retrieve_takes_known_types_alone(types, valid):
    # Given
    validator = jsonschema.Draft202012Validator(schemas()[RunRetrieve.TYPE])
    # Then
    assert validator.is_valid(envelope(RunRetrieve.TYPE, data={"query_id": "q", "types": types})) == valid


FIELDS = [
    (envelope(EchoNodes.TYPE, data={"nodes": [True]}), "data.nodes.0"),
    (envelope(EchoNodes.TYPE, data={"nodes": ["a", {}]}), "data.nodes.1"),
    (with_query(remote=1.5), "data.remote"),
    (with_query(store=None), "data.store"),
    (with_query(priority="high"), "data.priority"),
    (with_query(other=1), "data.other"),
    (envelope(RunRetrieve.TYPE, data={"query_id": "q", "types": [1]}), "data.types.0"),
    (envelope(RetryHandover.TYPE, data={"job_id": "a.b"}), "data.job_id"),
    (envelope(EchoNodes.TYPE, time="soon"), "time"),
    (envelope("doseqr.command.query.v9", data={}), "type"),
]


@pytest.mark.parametrize(("body", "field"), FIELDS, ids=[field for _, field in FIELDS])
def test_a_refused_field_is_named_by_its_path(body, field):
    # When
    with pytest.raises(InvalidInputError) as refused:
        decode_command(Message("any", json.dumps(body).encode(), "a"))
    # Then
    assert refused.value.field == field
