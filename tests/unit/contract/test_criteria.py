"""One validation of criteria for page, command line, HTTP and message."""

from __future__ import annotations

import json
from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contract.criteria import (
    CODES,
    TYPE_ORDER,
    Criteria,
    DateWindow,
    parse_criteria,
    window,
    windows,
)
from shared.contract.criteria_fields import fold, format_time, parse_date, parse_time, split_terms
from shared.errors import InvalidInputError

TODAY = date(2024, 6, 15)


def criteria(**fields: object) -> Criteria:
    return parse_criteria({"types": ["CT"], **fields})


def test_defaults_are_those_of_the_form():
    # When
    plain = criteria().to_json()
    # Then
    assert plain == {
        "types": ["CT"],
        "include_sr_only": False,
        "date_from": None,
        "date_until": None,
        "time_from": None,
        "time_until": None,
        "exclude_descriptions": [],
        "keep_descriptions": [],
        "exclude_stations": [],
        "keep_stations": [],
        "station_at_study_level": False,
        "ignore_known": True,
        "empty_sr": False,
        "toshiba": False,
        "accession_numbers": [],
        "study_instance_uids": [],
    }


def test_codes_are_those_of_the_types():
    assert {name: set(codes) for name, codes in CODES.items()} == {
        "CT": {"CT"},
        "MG": {"MG"},
        "FL": {"RF", "XA"},
        "DX": {"DX", "CR", "PX"},
        "NM": {"NM", "PT"},
        "SR": {"SR"},
    }
    assert TYPE_ORDER == ("MG", "DX", "FL", "CT", "NM", "SR")


@pytest.mark.parametrize(
    ("given_types", "types", "include_sr_only"),
    [
        (["NM", "CT", "MG"], ("CT", "MG", "NM"), False),
        (["CT", "CT"], ("CT",), False),
        ([" ct ", "Dx"], ("CT", "DX"), False),
        ("ct, fl,", ("CT", "FL"), False),
        (["SR"], (), True),
        (["SR", "FL"], ("FL",), True),
    ],
)
def test_types_are_put_in_order(given_types, types, include_sr_only):
    # When
    result = parse_criteria({"types": given_types})
    # Then
    assert (result.types, result.include_sr_only) == (types, include_sr_only)


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        (
            {"accession_numbers": ["A1"], "date_from": "2024-05-01"},
            "accession_numbers",
            "cannot be combined with dates: leave date_from and date_until empty",
        ),
        (
            {"study_instance_uids": ["1.2"], "date_until": "2024-05-01"},
            "study_instance_uids",
            "cannot be combined with dates: leave date_from and date_until empty",
        ),
        (
            {"study_instance_uids": ["1.2"], "accession_numbers": ["A1"]},
            "accession_numbers",
            "cannot be combined with study_instance_uids",
        ),
    ],
)
def test_identifiers_stand_in_place_of_dates(fields, field, problem):
    # When
    with pytest.raises(InvalidInputError) as refused:
        criteria(**fields)
    # Then
    assert (refused.value.field, refused.value.problem) == (field, problem)


def test_sr_only_studies_may_be_all_that_is_requested():
    result = parse_criteria({"include_sr_only": True})
    assert result.types == ()
    assert result.requested_types() == ("SR",)


