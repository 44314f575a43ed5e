"""A profile in words: no field is forgotten, and what is not measured is said so."""

from __future__ import annotations

from dataclasses import replace

from shared.querying.profile import Profile
from shared.querying.profile_text import NOT_MEASURED, omitted_fields, profile_entries


def test_every_field_is_shown() -> None:
    assert omitted_fields() == set()
    assert all(line.label and line.meaning.endswith((".", ")")) for line in profile_entries(Profile()))


def test_what_is_not_measured_is_shown_as_such() -> None:
    # When
    fields = profile_entries(Profile())
    # Then
    assert {field.words for field in fields} == {NOT_MEASURED}
    assert {field.to_json()["value"] for field in fields} == {None}


def test_what_a_measurement_did_not_find_is_shown_as_such() -> None:
    # When
    texts = {
        line.name: line.words for line in profile_entries(Profile(measured_at="2024-05-01T12:00:00+00:00"))
    }
    # Then
    assert (texts["cap"], texts["refused_keys"], texts["relational"]) == (
        "none found",
        "none found",
        NOT_MEASURED,
    )


def test_what_is_known_is_described() -> None:
    # Given
    profile = replace(
        Profile(),
        modalities_matched=True,
        relational=False,
        series_list=50,
        image_list=0,
        refused_keys=("STUDY.StationName",),
        cap=100,
        request_ms=12.5,
        busiest=3.5,
    )
    # When
    texts = {line.name: line.words for line in profile_entries(profile) if line.measured}
    # Then
    assert texts == {
        "modalities_matched": "yes",
        "relational": "no",
        "series_list": "up to 50",
        "image_list": "none",
        "refused_keys": "STUDY.StationName",
        "cap": "100 matches",
        "request_ms": "12.5 ms",
        "busiest": "3.5 studies",
    }
