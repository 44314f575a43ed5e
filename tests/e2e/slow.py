"""Jobs that last long enough for something to happen in their middle."""

from __future__ import annotations

from typing import Any

from shared.contract.messages import ENDED, Completed, RunRetrieve
from simulator.archive.model import Study
from simulator.scp import ScriptedPacs
from tests.e2e.archive import CRITERIA, verdict, wanted
from tests.support.peers.studies import mg_study
from tests.support.processes.event_queue import Recording
from tests.support.processes.installation import Observed
from tests.support.waiting import wait_until

#: A dead worker's tasks are taken over immediately, or within its lease of 30 s; so are its associations.
SOON_S = 90.0
#: Independent of what arrived between two queries.
CRITERIA_FOR_ALL = {**CRITERIA, "ignore_known": False}
#: A PACS that must be queried for each study by itself.
ONE_BY_ONE: dict[str, Any] = {
    "relational": "refused",
    "uid_lists_series": "refused",
    "uid_lists_image": "refused",
}


def begin_slow_query(observer: Observed, pacs: ScriptedPacs, finds: int = 8) -> str:
    """Start a query and return once the PACS has served a number of C-FINDs."""
    pacs.change(request_delay_s=0.2)
    before = len(pacs.witness.of("find"))
    job_id = observer.query(CRITERIA_FOR_ALL)
    wait_until(lambda: len(pacs.witness.of("find")) >= before + finds)
    assert observer.status(job_id) == "running"
    return job_id


def as_undisturbed(
    observer: Observed,
    pacs: ScriptedPacs,
    job_id: str,
    within_s: float = SOON_S,
    recording: Recording | None = None,
) -> None:
    """Wait for the end of a query and compare it with the same one, run undisturbed; it ended once."""
    pacs.change(request_delay_s=0.0)
    _wait_for_end(observer, job_id, within_s, recording)
    again = observer.finished_query(CRITERIA_FOR_ALL)
    assert observer.query_json(job_id)["status"] == "completed"
    assert verdict(observer.query_json(job_id)) == verdict(again)
    _ended_once(observer, job_id, recording)


def many_images() -> list[Study]:
    """Return studies of which a retrieve makes two tasks, one of two hundred objects."""
    return [mg_study(images=50) for _ in range(5)]


def begin_slow_retrieve(observer: Observed, pacs: ScriptedPacs, between_objects_s: float = 0.1) -> str:
    """Query, order a retrieve, and return once the PACS is in the middle of sending."""
    query = observer.finished_query({"types": ["MG"]})
    pacs.change(store_pause_s=between_objects_s)
    job_id = observer.command(RunRetrieve(query_id=query["id"]))
    wait_until(lambda: pacs.witness.objects_sent >= 10)
    assert observer.status(job_id) == "running"
    return job_id


def all_arrived_once(
    observer: Observed,
    pacs: ScriptedPacs,
    job_id: str,
    archive: list[Study],
    within_s: float = SOON_S,
    recording: Recording | None = None,
) -> None:
    """Wait for the end of a retrieve: everything arrived, nothing else did, and it was published once."""
    pacs.change(store_pause_s=0.0)
    _wait_for_end(observer, job_id, within_s, recording)
    retrieve = observer.retrieve_json(job_id)
    assert (retrieve["status"], retrieve["missing"]) == ("completed", [])
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(wanted(archive))
    assert observer.files() == wanted(archive)
    _ended_once(observer, job_id, recording)


def _wait_for_end(observer: Observed, job_id: str, within_s: float, recording: Recording | None) -> None:
    """Wait until a job has ended and its end was published; a recording has that for later."""
    observer.wait_for_status(job_id, *ENDED, timeout_s=within_s)
    if recording is None:
        observer.wait_for_end(job_id)


def _ended_once(observer: Observed, job_id: str, recording: Recording | None) -> None:
    endings = (recording or observer).endings(job_id)
    assert [type(event) for event in endings] == [Completed]
