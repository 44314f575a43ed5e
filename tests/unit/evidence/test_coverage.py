"""Coverage by station: the numbers, and the alerts."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.reasons import TEXTS, Kind, Reason
from shared.evidence import coverage as numbers
from shared.evidence.coverage import (
    Alert,
    AlertKind,
    Source,
    StationCoverage,
    StationStudy,
    by_station,
    monday,
    source_of,
    unordered_days,
)
from tests.support.evidence.oracle import coverage_of

DAY = dt.date(2026, 9, 1)


def a_study(number: int, source: Source, station: str = "CT1", type_name: str = "CT") -> StationStudy:
    """Return the study of a day, counted from DAY."""
    return StationStudy(f"1.{number}", station, type_name, DAY + dt.timedelta(days=number), "120000", source)


def studies_of(text: str, station: str = "CT1", begin: int = 0) -> list[StationStudy]:
    """Return a study a day: R with a report, - without."""
    sources = {"R": Source.REPORT, "-": Source.NONE, "E": Source.ENHANCED_SR, "I": Source.IMAGES}
    return [a_study(begin + number, sources[letter], station) for number, letter in enumerate(text)]


def coverage(studies: list[StationStudy], last_studies: int) -> list[StationCoverage]:
    """Return the coverage from the numbers of the days and, where it matters, the order of a day."""
    days: defaultdict[dt.date, Counter[tuple[str, str, str]]] = defaultdict(Counter)
    for study in studies:
        days[study.day][study.type, study.station, study.source.value] += 1
    stations = by_station(days)
    ordered = sorted(studies, key=lambda study: (study.time, study.study_instance_uid))
    orders = {
        key: [study.source for study in ordered if (study.type, study.station, study.day) == key]
        for key in unordered_days(stations, last_studies)
    }
    return numbers.coverage(stations, orders, last_studies)


def test_each_kept_reason_has_a_source():
    kept = [reason for reason, (kind, _) in TEXTS.items() if kind is Kind.KEEP]
    assert all(source_of(reason) is not Source.NONE for reason in kept)


def test_what_was_known_before_is_where_its_objects_are():
    assert source_of(Reason.KNOWN, Source.REPORT) is Source.REPORT
    assert source_of(Reason.KNOWN) is Source.IMAGES


@pytest.mark.parametrize(
    ("text", "stopped_on", "number"),
    [
        ("RRRRRR-----", 6, 5),
        ("RRRRRREIEI-", 6, 5),
        ("RRRRRR----", None, 0),
        ("RRRRRR----R", None, 0),
        ("R-R-R------", 5, 6),
        ("R--R--R--R-------", None, 0),
        ("-----------", None, 0),
        ("-------", None, 0),
    ],
)
def test_a_station_whose_reports_stopped_raises_an_alert(text, stopped_on, number):
    # When
    (entry,) = coverage(studies_of(text), last_studies=5)
    # Then
    since = None if stopped_on is None else DAY + dt.timedelta(days=stopped_on)
    expected = [] if since is None else [Alert(AlertKind.STOPPED, since, number)]
    assert list(entry.alerts) == expected


def test_a_new_station_beside_older_ones_raises_an_alert():
    # Given
    old, new = studies_of("R" * 30), studies_of("RR", "CT2", begin=20)
    # When
    found = {entry.station: list(entry.alerts) for entry in coverage(old + new, 5)}
    # Then
    assert found == {"CT2": [Alert(AlertKind.NEW, DAY + dt.timedelta(days=20), 2)], "CT1": []}


def test_where_all_is_recent_no_station_is_new():
    found = coverage(studies_of("RRR") + studies_of("RR", "CT2", begin=1), 5)
    assert [list(entry.alerts) for entry in found] == [[], []]


def test_studies_without_a_station_are_never_new():
    found = coverage(studies_of("R" * 30) + studies_of("RR", "", begin=28), 5)
    assert [list(entry.alerts) for entry in found] == [[], []]


studies = st.lists(
    st.builds(
        a_study,
        st.integers(0, 60),
        st.sampled_from(list(Source)),
        st.sampled_from(["CT1", "CT2", ""]),
        st.sampled_from(["CT", "MG"]),
    ),
    max_size=40,
)


@given(studies, st.integers(1, 6))
def test_numbers_of_days_give_what_single_studies_give(given_studies, last_studies):
    # Given: each study has a UID of its own
    single = [
        replace(study, study_instance_uid=f"1.{number}", time=f"{number % 3}")
        for number, study in enumerate(given_studies)
    ]
    # When
    found, expected = coverage(single, last_studies), coverage_of(single, last_studies)
    # Then
    assert {(entry.station, entry.type): entry for entry in found} == {
        (entry.station, entry.type): entry for entry in expected
    }
    assert [bool(entry.alerts) for entry in found] == [bool(entry.alerts) for entry in expected]


@given(studies, st.integers(1, 6))
def test_every_study_is_counted_once_in_its_week(given_studies, last_studies):
    # When
    found = coverage(given_studies, last_studies)
    # Then
    counted = Counter(
        {
            (entry.station, entry.type, week.monday, source): number
            for entry in found
            for week in entry.weeks
            for source, number in week.counts.items()
        }
    )
    assert counted == Counter(
        (study.station, study.type, monday(study.day), study.source) for study in given_studies
    )
    for entry in found:
        own = [study for study in given_studies if (study.station, study.type) == (entry.station, entry.type)]
        assert entry.counts == Counter(study.source for study in own)
        assert entry.first_day == min(study.day for study in own)
        assert entry.last_day == max(study.day for study in own)
