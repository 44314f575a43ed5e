"""The long form: 2,000 studies of all types in an Orthanc and in a dcmqrscp."""

from __future__ import annotations

import pytest

from tests.integration.archives.test_equality import (
    MONTH,
    completed_query,
    dcmqrscp_and_twin_of,
    kept_in,
    orthanc_of,
)
from tests.support.archives.content import slim, studies
from tests.support.jobs.ward import check_against_truth

STUDIES = 2_000
#: Its index holds no more than 500 studies and 10,000 objects for each AE title.
MOST_IN_DCMQRSCP = 400


@pytest.mark.timeout(3600)
def test_an_orthanc_of_two_thousand_studies_leads_to_the_truth(system, make_orthanc):
    # Given
    made = [slim(study) for study in studies(STUDIES, seed=29)]
    orthanc_of(system, make_orthanc, made)
    # When
    query = completed_query(system, "orthanc", MONTH)
    # Then
    assert check_against_truth(query, made, criteria=MONTH) == set()


@pytest.mark.timeout(3600)
def test_dcmqrscps_of_two_thousand_studies_lead_to_what_can_be_known_of_them(
    system, make_dcmqrscp, scripted_pacs
):
    # Given
    made = [slim(study) for study in studies(STUDIES, seed=29)]
    parts = [made[start : start + MOST_IN_DCMQRSCP] for start in range(0, STUDIES, MOST_IN_DCMQRSCP)]
    for number, part in enumerate(parts):
        dcmqrscp_and_twin_of(system, make_dcmqrscp, scripted_pacs, part, number=number)
    system.add_own_store()
    system.start("query")
    for number, part in enumerate(parts):
        # When
        query, twin = (completed_query(system, f"{name}{number}", MONTH) for name in ("dcmqrscp", "twin"))
        # Then
        assert kept_in(query, part) == kept_in(twin, part)
        assert kept_in(query, part)