def test_requested_types_come_in_the_order_of_precedence():
    result = parse_criteria({"types": list(CODES)})
    assert result.requested_types() == TYPE_ORDER


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"types": []}, "types", "at least one of CT, MG, FL, DX, NM, SR"),
        ({"types": [""]}, "types", "at least one"),
        ({"types": ["CT", "US"]}, "types.1", "must be one of CT"),
        ({"types": [7]}, "types.0", "must be one of CT"),
        ({"types": [["CT"]]}, "types.0", "must be one of CT"),
        ({"types": 7}, "types", "must be a list"),
        ({"types": ["SR"], "include_sr_only": False}, "types", "include_sr_only is false"),
        ({"date_from": "2024-02-30"}, "date_from", "no such date"),
        ({"date_until": "2023-02-29"}, "date_until", "no such date"),
        ({"date_from": "20240201"}, "date_from", "yyyy-mm-dd"),
        ({"date_from": "2024-2-1"}, "date_from", "yyyy-mm-dd"),
        ({"date_from": 20240201}, "date_from", "must be text"),
        ({"date_from": datetime(2024, 2, 1)}, "date_from", "must be text"),  # noqa: DTZ001 - no date, whatever its zone
        ({"date_from": "2024-02-02", "date_until": "2024-02-01"}, "date_from", "is after date_until"),
        ({"time_from": "0800"}, "time_from", "needs a single date"),
        ({"time_until": "0800", "date_from": "2024-02-01"}, "time_until", "needs a single date"),
        (
            {"time_until": "0800", "date_from": "2024-02-01", "date_until": "2024-02-02"},
            "time_until",
            "needs a single date",
        ),
        (
            {
                "date_from": "2024-02-01",
                "date_until": "2024-02-01",
                "time_from": "0901",
                "time_until": "0900",
            },
            "time_from",
            "09:01 is after time_until, 09:00",
        ),
        ({"date_from": ""}, "date_from", "must not be empty"),
        ({"date_from": "2024-02-01", "date_until": " "}, "date_until", "must not be empty"),
        ({"time_from": "", "time_until": ""}, "time_from", "must not be empty"),
        ({"date_ranges": [{"date_from": "", "date_until": ""}]}, "date_ranges.0.date_from", "not be empty"),
        ({"accession_numbers": ""}, "accession_numbers", "names no study"),
        ({"accession_numbers": [" ", ""]}, "accession_numbers", "names no study"),
        ({"study_instance_uids": " ,"}, "study_instance_uids", "names no study"),
        ({"time_from": "2400"}, "time_from", "no such time"),
        ({"time_from": "0860"}, "time_from", "no such time"),
        ({"time_from": "8"}, "time_from", "hhmm"),
        ({"time_from": "08:00:30"}, "time_from", "to the minute"),
        ({"exclude_descriptions": ["a", 1]}, "exclude_descriptions", "comma-separated text or a list"),
        ({"exclude_descriptions": ["ok", "a\0b"]}, "exclude_descriptions.1", "control characters"),
        ({"keep_descriptions": "x" * 201}, "keep_descriptions.0", "at most 200 characters"),
        ({"keep_stations": [f"s{n}" for n in range(201)]}, "keep_stations", "at most 200 items"),
        ({"study_instance_uids": ["1.2", "../etc"]}, "study_instance_uids.1", "must be a UID"),
        ({"accession_numbers": ["A*"]}, "accession_numbers.0", "no wildcard"),
        ({"accession_numbers": ["A\\B"]}, "accession_numbers.0", "no backslash"),
        ({"ignore_known": "no"}, "ignore_known", "true or false"),
        ({"toshiba": 1}, "toshiba", "true or false"),
        ({"toshiba": None}, "toshiba", "true or false"),
        ({"date_form": "2024-01-01"}, "date_form", "not a known field"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(fields, field, problem):
    # When
    with pytest.raises(InvalidInputError) as caught:
        criteria(**fields)
    # Then
    assert caught.value.field == field
    assert problem in caught.value.problem


def test_a_field_is_named_below_its_prefix():
    with pytest.raises(InvalidInputError) as caught:
        parse_criteria({"types": []}, prefix="data.criteria")
    assert caught.value.field == "data.criteria.types"


def test_a_hostile_field_name_is_not_repeated_in_full():
    with pytest.raises(InvalidInputError) as caught:
        criteria(**{"x" * 5000: 1})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("data", [None, "CT", ["CT"], 1])
def test_criteria_are_an_object(data):
    with pytest.raises(InvalidInputError, match="must be an object"):
        parse_criteria(data)


def test_a_single_date_takes_times_of_day():
    # When
    result = criteria(date_from="2024-02-01", date_until="2024-02-01", time_from="0800", time_until="08:00")
    # Then
    assert (result.time_from, result.time_until) == (time(8), time(8))


def test_fields_without_a_value_are_not_set():
    result = criteria(
        date_from=None, date_until=None, time_from=None, exclude_descriptions="", accession_numbers=[]
    )
    assert result == criteria()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        (",", ()),
        ("neuro,", ("neuro",)),
        (" Neuro , abdomen ,, ", ("Neuro", "abdomen")),
        ("a,A,b", ("a", "b")),
        (["a,b", "c", ""], ("a", "b", "c")),
    ],
)
def test_terms_are_trimmed_and_empty_ones_ignored(text, terms):
    assert criteria(exclude_descriptions=text).exclude_descriptions == terms == split_terms(text)


def test_identifiers_differ_by_case():
    assert criteria(accession_numbers="A1, a1,A1").accession_numbers == ("A1", "a1")
    assert criteria(study_instance_uids=["1.2", "1.2", "1.3"]).study_instance_uids == ("1.2", "1.3")


