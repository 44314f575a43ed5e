"""An identifier of a C-FIND becomes a resource and a query of QIDO-RS."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from shared.dicom.query.identifiers import (
    image_identifier,
    relational_series_identifier,
    series_identifier,
    study_identifier,
)
from shared.dicomweb.qido.request import qido_target


def parsed(identifier) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(qido_target(identifier))
    return parts.path, parse_qs(parts.query)


def test_keys_of_studies_are_matched_and_returned():
    # Given
    identifier = study_identifier(study_date="20240101-20240131", modalities_in_study=["CT"])
    # When
    path, query = parsed(identifier)
    # Then
    assert path == "/studies"
    assert query["StudyDate"] == ["20240101-20240131"]
    assert query["ModalitiesInStudy"] == ["CT"]
    assert {"StudyDescription", "NumberOfStudyRelatedSeries"} <= set(query["includefield"])
    assert "StudyTime" not in query


@pytest.mark.parametrize(
    ("identifier", "path", "keys"),
    [
        (series_identifier(["1.2"]), "/studies/1.2/series", {}),
        (series_identifier(["1.2", "1.3"]), "/series", {"StudyInstanceUID": ["1.2,1.3"]}),
        (image_identifier(["1.2"], ["1.4"]), "/studies/1.2/series/1.4/instances", {}),
        (
            image_identifier(["1.2", "1.3"], ["1.4", "1.5"]),
            "/instances",
            {"StudyInstanceUID": ["1.2,1.3"], "SeriesInstanceUID": ["1.4,1.5"]},
        ),
        (
            image_identifier(["1.2"], ["1.4", "1.5"]),
            "/studies/1.2/instances",
            {"SeriesInstanceUID": ["1.4,1.5"]},
        ),
        (relational_series_identifier("20240101"), "/series", {"StudyDate": ["20240101"]}),
    ],
)
def test_a_single_parent_stands_in_the_path(identifier, path, keys):
    # When
    found, query = parsed(identifier)
    # Then
    assert found == path
    assert {name: value for name, value in query.items() if name != "includefield"} == keys


def test_text_is_escaped():
    # When
    target = qido_target(study_identifier(accession_number="A&b=ä ?#"))
    # Then
    assert "AccessionNumber=A%26b%3D%C3%A4%20%3F%23&" in target


@pytest.mark.parametrize(("separator", "codes"), [("\\", "CT\\MG"), (",", "CT,MG")])
def test_codes_of_a_list_are_separated_as_the_server_takes_them(separator, codes):
    # Given
    identifier = study_identifier(modalities_in_study=["CT", "MG"], study_instance_uids=["1.2", "1.3"])
    # When
    query = parse_qs(urlsplit(qido_target(identifier, separator)).query)
    # Then
    assert query["ModalitiesInStudy"] == [codes]
    assert query["StudyInstanceUID"] == ["1.2,1.3"]
