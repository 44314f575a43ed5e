"""The long form: 2,000 studies of all types in an Orthanc and in a dcmqrscp."""

from __future__ import annotations

import pytest

from tests.integration.archives.test_equality import (
    MONTH,
    asked,
    dcmqrscp_and_twin_of,
    kept_in,
    orthanc_of,
)
from tests.support.archives import slim, studies
from tests.support.ward import check_against_truth

STUDIES = 2_000


@pytest.mark.timeout(3600)
def test_an_orthanc_of_two_thousand_studies_leads_to_the_truth(system, make_orthanc):
    # Given
    made = [slim(one) for one in studies(STUDIES, seed=29)]
    orthanc_of(system, make_orthanc, made)
    # When
    query = asked(system, "orthanc", MONTH)
    # Then
    assert check_against_truth(query, made, criteria=MONTH) == set()


@pytest.mark.timeout(3600)
def test_a_dcmqrscp_of_two_thousand_studies_leads_to_what_can_be_known_of_it(
    system, make_dcmqrscp, scripted_pacs
):
    # Given
    made = [slim(one) for one in studies(STUDIES, seed=29)]
    dcmqrscp_and_twin_of(system, make_dcmqrscp, scripted_pacs, made)
    # When
    query, twin = (asked(system, name, MONTH) for name in ("dcmqrscp", "twin"))
    # Then
    assert kept_in(query, made) == kept_in(twin, made)
