"""The retrieve service against DICOMweb servers that misbehave: what arrived is proven, the rest is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from simulator.dicomweb.behaviour import WebBehaviour
from tests.support.archives.dicomweb_server import web_fault
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import objects, series, study
from tests.support.ports import free_port
from tests.support.services.outages import away_tries, shorten_outages, wait_for_a_minute_away
from tests.support.waiting import wait_until

TIMEOUT_S, PATIENCE_S = 4.0, 2.0


class Outcomes(NamedTuple):
    """How a retrieve ended: its status, the objects that arrived, and those that are named as missing."""

    status: str
    arrived: int
    missing: int


@pytest.fixture
def outcomes_of(retrieves: Retrieves, dicomweb_server):
    """Return how retrieves end at servers with these faults, all of them at the same time.

    Each has a study of three objects in one series.
    """
    system = retrieves.system
    system.settings = system.settings.model_copy(
        update={"dimse_timeout": TIMEOUT_S, "retry_pauses": (0.05, 0.05), "patience": PATIENCE_S}
    )

    def run(rows: Mapping[str, WebBehaviour], *, whole: bool = True) -> dict[str, Outcomes]:
        retrieves.store = system.add_own_store()
        jobs = {}
        for number, (name, behaviour) in enumerate(rows.items()):
            kept = study(series("ct_image", 3))
            retrieves.remote = system.add_dicomweb(f"web{number}", dicomweb_server([kept], behaviour).url)
            retrieves.kept(
                [kept], job_id=f"query-{number}", only=None if whole else objects(kept), whole=whole
            )
            jobs[name] = retrieves.order(f"query-{number}")
        system.start("store")
        retrieves.start()
        for job_id in jobs.values():
            system.wait_for_end(job_id)
        ended = {name: system.retrieve_json(job_id) for name, job_id in jobs.items()}
        return {
            name: Outcomes(retrieve["status"], retrieve["counts"]["arrived"], len(retrieve["missing"]))
            for name, retrieve in ended.items()
        }

    return run


def _fault(kind: str | int, times: int | None = None, **fields: Any) -> WebBehaviour:
    return web_fault(kind, "retrieve", times=times, **fields)


#: Faults in spite of which everything arrives.
MENDED = {
    "none": WebBehaviour(),
    "part cut once": _fault("cut_part", 1),
    "part twice": _fault("double_part"),
    "wrong UID once": _fault("wrong_uid", 1),
    "part missing once": _fault("missing_part", 1),
    "HTML once": _fault("html", 1),
    "boundary in content": _fault("boundary_in_content"),
    "closed in a part once": _fault("cut", 1),
    "closed at once": _fault("cut_at_once", 1),
    "chunked": _fault("chunked"),
    "chunked and cut once": _fault("chunked_and_cut", 1),
    "406 for any transfer syntax": _fault(406, 1),
    "503 once": _fault(503, 1, headers={"Retry-After": "1"}),
    "empty body once": _fault("empty_body", 1),
}


@pytest.mark.parametrize("whole", [True, False], ids=["series", "objects"])
def test_objects_arrive_in_spite_of_faults(outcomes_of, whole):
    # When
    outcomes = outcomes_of(MENDED, whole=whole)
    # Then
    assert {name: end for name, end in outcomes.items() if end != ("completed", 3, 0)} == {}


#: Faults that last, and how many of three objects arrive all the same.
NAMED = {
    "part cut": (_fault("cut_part"), 2),
    "wrong UID": (_fault("wrong_uid"), 2),
    "part missing": (_fault("missing_part"), 2),
    "HTML": (_fault("html"), 0),
    "closed at once": (_fault("cut_at_once"), 0),
    "404": (_fault(404), 0),
    "401": (_fault(401), 0),
    "403": (_fault(403), 0),
    "406": (_fault(406), 0),
    "redirect": (_fault(302), 0),
    "empty body": (_fault("empty_body"), 0),
}


def test_objects_that_faults_keep_back_are_named(outcomes_of):
    # When
    outcomes = outcomes_of({name: behaviour for name, (behaviour, _arrived) in NAMED.items()})
    # Then
    assert {name: end[1:] for name, end in outcomes.items()} == {
        name: (arrived, 3 - arrived) for name, (_behaviour, arrived) in NAMED.items()
    }
    assert {end.status for end in outcomes.values()} <= {"incomplete", "failed"}


def test_a_server_that_goes_away_in_mid_multipart_is_waited_for(
    retrieves: Retrieves, dicomweb_server, monkeypatch
):
    # Given: a response that drips
    system = retrieves.system
    kept = study(series("ct_image", 40))
    server = dicomweb_server([kept], _fault("drip"), port=free_port())
    retrieves.store = system.add_own_store()
    retrieves.remote = system.add_dicomweb("pacs", server.url)
    retrieves.kept([kept])
    shorten_outages(monkeypatch)
    system.start("store")
    retrieves.start()
    job_id = retrieves.order()
    stored = system.settings.objects_dir
    wait_until(lambda: any(stored.glob("*/*/*.dcm")))
    # When
    server.stop()
    wait_for_a_minute_away(system, retrieves.remote.id)
    wait_until(lambda: "does not take connections" in retrieves.note(job_id))
    status = system.status(job_id)
    server.change(faults=())
    server.start()
    system.wait_for_end(job_id)
    # Then
    retrieve = system.retrieve_json(job_id)
    assert (status, retrieves.note(job_id), away_tries(system, retrieves.remote.id)) == ("running", "", 0)
    assert (retrieve["status"], retrieve["verification"], retrieve["missing"]) == (
        "completed",
        "receipts",
        [],
    )
    assert {path.stem for path in stored.glob("*/*/*.dcm")} == objects(kept)
    assert len(retrieves.moves(job_id)) > 1
