"""The query service against DICOMweb servers that misbehave: everything is found, or named as missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.database.models import NodeProfile
from shared.node_profiles.ledger import change_profile
from shared.nodes.peers import peer_of
from simulator.archive.model import Study
from simulator.dicomweb.behaviour import WebBehaviour
from tests.integration.query.test_query import CT
from tests.support.archives.dicomweb_server import web_fault
from tests.support.peers.studies import DAY, ct_study, days_of, mr_study
from tests.support.ports import free_port
from tests.support.services.outages import away_tries, shorten_outages, wait_for_a_minute_away
from tests.support.waiting import wait_until

#: Seconds for a response, and for which a busy server is waited for.
TIMEOUT_S, PATIENCE_S = 4.0, 2.0


class Outcomes(NamedTuple):
    """How a query ended: its status, whether all studies were kept, and the errors of what is missing."""

    status: str
    all_kept: bool
    errors: set[str | None]


class Server(NamedTuple):
    """A server with studies and traits, and what its profile already holds."""

    studies: Sequence[Study]
    behaviour: WebBehaviour
    known: Mapping[str, Any] = MappingProxyType({})


@pytest.fixture
def queries_of(make_system, test_settings, sqlite_database, dicomweb_server):
    """Return queries of servers as JSON, all servers at the same time, each so many times in a row."""
    settings = test_settings.model_copy(
        update={"dimse_timeout": TIMEOUT_S, "retry_pauses": (0.05, 0.05), "patience": PATIENCE_S}
    )
    broker = MemoryBroker()
    broker.declare()
    system = make_system(broker, sqlite_database, settings)

    def run(
        servers: Mapping[str, Server], criteria: dict[str, Any] = CT, times: int = 1
    ) -> dict[str, list[dict[str, Any]]]:
        system.add_own_store()
        nodes = {name: f"web{number}" for number, name in enumerate(servers)}
        for name, server in servers.items():
            node = system.add_dicomweb(nodes[name], dicomweb_server(server.studies, server.behaviour).url)
            learn = partial(replace, **server.known)
            with system.database.write() as session:
                change_profile(session, node.id, peer_of(node, settings), learn, utc_now())
        system.start("query")
        queries: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
        for _ in range(times):
            jobs = {name: system.query(criteria, remote=nodes[name]) for name in servers}
            for name, job_id in jobs.items():
                system.wait_for_end(job_id)
                queries[name].append(system.query_json(job_id))
        return queries

    return run


@pytest.fixture
def outcomes_of(queries_of):
    """Return how queries end at servers with these faults, all of them at the same time."""

    def run(rows: Mapping[str, WebBehaviour]) -> dict[str, Outcomes]:
        # All in one minute: no smaller window could hide a fault.
        servers = {
            name: Server([ct_study(images=1, time=dt.time(9, 30, second)) for second in range(4)], behaviour)
            for name, behaviour in rows.items()
        }
        return {
            name: Outcomes(
                query["status"],
                kept(query) == {study.study_instance_uid for study in servers[name].studies},
                {row["error"] for row in query["missing"]},
            )
            for name, (query,) in queries_of(servers).items()
        }

    return run


def kept(query: dict[str, Any]) -> set[str]:
    return {study["study_instance_uid"] for study in query["studies"] if study["decision"] == "keep"}


#: Faults in spite of which everything is found.
MENDED = {
    "none": WebBehaviour(),
    "silent limit": WebBehaviour(page_maximum=3),
    "short pages": WebBehaviour(page_maximum=1),
    "206": WebBehaviour(page_maximum=3, more="partial_content"),
    "Warning 299": WebBehaviour(page_maximum=3, more="warning"),
    "offset ignored": WebBehaviour(offset="ignored"),
    "offset refused": WebBehaviour(offset="refused"),
    "limit refused": WebBehaviour(limit_maximum=100),
    "limit ignored": WebBehaviour(limit="ignored"),
    "429 once": web_fault(429, times=1, headers={"Retry-After": "1"}),
    "503 once": web_fault(503, times=1, headers={"Retry-After": "1"}),
    "500 once": web_fault(500, times=1),
    "400 for one key": WebBehaviour(refused_keys=frozenset({"NumberOfStudyRelatedInstances"})),
    "422 for one key": WebBehaviour(refused_keys=frozenset({"StudyDescription"}), refusal_status=422),
    "400 for Study Time": WebBehaviour(refused_keys=frozenset({"StudyTime"}), page_maximum=3),
    "400 for times": WebBehaviour(refused_values=frozenset({"StudyTime"}), page_maximum=3),
    "times ignored": WebBehaviour(not_matched=frozenset({"StudyTime"}), page_maximum=3),
    "400 for ranges": WebBehaviour(refused_ranges=frozenset({"StudyDate", "StudyTime"}), page_maximum=3),
    "500 for one key": WebBehaviour(refused_keys=frozenset({"StudyDescription"}), refusal_status=500),
    "a study twice": WebBehaviour(twice=True),
    "bulk data": WebBehaviour(as_bulk_data=frozenset({"StudyDescription", "ModalitiesInStudy"})),
    "includefield ignored": WebBehaviour(includefield="ignored"),
    "cut once": web_fault("cut", times=1),
    "chunked": web_fault("chunked"),
    "chunked and cut once": web_fault("chunked_and_cut", times=1),
    "closed once": web_fault("cut_at_once", times=1),
    "truncated once": web_fault("truncated", times=1),
    "slow drip": web_fault("drip"),
    "gzip": web_fault("gzip"),
    "series cut once": web_fault("cut", "series", times=1),
    "objects closed once": web_fault("cut_at_once", "instances", times=1),
}


def test_queries_find_everything_in_spite_of_faults(outcomes_of):
    # When
    outcomes = outcomes_of(MENDED)
    # Then
    assert {name: end for name, end in outcomes.items() if end != ("completed", True, set())} == {}


#: Faults that hide something, and the error that names it.
NAMED = {
    "503 for ever": (web_fault(503, headers={"Retry-After": "1"}), "http_503"),
    "401": (web_fault(401), "authentication_failed"),
    "403": (web_fault(403), "access_denied"),
    "404": (web_fault(404), "not_found"),
    "500": (web_fault(500), "http_500"),
    "413": (web_fault(413), "http_413"),
    "html": (web_fault("html"), "no_web_service_there"),
    "redirect": (web_fault(302, headers={"Location": "http://127.0.0.1:1/"}), "no_web_service_there"),
    "truncated": (web_fault("truncated"), "answer_not_understood"),
    "cut": (web_fault("cut"), "aborted"),
    "chunked and cut": (web_fault("chunked_and_cut"), "aborted"),
    "no Study Instance UID": (
        WebBehaviour(not_returned_once=frozenset({"StudyInstanceUID"})),
        "answer_not_understood",
    ),
    "UIDs as bulk data": (
        WebBehaviour(as_bulk_data=frozenset({"StudyInstanceUID"})),
        "answer_not_understood",
    ),
    "offset ignored, silent limit, 206": (
        WebBehaviour(page_maximum=3, offset="ignored", more="partial_content"),
        "http_206",
    ),
}


def test_queries_name_as_missing_what_faults_hide(outcomes_of):
    # When
    outcomes = outcomes_of({name: behaviour for name, (behaviour, _error) in NAMED.items()})
    # Then
    assert [name for name, end in outcomes.items() if end.status not in ("incomplete", "failed")] == []
    assert {name: end.errors for name, end in outcomes.items()} == {
        name: {error} for name, (_behaviour, error) in NAMED.items()
    }


def test_a_server_that_goes_away_in_mid_query_is_waited_for(system, dicomweb_server, monkeypatch):
    # Given: each search for series takes a while, and no list of studies saves any
    studies = [ct_study(images=1, time=dt.time(9, 30, second)) for second in range(12)]
    slow = web_fault("delay", "series", delay_s=0.1)
    server = dicomweb_server(studies, slow, port=free_port())
    node = system.add_dicomweb("pacs", server.url)
    shorten_outages(monkeypatch)
    system.add_own_store()
    system.start("query")
    job_id = system.query(CT)
    wait_until(lambda: server.witness.of("qido", "STUDY"))
    # When
    server.stop()
    wait_for_a_minute_away(system, node.id)
    wait_until(lambda: "does not take connections" in system.query_json(job_id)["note"])
    waiting = system.query_json(job_id)
    server.start()
    system.wait_for_end(job_id)
    # Then
    query = system.query_json(job_id)
    assert waiting["status"] == "running"
    assert waiting["next_try_at"] is not None
    assert (query["status"], query["missing"], query["note"]) == ("completed", [], "")
    assert kept(query) == {study.study_instance_uid for study in studies}
    assert away_tries(system, node.id) == 0


def test_pages_that_end_early_for_a_modality_hide_nothing(system, dicomweb_server):
    """As Orthanc 1.10 does: behind an offset it returns all studies of a day, and none of a modality."""
    # Given
    last = DAY + dt.timedelta(days=5)
    studies = [*days_of(80, DAY, last, ct_study), *days_of(40, DAY, last, mr_study)]
    behaviour = WebBehaviour(page_maximum=18, offset="empty_by_modality")
    system.add_dicomweb("pacs", dicomweb_server(studies, behaviour).url)
    system.add_own_store()
    system.start("query")
    criteria = CT | {"date_from": str(DAY), "date_until": str(last)}
    wanted = {study.study_instance_uid for study in studies if "CT" in study.modalities_in_study}
    ends = []
    # When: searched by modality, without, and by modality again
    for matched in (True, False, True):
        with system.database.write() as session:
            for row in session.scalars(select(NodeProfile)):
                row.data = row.data | {"modalities_matched": matched, "code_list": None}
        ends.append(system.finished_query(criteria))
    # Then
    assert [(query["status"], kept(query) == wanted) for query in ends] == [("completed", True)] * 3


_TIME = frozenset({"StudyTime"})


def busy(**traits: Any) -> WebBehaviour:
    """Return a server whose pages hold less than a day."""
    return WebBehaviour(**{"limit_maximum": 200, "page_maximum": 5} | traits)


#: Servers whose days cannot be cut by time, with their CT studies on three days and how a query of them ends.
WHOLE_DAYS = {
    "some studies without a time": (busy(), 42, "completed"),
    "times refused": (busy(refused_keys=_TIME), 42, "completed"),
    "times refused, less than a page": (busy(refused_keys=_TIME), 12, "completed"),
    "values of times refused": (busy(refused_values=_TIME), 42, "completed"),
    "times ignored, not returned": (busy(not_matched=_TIME, not_returned=_TIME), 42, "completed"),
    "ranges refused": (busy(refused_ranges=frozenset({"StudyDate", "StudyTime"})), 42, "completed"),
    "modalities not returned": (
        busy(refused_values=_TIME, not_returned=frozenset({"ModalitiesInStudy"})),
        42,
        "completed",
    ),
    "everything twice": (busy(refused_values=_TIME, twice=True, page_maximum=6), 42, "completed"),
    "days full pages": (busy(refused_values=_TIME), 15, "completed"),
    "pages end early for a modality": (
        busy(refused_values=_TIME, offset="empty_by_modality"),
        42,
        "incomplete",
    ),
    "silent limit": (busy(refused_values=_TIME, total_maximum=10), 42, "incomplete"),
    "silent limit, modalities ignored": (
        busy(refused_values=_TIME, total_maximum=10, not_matched=frozenset({"ModalitiesInStudy"})),
        42,
        "incomplete",
    ),
    "offset ignored": (busy(refused_values=_TIME, offset="ignored"), 42, "incomplete"),
}


def test_days_that_times_do_not_cut_are_proven_as_a_whole(queries_of):
    """As Azure Health Data Services: its pages hold 200 studies, and Study Time is no key."""
    # Given
    last = DAY + dt.timedelta(days=2)
    untimed = partial(ct_study, time=None)
    wanted = {
        name: [*days_of(number - 3, DAY, last, ct_study), *days_of(3, DAY, last, untimed)]
        for name, (_, number, _) in WHOLE_DAYS.items()
    }
    uids = {name: {study.study_instance_uid for study in studies} for name, studies in wanted.items()}
    servers = {
        name: Server(
            [*wanted[name], *days_of(9, DAY, last, mr_study)],
            behaviour,
            # It is not known of this server that it does not match on modalities as it should.
            {"modalities_matched": True} if behaviour.offset == "empty_by_modality" else {},
        )
        for name, (behaviour, _, _) in WHOLE_DAYS.items()
    }
    # When: twice, as the second query knows more
    queries = queries_of(servers, CT | {"date_from": str(DAY), "date_until": str(last)}, times=2)
    # Then
    expected = {name: [status] * 2 for name, (_, _, status) in WHOLE_DAYS.items()}
    assert {name: [query["status"] for query in ends] for name, ends in queries.items()} == expected
    found = {name: [kept(query) == uids[name] for query in ends] for name, ends in queries.items()}
    in_part = {"silent limit", "silent limit, modalities ignored", "offset ignored"}
    assert found == {name: [name not in in_part] * 2 for name in WHOLE_DAYS}
    errors = {row["error"] for ends in queries.values() for query in ends for row in query["missing"]}
    assert errors == {"answers_capped"}


@pytest.mark.parametrize(
    ("seconds", "status", "errors"),
    [(60, "completed", set()), (1, "incomplete", {"answers_capped"})],
    ids=["in several seconds", "in one second"],
)
def test_pages_of_one_minute_are_not_believed_to_be_all(system, dicomweb_server, seconds, status, errors):
    """A window of one minute cannot be split, and its first page is all that comes for a modality."""
    # Given: a server that is known to match on modalities
    times = [dt.time(9, 30, number % seconds) for number in range(130)]
    studies = [ct_study(images=1, time=time) for time in times]
    behaviour = WebBehaviour(limit_maximum=100, offset="empty_by_modality")
    system.add_dicomweb("pacs", dicomweb_server([*studies, mr_study()], behaviour).url)
    system.add_own_store()
    system.start("query")
    system.finished_query(CT | {"date_from": str(DAY - dt.timedelta(days=1)), "date_until": str(DAY)})
    with system.database.write() as session:
        for row in session.scalars(select(NodeProfile)):
            row.data = row.data | {"modalities_matched": True, "code_list": None, "cap": None}
    # When
    query = system.finished_query(CT)
    # Then
    assert kept(query) == {study.study_instance_uid for study in studies}
    assert (query["status"], {row["error"] for row in query["missing"]}) == (status, errors)