@pytest.mark.parametrize(
    ("text", "same"), [("STRASSE", "straße"), ("e\u0301", "\xc9"), (" Dose Info ", "dose info")]
)
def test_folded_texts_compare_whatever_their_case(text, same):
    assert fold(text) == fold(same)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, DateWindow(None, None)),
        ({"date_from": "2024-06-01"}, DateWindow(date(2024, 6, 1), TODAY)),
        ({"date_from": "2024-06-15"}, DateWindow(TODAY, TODAY)),
        ({"date_until": "2024-06-01"}, DateWindow(None, date(2024, 6, 1))),
        (
            {"date_from": "2024-06-01", "date_until": "2024-06-02"},
            DateWindow(date(2024, 6, 1), date(2024, 6, 2)),
        ),
        (
            {"date_from": "2030-01-01", "date_until": "2030-01-01"},
            DateWindow(date(2030, 1, 1), date(2030, 1, 1)),
        ),
    ],
)
def test_open_ends_are_today_and_everything_before(fields, expected):
    assert window(criteria(**fields), TODAY) == expected


def test_a_from_alone_after_today_is_refused():
    with pytest.raises(InvalidInputError, match="date_from: 2024-06-16 is after today"):
        window(criteria(date_from="2024-06-16"), TODAY)


days = st.one_of(st.none(), st.dates())
minutes = st.times().map(lambda t: t.replace(second=0, microsecond=0))
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)


@given(
    types=st.lists(st.sampled_from(list(CODES)), min_size=1),
    bounds=st.one_of(st.tuples(days, st.none()), st.lists(st.dates(), min_size=2, max_size=2).map(sorted)),
    terms=st.lists(texts, max_size=5),
    flags=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_criteria_survive_json(types, bounds, terms, flags):
    # Given
    names = ("station_at_study_level", "ignore_known", "empty_sr", "toshiba")
    fields = dict(zip(names, flags, strict=True)) | {"keep_stations": terms, "exclude_descriptions": terms}
    first = parse_criteria({"types": types, "date_from": bounds[0], "date_until": bounds[1], **fields})
    # When
    again = parse_criteria(json.loads(json.dumps(first.to_json())))
    # Then
    assert again == first


@given(day=st.dates(), start=minutes, end=minutes)
def test_times_survive_json(day, start, end):
    # Given
    start, end = sorted((start, end))
    first = criteria(date_from=day, date_until=day, time_from=start, time_until=end)
    # When / Then
    assert parse_criteria(first.to_json()) == first
    assert first.to_json()["time_from"] == format_time(start)


@given(st.dates())
def test_dates_are_read_as_written(day):
    assert parse_date(day.isoformat()) == day


@given(minutes)
def test_times_are_read_with_and_without_colon(minute):
    assert parse_time(format_time(minute)) == parse_time(format_time(minute).replace(":", "")) == minute


@given(
    st.dictionaries(
        st.sampled_from([*Criteria.model_fields, "x"]), st.one_of(st.text(), st.integers(), st.none())
    )
)
def test_whatever_comes_is_taken_or_refused(data):
    try:
        result = parse_criteria(data)
    except InvalidInputError:
        return
    assert parse_criteria(result.to_json()) == result


def test_criteria_do_not_change():
    with pytest.raises(ValidationError):
        criteria().toshiba = True  # type: ignore[misc]


def test_the_schema_names_every_field():
    schema = Criteria.model_json_schema()
    assert set(schema["properties"]) == set(Criteria.model_fields)
    assert schema["additionalProperties"] is False


RANGES = [
    {"date_from": "2024-05-01", "date_until": "2024-05-03"},
    {"date_from": "2024-05-09", "date_until": "2024-05-09"},
]


def test_parts_of_the_dates_are_windows_newest_first():
    # Given
    given = criteria(date_from="2024-05-01", date_until="2024-05-09", date_ranges=RANGES)
    # When
    parts = windows(given, date(2024, 6, 1))
    # Then
    assert parts == [
        DateWindow(date(2024, 5, 9), date(2024, 5, 9)),
        DateWindow(date(2024, 5, 1), date(2024, 5, 3)),
    ]
    assert parse_criteria(given.to_json()) == given


@pytest.mark.parametrize(
    "wrong",
    [
        {"date_ranges": RANGES},
        {"date_from": "2024-05-02", "date_until": "2024-05-09", "date_ranges": RANGES},
        {"date_from": "2024-05-01", "date_until": "2024-05-08", "date_ranges": RANGES},
        {"date_from": "2024-05-01", "date_until": "2024-05-09", "date_ranges": RANGES[::-1]},
        {"date_from": "2024-05-01", "date_until": "2024-05-09", "date_ranges": [RANGES[0], RANGES[0]]},
        {"date_from": "2024-05-01", "date_until": "2024-05-09", "date_ranges": [{"date_from": "2024-05-01"}]},
    ],
)
def test_parts_that_do_not_lie_in_order_within_the_dates_are_refused(wrong):
    with pytest.raises(InvalidInputError) as refused:
        criteria(**wrong)
    assert refused.value.field.startswith("date_ranges")


def test_criteria_without_parts_are_kept_as_before():
    assert "date_ranges" not in criteria().to_json()
