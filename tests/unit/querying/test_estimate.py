"""What a query will come to: numbers and words, and what is not known of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.criteria import Criteria, parse_criteria
from shared.errors import InvalidInputError
from shared.querying.estimate import WIDE_DAYS, About, Estimate, Past, estimate
from shared.querying.estimate_text import sentence
from shared.querying.initial_tasks import first_tasks
from shared.querying.profile import Profile

TODAY = date(2024, 6, 15)
NEW = Profile()


def criteria(days: int = 10, **fields: Any) -> Criteria:
    first = TODAY - timedelta(days=days - 1)
    dates = {"date_from": first, "date_until": TODAY} if days else {}
    return parse_criteria({"types": ["CT"], **dates, **fields})


def past(**fields: Any) -> Past:
    defaults: dict[str, Any] = {
        "types": ("CT",),
        "days": 10,
        "studies": {"CT": 100},
        "slices": 2,
        "requests": 22,
        "seconds": 11.0,
    }
    return Past(**defaults | fields)


def test_slices_are_those_that_the_query_will_begin_with():
    # Given
    requested = criteria(30, types=["FL", "DX"])
    # When
    known = estimate(requested, TODAY, NEW, [])
    # Then
    assert known.slices == len(first_tasks(requested, TODAY, NEW)) > 5
    assert known.days == 30


def test_without_earlier_queries_only_slices_are_known():
    # When
    known = estimate(criteria(), TODAY, NEW, [])
    # Then
    assert (known.studies, known.requests, known.minutes) == (None, None, None)
    assert sentence(known).endswith("is unknown: no earlier query of this node is complete.")


def test_earlier_queries_estimate_studies_requests_and_time():
    # When
    known = estimate(criteria(20), TODAY, NEW, [past(), past(studies={"CT": 110})]).to_json()
    # Then
    assert known["studies"] is not None
    assert known["requests"] is not None
    assert known["minutes"] is not None
    assert known["slices"] is not None
    assert known["studies"]["low"] < 210 < known["studies"]["high"]
    assert known["requests"]["low"] > known["slices"]
    assert 0.1 < known["minutes"]["low"] < known["minutes"]["high"] < 2
    assert (known["queries"], known["known_days"]) == (2, 20)


def test_studies_of_no_requested_type_are_found_too():
    # When
    known = estimate(criteria(10), TODAY, NEW, [past(studies={"CT": 100, "": 50})])
    # Then
    assert known.studies is not None
    assert known.studies.low < 150 < known.studies.high


def test_a_few_known_days_make_it_less_sure():
    # When
    few = estimate(criteria(), TODAY, NEW, [past(days=1, studies={"CT": 10})]).studies
    many = estimate(criteria(), TODAY, NEW, [past(days=30, studies={"CT": 300})]).studies
    # Then
    assert few is not None
    assert many is not None
    assert few.low < many.low < many.high < few.high


def test_a_type_that_was_not_requested_before_is_reported_as_unknown():
    # When
    partly = estimate(criteria(types=["CT", "MG"]), TODAY, NEW, [past()])
    wholly = estimate(criteria(types=["MG"]), TODAY, NEW, [past()])
    # Then
    assert (partly.unknown_types, wholly.unknown_types) == (("MG",), ("MG",))
    assert "Of MG nothing is known yet" in sentence(partly)
    assert wholly.studies is None
    assert "no query of this node requested MG before" in sentence(wholly)


def test_a_limit_of_requests_a_minute_sets_the_time():
    # When
    known = estimate(criteria(), TODAY, NEW, [past()], requests_per_minute=1)
    # Then
    assert known.minutes is not None
    assert known.requests is not None
    assert known.minutes.low == known.requests.low


def test_the_profile_gives_the_time_where_earlier_queries_do_not():
    # When
    known = estimate(criteria(), TODAY, Profile(request_ms=60_000), [past(seconds=0)])
    # Then
    assert known.minutes is not None
    assert known.minutes.low > 5


@pytest.mark.parametrize(
    ("fields", "slices"),
    [({"accession_numbers": ["A", "B", "C"]}, 3), ({"study_instance_uids": ["1.2", "1.3", "1.4"]}, 3)],
)
def test_named_studies_are_as_many_as_are_named(fields, slices):
    # When
    known = estimate(criteria(0, **fields), TODAY, NEW, [past(days=0)])
    # Then
    assert known.to_json()["studies"] == {"low": 3, "high": 3}
    assert known.slices == len(first_tasks(criteria(0, **fields), TODAY, NEW)) <= slices
    assert known.warning == ""


def test_a_part_of_a_day_brings_at_most_what_the_day_brings():
    # Given
    requested = criteria(1, time_from="0800", time_until="0900")
    # When
    known = estimate(requested, TODAY, NEW, [past()])
    # Then
    assert known.studies is not None
    assert known.studies.low == 0


@pytest.mark.parametrize(
    ("requested", "text"),
    [
        (criteria(WIDE_DAYS), ""),
        (criteria(WIDE_DAYS + 1), "A wide range stresses"),
        (criteria(0), "Without a first day"),
    ],
)
def test_wide_ranges_are_warned_of(requested, text):
    assert estimate(requested, TODAY, NEW, [past()]).warning.startswith(text)
    assert bool(estimate(requested, TODAY, NEW, []).warning) == bool(text)


def test_of_all_dates_no_number_of_studies_is_known():
    # When
    known = estimate(criteria(0), TODAY, NEW, [past()])
    # Then
    assert (known.days, known.studies) == (None, None)
    assert "the whole archive" in sentence(known)


def test_a_range_of_thousands_of_years_is_not_cut_to_be_counted():
    # Given
    requested = parse_criteria({"types": ["CT"], "date_from": "0001-01-01", "date_until": "9999-12-31"})
    # When
    known = estimate(requested, TODAY, Profile(busiest=1000.0), [past()])
    # Then
    assert (known.slices, known.studies is None) == (None, True)
    assert sentence(known).startswith("The range of dates is longer")


def test_criteria_that_begin_after_today_are_refused():
    with pytest.raises(InvalidInputError):
        estimate(parse_criteria({"types": ["CT"], "date_from": "2024-06-16"}), TODAY, NEW, [])


@pytest.mark.parametrize(
    ("low", "high", "duration"),
    [
        (0.1, 0.4, "less than a minute"),
        (0.4, 3.2, "1 to 3 minutes"),
        (2.0, 2.2, "2 minutes"),
        (10, 80, "0.2 to 1.3 hours"),
    ],
)
def test_time_is_written_as_people_do(low, high, duration):
    # Given
    known = estimate(criteria(), TODAY, NEW, [past()])
    # When
    text = sentence(with_minutes(known, low, high))
    # Then
    assert f", {duration} (judged by 1 earlier query)." in text


def test_hours_in_which_the_node_takes_requests_are_named():
    # When
    text = sentence(Estimate(1, 1, hours="18:00-06:00,12:00-13:00", time_zone="Europe/Berlin"))
    # Then
    assert text.endswith("The node takes requests only at 18:00-06:00, 12:00-13:00 (Europe/Berlin).")


_PASTS = st.builds(
    Past,
    types=st.sets(st.sampled_from(["CT", "MG", "SR"])).map(tuple),
    days=st.integers(0, 400),
    studies=st.dictionaries(st.sampled_from(["CT", "MG", "SR", ""]), st.integers(0, 20_000)),
    slices=st.integers(0, 5000),
    requests=st.integers(0, 50_000),
    seconds=st.floats(0, 1e6),
)


@given(st.lists(_PASTS, max_size=5), st.integers(0, 400), st.sampled_from([None, 1, 6000]))
def test_whatever_was_before_it_gives_numbers_and_words(pasts, days, requests_per_minute):
    # When
    known = estimate(criteria(days, types=["CT", "MG", "SR"]), TODAY, NEW, pasts, requests_per_minute)
    # Then
    for about in filter(None, (known.studies, known.requests, known.minutes)):
        assert 0 <= about.low <= about.high
    assert known.to_json()
    assert sentence(known)


def with_minutes(known: Estimate, low: float, high: float) -> Estimate:
    return replace(known, minutes=About(low, high))
