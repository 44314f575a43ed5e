"""What comes from outside is a UID, an AE title or a port, or it is refused by name."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shared.errors import InvalidInputError
from shared.identifiers import AeTitle, Port, Uid, parse_ae_title, parse_port, parse_uid


class Node(BaseModel):
    study_instance_uid: Uid
    ae_title: AeTitle
    port: Port


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.1", "1.2.003.04", "0", "1." * 31 + "12"])
def test_numeric_components_make_a_uid(text):
    assert parse_uid("study_instance_uid", text) == text


@pytest.mark.parametrize("padded", ["1.2.3\0", "1.2.3 ", " 1.2.3"])
def test_padding_is_no_part_of_a_uid(padded):
    assert parse_uid("study_instance_uid", padded) == "1.2.3"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "..",
        "1..2",
        ".1",
        "1.",
        "../1",
        "1/2",
        "1\\2",
        "1.2.a",
        "1.2*",
        "1.2\n",
        "1.٣",
        "-1",
        "1" * 65,
    ],
)
def test_what_is_no_uid_is_refused_by_field(text):
    # When
    with pytest.raises(InvalidInputError) as caught:
        parse_uid("studies.0", text)
    # Then
    assert caught.value.field == "studies.0"


@pytest.mark.parametrize("value", [None, 1.2, 12, b"1.2.3", ["1.2"]])
def test_a_uid_is_text(value):
    with pytest.raises(InvalidInputError, match="must be text"):
        parse_uid("study_instance_uid", value)


@given(st.text(max_size=70))
def test_no_uid_leads_outside_its_folder(text):
    # Given
    root = PurePosixPath("/root")
    # When
    try:
        name = Uid(text)
    except InvalidInputError:
        return
    # Then
    path = root / name
    assert path.parent == root
    assert ".." not in path.parts
    assert len(name) <= 64


def test_a_uid_survives_copy_and_pickle():
    uid = Uid("1.2.3")
    assert pickle.loads(pickle.dumps(uid)) == copy.deepcopy(uid) == uid
    assert Uid(uid) is uid
    assert json.dumps(uid) == '"1.2.3"'


@pytest.mark.parametrize("text", ["A", "PACS_1", "ABCDEFGHIJKLMNOP", "a b", "X!~^_"])
def test_printable_characters_make_an_ae_title(text):
    assert parse_ae_title("ae_title", text) == text


def test_ae_titles_are_compared_without_padding():
    assert AeTitle("  PACS  ") == AeTitle("PACS") == "PACS"
    assert AeTitle("ABCDEFGHIJKLMNOP   ") == "ABCDEFGHIJKLMNOP"


@pytest.mark.parametrize("text", ["", "   ", "A" * 17, "A\\B", "A\tB", "A\n", "PÄCS", "A\0", "\x7f"])
def test_what_is_no_ae_title_is_refused_by_field(text):
    with pytest.raises(InvalidInputError) as caught:
        parse_ae_title("remote.ae_title", text)
    assert caught.value.field == "remote.ae_title"


@pytest.mark.parametrize(("value", "port"), [(1, 1), (65535, 65535), ("104", 104), (" 11112 ", 11112)])
def test_a_port_is_a_number_in_range(value, port):
    assert parse_port("port", value) == port


@pytest.mark.parametrize("value", [0, 65536, -1, "0", "x", "", "1.0", 1.0, True, None, "٣", "+80", "1" * 400])
def test_what_is_no_port_is_refused_by_field(value):
    with pytest.raises(InvalidInputError, match="port: must be a whole number from 1 to 65535"):
        parse_port("port", value)


def test_models_validate_with_the_same_rules():
    # When
    node = Node.model_validate({"study_instance_uid": "1.2", "ae_title": " A ", "port": "104"})
    # Then
    assert node.model_dump() == {"study_instance_uid": "1.2", "ae_title": "A", "port": 104}
    assert type(node.ae_title) is AeTitle


@pytest.mark.parametrize(
    ("name", "value"), [("study_instance_uid", "../x"), ("ae_title", "\\"), ("port", 0), ("port", True)]
)
def test_models_refuse_with_the_same_sentences(name, value):
    # Given
    data = {"study_instance_uid": "1.2", "ae_title": "A", "port": 104, name: value}
    # When
    with pytest.raises(ValidationError) as caught:
        Node.model_validate(data)
    # Then
    (problem,) = caught.value.errors()
    assert problem["loc"] == (name,)
    assert problem["msg"].startswith("must ")


def test_models_describe_the_types_in_json_schema():
    properties = Node.model_json_schema()["properties"]
    assert properties["study_instance_uid"]["maxLength"] == 64
    assert properties["ae_title"]["maxLength"] == 16
    assert properties["port"]["maximum"] == 65535
