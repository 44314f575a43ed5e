"""Made-up archives: deterministic, lazy, and with a known truth."""

from __future__ import annotations

import datetime as dt
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.archive.model import objects_of
from simulator.generator.blueprints import KINDS, expected_objects
from simulator.generator.generated_archive import generate
from tests.support.examples import examples

FIRST, LAST = dt.date(2024, 1, 1), dt.date(2024, 2, 29)
TYPES = ("CT", "MG", "DX", "FL", "NM")


@given(n=st.integers(0, 300), days=st.integers(1, 40), seed=st.integers(0, 99))
@settings(max_examples=examples(25), deadline=None)
def test_archive_holds_the_requested_number_of_studies(n, days, seed):
    # When
    archive = generate(n, seed, FIRST, FIRST + dt.timedelta(days=days - 1))
    studies = list(archive.studies())

    # Then
    assert len(studies) == len(archive) == len({study.study_instance_uid for study in studies}) == n
    assert all(study.date and 0 <= (study.date - FIRST).days < days for study in studies)


def test_same_arguments_make_the_same_archive():
    first, second = (list(generate(50, 3, FIRST, LAST).studies()) for _ in range(2))

    assert [next(iter(objects_of(study))).uid for study in first] == [
        next(iter(objects_of(study))).uid for study in second
    ]
    assert [study.description for study in first] == [study.description for study in second]


def test_other_seed_makes_other_studies():
    uids = [
        {study.study_instance_uid for study in generate(50, seed, FIRST, LAST).studies()} for seed in (1, 2)
    ]

    assert not uids[0] & uids[1]


def test_window_that_moves_on_keeps_the_studies_of_a_day():
    # Given
    day = dt.date(2024, 1, 20)
    today = generate(600, 3, FIRST, LAST)
    tomorrow = generate(600, 3, FIRST + dt.timedelta(days=1), LAST + dt.timedelta(days=1))

    # When
    uids = [
        {study.study_instance_uid: study.kind for study in archive.studies(day, day)}
        for archive in (today, tomorrow)
    ]

    # Then
    common = uids[0].keys() & uids[1].keys()
    assert len(common) >= min(map(len, uids)) > 0
    assert all(uids[0][uid] == uids[1][uid] for uid in common)


def test_days_are_found_without_reading_others():
    # Given
    archive = generate(500, 3, FIRST, LAST)
    first, last = dt.date(2024, 1, 10), dt.date(2024, 1, 12)

    # When
    found = [study.study_instance_uid for study in archive.studies(first, last)]

    # Then
    assert found == [s.study_instance_uid for s in archive.studies() if s.date and first <= s.date <= last]
    assert list(archive.studies(dt.date(2030, 1, 1), None)) == []


def test_every_entity_leads_back_to_its_study():
    archive = generate(40, 3, FIRST, LAST)

    for study in archive.studies():
        series = study.series[0]
        assert archive.study(study.study_instance_uid) is study
        assert archive.study_of_series(series.series_instance_uid) is study
        assert archive.study_of_instance(series.instances[0].sop_instance_uid) is study


@pytest.mark.parametrize("uid", ["", "2.25.1", "1.2.840.10008.1.1", "2.25." + "9" * 30])
def test_unknown_uid_leads_nowhere(uid):
    archive = generate(40, 3, FIRST, LAST)

    assert archive.study(uid) is archive.study_of_series(uid) is archive.study_of_instance(uid) is None


def test_study_has_the_modalities_of_its_series():
    for study in generate(300, 3, FIRST, LAST).studies():
        assert set(study.modalities_in_study) == {series.modality for series in study.series}
        assert len(study.series) == len(list(study.series))


@pytest.mark.parametrize("kind", KINDS)
def test_truth_of_each_kind_names_objects_of_the_study(kind):
    # Given
    study = next(generate(1, 3, FIRST, FIRST, {kind: 1}).studies())
    everything = {match.uid for match in objects_of(study)}

    # Then
    assert expected_objects(study, TYPES, include_sr_only=True, toshiba=True) <= everything
    dropped = {"fl_without_report", "ct_text_only", "ct_toshiba", "mr", "us", "opt"}
    is_kept = kind not in dropped and not kind.startswith("sr_only")
    assert bool(expected_objects(study, TYPES)) is is_kept


def test_truth_of_a_pet_ct_is_by_type():
    study = next(generate(1, 3, FIRST, FIRST, {"petct": 1}).studies())
    content = {
        instance.sop_instance_uid: instance.content
        for series in study.series
        for instance in series.instances
    }

    assert {content[uid] for uid in expected_objects(study, ["CT"])} == {"rdsr_ct"}
    assert {content[uid] for uid in expected_objects(study, ["NM"])} == {"rrdsr", "pet_image"}


@pytest.mark.parametrize(
    ("n", "first", "last", "kinds", "field"),
    [
        (-1, FIRST, LAST, None, "studies"),
        (1, LAST, FIRST, None, "last_date"),
        (1, FIRST, LAST, {"xx": 1}, "kinds"),
        (1, FIRST, LAST, {"mr": 0}, "kinds"),
    ],
)
def test_impossible_archive_is_refused_by_its_field(n, first, last, kinds, field):
    with pytest.raises(ValueError, match=f"^{field}: "):
        generate(n, 1, first, last, kinds)


def test_two_hundred_thousand_studies_stay_small_in_memory():
    # Given
    tracemalloc.start()
    archive = generate(200_000, 3, dt.date(2015, 1, 1), dt.date(2024, 12, 31))

    # When
    received = sum(
        1 for study in archive.studies(dt.date(2020, 1, 1), dt.date(2020, 3, 31)) if len(study.series) > 0
    )
    _now, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # Then
    assert received > 4000
    assert peak_bytes < 30 * 1024 * 1024
