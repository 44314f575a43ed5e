"""Archives that are not ours, filled by the generator: the result is its truth, study by study."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simulator.archive.model import Study
from tests.support.archives.content import files_of, slim, studies
from tests.support.jobs.ward import TYPES, check_against_truth, is_wanted, judged_of, kept_of

#: The generated month, all types, reports alone.
MONTH: dict[str, Any] = {
    "types": TYPES,
    "include_sr_only": True,
    "date_from": "2024-03-01",
    "date_until": "2024-03-30",
}

#: Studies in the normal tests; `make soak` has 2,000.
STUDIES = 80


#: What DCMTK 3.6.7 does not match, and does not return.
SCANT: dict[str, Any] = {
    "modalities_in_study": "absent",
    "not_returned": [
        "IMAGE.SOPClassUID",
        "SeriesDescription",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "NumberOfSeriesRelatedInstances",
    ],
}


def completed_query(system, name: str, criteria: dict[str, Any]) -> dict[str, Any]:
    """Query a node; return the JSON of a query that is complete."""
    query: dict[str, Any] = system.finished_query(criteria, remote=name, timeout_s=900)
    assert (query["status"], query["missing"]) == ("completed", [])
    return query


def orthanc_of(system, make_orthanc, made: Iterable[Study]) -> None:
    """Make an Orthanc with these studies known as `orthanc`."""
    orthanc = make_orthanc("ORTHANC")
    for _, content in files_of(made):
        orthanc.add_bytes(content)
    system.add_remote("orthanc", orthanc.host, orthanc.port, orthanc.ae_title)
    system.add_own_store()
    system.start("query")


def dcmqrscp_and_twin_of(
    system, make_dcmqrscp, scripted_pacs, made: list[Study], *, number: int | str = ""
) -> None:
    """Make a dcmqrscp with these studies known as `dcmqrscp`, and a scripted PACS that returns as little."""
    server, twin = make_dcmqrscp("QRSCP", {}), scripted_pacs(made, **SCANT)
    server.lay_in(files_of(made))
    system.add_remote(f"dcmqrscp{number}", server.host, server.port, server.ae_title)
    system.add_remote(f"twin{number}", twin.host, twin.port, twin.ae_title)


def kept_in(query: dict[str, Any], made: Iterable[Study]) -> dict[str, frozenset[str]]:
    """Return the kept objects of each study that has a requested type."""
    judged = judged_of(query)
    return {
        study.study_instance_uid: kept_of(judged[study.study_instance_uid], study)
        for study in made
        if study.study_instance_uid in judged
    }


def test_an_orthanc_leads_to_the_truth(system, make_orthanc):
    # Given
    made = [slim(study) for study in studies(STUDIES, seed=23)]
    orthanc_of(system, make_orthanc, made)
    for criteria in (MONTH, MONTH | {"toshiba": True}):
        # When
        query = completed_query(system, "orthanc", criteria)
        # Then
        assert check_against_truth(query, made, criteria=criteria) == set()


def test_a_dcmqrscp_leads_to_what_can_be_known_of_it(system, make_dcmqrscp, scripted_pacs):
    # Given: it returns neither the classes of objects nor descriptions of series nor any number
    made = [slim(study) for study in studies(STUDIES, seed=23)]
    dcmqrscp_and_twin_of(system, make_dcmqrscp, scripted_pacs, made)
    system.add_own_store()
    system.start("query")
    for criteria in (MONTH, MONTH | {"empty_sr": True}):
        # When
        query, twin = (completed_query(system, name, criteria) for name in ("dcmqrscp", "twin"))
        # Then
        assert kept_in(query, made) == kept_in(twin, made)
        assert kept_in(query, made).keys() == {
            study.study_instance_uid for study in made if is_wanted(study, MONTH)
        }
