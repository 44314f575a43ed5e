"""Payloads of slices: typed in the program, and in the ledger as versions before have written them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.json_types import JsonObject
from shared.querying.payloads import (
    AccessionSlice,
    SlicePayload,
    StudyListSlice,
    StudySlice,
    WindowSlice,
    read_examination,
    read_slice,
    to_json,
    with_matches,
)
from shared.querying.slices import Slice

DAY = dt.date(2026, 3, 10)
OPEN: JsonObject = {
    "code": None,
    "date_from": None,
    "date_until": None,
    "time_from": None,
    "time_until": None,
}
CT_DAY: JsonObject = OPEN | {"code": "CT", "date_from": "2026-03-10", "date_until": "2026-03-10"}

#: What version 0.1.0 wrote, and what it means.
WRITTEN: list[tuple[JsonObject, SlicePayload]] = [
    (OPEN, WindowSlice()),
    (CT_DAY, WindowSlice(Slice(DAY, DAY, code="CT"))),
    (
        CT_DAY | {"code": "CT\\MG", "time_from": "08:00", "time_until": "09:30"},
        WindowSlice(Slice(DAY, DAY, dt.time(8), dt.time(9, 30), "CT\\MG")),
    ),
    (CT_DAY | {"verifies": 21}, WindowSlice(Slice(DAY, DAY, code="CT"), verifies=21)),
    (CT_DAY | {"again": True}, WindowSlice(Slice(DAY, DAY, code="CT"), again=True)),
    (CT_DAY | {"blind": 2}, WindowSlice(Slice(DAY, DAY, code="CT"), blind=2)),
    (CT_DAY | {"ever": True}, WindowSlice(Slice(DAY, DAY, code="CT"), ever=True)),
    (
        CT_DAY | {"untimed": True, "verifies": 0, "answers": 0},
        WindowSlice(Slice(DAY, DAY, code="CT"), verifies=0, untimed=True, matches=0),
    ),
    ({"study_instance_uid": "1.2.3"}, StudySlice("1.2.3")),
    ({"study_instance_uids": ["1.2.3", "1.2.4"]}, StudyListSlice(("1.2.3", "1.2.4"))),
    ({"accession_number": "A1"}, AccessionSlice("A1")),
]


@pytest.mark.parametrize(("payload", "expected"), WRITTEN)
def test_slices_of_the_version_before_are_read(payload, expected):
    assert read_slice(payload) == expected


@pytest.mark.parametrize(("expected", "part"), WRITTEN)
def test_slices_are_written_with_the_same_keys(expected, part):
    assert to_json(part) == expected


def test_a_single_study_that_was_found_is_still_read():
    assert read_slice({"study_instance_uid": "1.2.3", "answers": 1}) == StudySlice("1.2.3")


def test_examinations_of_the_version_before_are_read():
    assert read_examination({"studies": ["1.2.3", "1.2.4"]}).study_instance_uids == ("1.2.3", "1.2.4")


def test_matches_are_added_to_what_a_payload_holds():
    assert with_matches(CT_DAY | {"verifies": 21}, 7) == CT_DAY | {"verifies": 21, "answers": 7}


@pytest.mark.parametrize(
    ("part", "plain"),
    [
        (WindowSlice(), True),
        (WindowSlice(ever=True, matches=5), True),
        (WindowSlice(verifies=0), False),
        (WindowSlice(again=True), False),
        (WindowSlice(blind=1), False),
        (WindowSlice(untimed=True), False),
    ],
)
def test_a_slice_that_proves_something_is_not_plain(part, plain):
    assert part.is_plain is plain


moments = st.none() | st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
windows = st.builds(
    Slice, st.none() | st.dates(), st.none() | st.dates(), moments, moments, st.none() | st.just("CT\\MG")
)


@given(
    st.builds(
        WindowSlice,
        windows,
        verifies=st.none() | st.integers(0),
        again=st.booleans(),
        blind=st.integers(0, 9),
        ever=st.booleans(),
        untimed=st.booleans(),
        matches=st.none() | st.integers(0),
    )
)
def test_a_window_is_read_as_it_was_written(part):
    assert read_slice(to_json(part)) == part
