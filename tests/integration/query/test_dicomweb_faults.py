"""The query service against DICOMweb servers that misbehave: everything is found, or named as missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from shared.broker.memory.broker import MemoryBroker
from tests.integration.query.test_query import CT
from tests.support.archives.dicomweb_server import WebFaults
from tests.support.peers.studies import ct_study

#: Seconds for a response, and for which a busy server is waited for.
TIMEOUT_S, PATIENCE_S = 4.0, 2.0


class Outcomes(NamedTuple):
    """How a query ended: its status, whether all studies were kept, and the errors of what is missing."""

    status: str
    all_kept: bool
    errors: set[str | None]


@pytest.fixture
def outcomes_of(make_system, test_settings, sqlite_database, dicomweb_server):
    """Return how queries end at servers with these faults, all of them at the same time."""
    settings = test_settings.model_copy(
        update={"dimse_timeout": TIMEOUT_S, "retry_pauses": (0.05, 0.05), "patience": PATIENCE_S}
    )
    broker = MemoryBroker()
    broker.declare()
    system = make_system(broker, sqlite_database, settings)

    def run(rows: Mapping[str, WebFaults]) -> dict[str, Outcomes]:
        uids, jobs = {}, {}
        system.add_own_store()
        for number, (name, faults) in enumerate(rows.items()):
            # All in one minute: no smaller window could hide a fault.
            studies = [ct_study(images=1, time=dt.time(9, 30, second)) for second in range(4)]
            uids[name] = {study.study_instance_uid for study in studies}
            system.add_dicomweb(f"web{number}", dicomweb_server(studies, faults).url)
        system.start("query")
        for number, name in enumerate(rows):
            jobs[name] = system.query(CT, remote=f"web{number}")
        for job_id in jobs.values():
            system.wait_for_end(job_id)
        queries = {name: system.query_json(job_id) for name, job_id in jobs.items()}
        return {
            name: Outcomes(
                query["status"], kept(query) == uids[name], {row["error"] for row in query["missing"]}
            )
            for name, query in queries.items()
        }

    return run


def kept(query: dict[str, Any]) -> set[str]:
    return {study["study_instance_uid"] for study in query["studies"] if study["decision"] == "keep"}


#: Faults in spite of which everything is found.
MENDED = {
    "none": WebFaults(),
    "silent limit": WebFaults(most_per_page=3),
    "short pages": WebFaults(most_per_page=1),
    "206": WebFaults(most_per_page=3, more_status=206),
    "Warning 299": WebFaults(most_per_page=3, more_headers={"Warning": '299 pacs "There are more"'}),
    "offset ignored": WebFaults(heeds_offset=False),
    "offset refused": WebFaults(refuses_offset=True),
    "limit refused": WebFaults(refuses_limits_above=100),
    "limit ignored": WebFaults(heeds_limit=False),
    "429 once": WebFaults(429, strikes=1, headers={"Retry-After": "1"}),
    "503 once": WebFaults(503, strikes=1, headers={"Retry-After": "1"}),
    "500 once": WebFaults(500, strikes=1),
    "400 for one key": WebFaults(refused_keys=frozenset({"NumberOfStudyRelatedInstances"})),
    "422 for one key": WebFaults(refused_keys=frozenset({"StudyDescription"}), refusal_status=422),
    "500 for one key": WebFaults(refused_keys=frozenset({"StudyDescription"}), refusal_status=500),
    "a study twice": WebFaults(double=True),
    "bulk data": WebFaults(as_bulk_data=frozenset({"StudyDescription", "ModalitiesInStudy"})),
    "includefield ignored": WebFaults(heeds_includefield=False),
    "cut once": WebFaults("cut", strikes=1),
    "chunked": WebFaults("chunked"),
    "chunked and cut once": WebFaults("chunked and cut", strikes=1),
    "closed once": WebFaults("cut at once", strikes=1),
    "truncated once": WebFaults("truncated", strikes=1),
    "slow drip": WebFaults("drip"),
    "gzip": WebFaults("gzip"),
    "series cut once": WebFaults("cut", ("series",), strikes=1),
    "objects closed once": WebFaults("cut at once", ("instances",), strikes=1),
}


def test_queries_find_everything_in_spite_of_faults(outcomes_of):
    # When
    outcomes = outcomes_of(MENDED)
    # Then
    assert {name: end for name, end in outcomes.items() if end != ("completed", True, set())} == {}


#: Faults that hide something, and the error that names it.
NAMED = {
    "503 for ever": (WebFaults(503, headers={"Retry-After": "1"}), "answered_with_status"),
    "401": (WebFaults(401), "authentication_failed"),
    "403": (WebFaults(403), "access_denied"),
    "404": (WebFaults(404), "not_found"),
    "500": (WebFaults(500), "status_c000"),
    "413": (WebFaults(413), "http_413"),
    "html": (WebFaults("html"), "no_web_service_there"),
    "redirect": (WebFaults(302, headers={"Location": "http://127.0.0.1:1/"}), "no_web_service_there"),
    "truncated": (WebFaults("truncated"), "answer_not_understood"),
    "cut": (WebFaults("cut"), "aborted"),
    "chunked and cut": (WebFaults("chunked and cut"), "aborted"),
    "no Study Instance UID": (
        WebFaults(left_out_once=frozenset({"StudyInstanceUID"})),
        "answer_not_understood",
    ),
    "UIDs as bulk data": (
        WebFaults(as_bulk_data=frozenset({"StudyInstanceUID"})),
        "answer_not_understood",
    ),
    "offset ignored, silent limit, 206": (
        WebFaults(most_per_page=3, heeds_offset=False, more_status=206),
        "http_206",
    ),
}


def test_queries_name_as_missing_what_faults_hide(outcomes_of):
    # When
    outcomes = outcomes_of({name: faults for name, (faults, _error) in NAMED.items()})
    # Then
    assert [name for name, end in outcomes.items() if end.status not in ("incomplete", "failed")] == []
    assert {name: end.errors for name, end in outcomes.items()} == {
        name: {error} for name, (_faults, error) in NAMED.items()
    }
