"""Matches are read tolerantly, and pages are believed to be all only once nothing more comes."""

from __future__ import annotations

import json

import pytest

from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import Match, study_match
from shared.dicomweb.qido.pages import PageEnd, Pages, announces_more, is_json, matches_in

UID = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}


def read(match: dict[str, object]):
    return study_match(Match(matches_in(json.dumps([match]).encode())[0]))


def test_a_match_has_the_values_of_its_json():
    # Given
    match = {
        "00080061": {"vr": "CS", "Value": ["CT", "SR"]},
        "00081030": {"vr": "LO", "Value": ["Schädel"]},
        "00201206": {"vr": "IS", "Value": [4]},
        "00201208": {"vr": "IS", "Value": [12.0]},
    }
    # When
    study = read({**UID, **match})
    # Then
    assert study.modalities == ("CT", "SR")
    assert study.description == "Schädel"
    assert (study.series_count, study.instance_count) == (4, 12)


@pytest.mark.parametrize(
    "attribute",
    [
        {"vr": "LO"},
        {"vr": "LO", "Value": []},
        {"vr": "LO", "Value": None},
        {"vr": "LO", "Value": [None]},
        {"vr": "LO", "Value": "text"},
        {"vr": "UR", "BulkDataURI": "https://pacs/bulk/1"},
        {"vr": "LO", "Value": [{"Alphabetic": "x"}]},
        {"vr": "LO", "Value": [True]},
        "text",
        [],
    ],
)
def test_what_is_no_value_counts_as_not_returned(attribute):
    # When
    study = read({**UID, "00081030": attribute})
    # Then
    assert (study.study_instance_uid, study.description) == ("1.2.3", None)


@pytest.mark.parametrize("body", [b"", b"  \n", b"[]"])
def test_an_empty_response_holds_no_match(body):
    assert matches_in(body) == []


@pytest.mark.parametrize("body", [b"{", b"{}", b"<html>", b"\xff", b'{"a": 1}', b"[" * 100_000])
def test_what_is_no_list_of_matches_is_refused(body):
    with pytest.raises(PeerError) as caught:
        matches_in(body)
    assert caught.value.outcome is Outcome.BAD_RESPONSE


@pytest.mark.parametrize("hostile", ["x", 1, None, [], {"zzzzzzzz": {"Value": [1]}}, {"0020000D": 7}])
def test_a_hostile_match_has_no_uid(hostile):
    assert 0x0020000D not in matches_in(json.dumps([hostile]).encode())[0]


def test_a_short_page_is_not_the_last_before_an_empty_one():
    # Given
    pages = Pages()
    # When
    ends = [pages.add(2, ["1.1", "1.2"]), pages.add(1, ["1.3"]), pages.add(0, [])]
    # Then
    assert ends == [PageEnd.GO_ON, PageEnd.GO_ON, PageEnd.COMPLETE]
    assert pages.offset == 3


def test_a_page_that_comes_again_differs_from_one_that_overlaps():
    # Given
    same, overlapping = Pages(), Pages()
    same.add(2, ["1.1", "1.2"])
    overlapping.add(2, ["1.1", "1.2"])
    # When
    ends = same.add(2, ["1.2", "1.1"]), overlapping.add(2, ["1.2", "1.3"])
    # Then
    assert ends == (PageEnd.SAME_AGAIN, PageEnd.OVERLAPS)


def test_a_study_twice_on_one_page_is_no_overlap():
    assert Pages().add(3, ["1.1", "1.1", "1.2"]) is PageEnd.GO_ON


@pytest.mark.parametrize(
    ("status", "warning", "more"),
    [
        (200, "", False),
        (206, "", True),
        (200, '299 pacs "There are 50 additional results that can be requested"', True),
        (200, '299 pacs "The number of results exceeded the maximum supported by the server."', True),
        (200, '299 pacs "The fuzzymatching parameter is not supported."', False),
        (200, '199 pacs "Miscellaneous"', False),
    ],
)
def test_a_server_announces_that_there_is_more(status, warning, more):
    assert announces_more(status, warning) is more


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/dicom+json", True),
        ("application/json; charset=utf-8", True),
        ("", True),
        ("text/html", False),
    ],
)
def test_the_media_type_of_matches_is_known(content_type, expected):
    assert is_json(content_type) is expected
