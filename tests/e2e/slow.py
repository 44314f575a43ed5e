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

#: A dead worker's tasks are taken over at once, or within its lease of 30 s.
SOON_S = 60.0
#: The same whatever has arrived between two queries.
ASKED = {**CRITERIA, "ignore_known": False}
#: A PACS that wants to be asked for each study by itself.
ONE_BY_ONE: dict[str, Any] = {
    "relational": "refused",
    "uid_lists_series": "refused",
    "uid_lists_image": "refused",
}


def begin_slow_query(seen: Observed, pacs: ScriptedPacs, finds: int = 15) -> str:
    """Order a query and return once the PACS is in the middle of it: it has answered so many C-FINDs."""
    pacs.change(request_delay_s=0.1)
    before = len(pacs.witness.of("find"))
    job_id = seen.query(ASKED)
    wait_until(lambda: len(pacs.witness.of("find")) >= before + finds)
    assert seen.status(job_id) == "running"
    return job_id


def as_undisturbed(seen: Observed, pacs: ScriptedPacs, job_id: str, within_s: float = SOON_S) -> None:
    """Wait for the end of a query and compare it with the same one, asked again in peace; it ended once."""
    pacs.change(request_delay_s=0.0)
    seen.wait_for_end(job_id, within_s)
    again = seen.finished_query(ASKED)
    assert seen.query_json(job_id)["status"] == "completed"
    assert verdict(seen.query_json(job_id)) == verdict(again)
    assert [type(event) for event in seen.endings(job_id)] == [Completed]


def many_images() -> list[Study]:
    """Return studies of which a retrieve makes a few tasks."""
    return [mg_study(images=60) for _ in range(7)]


def begin_slow_retrieve(seen: Observed, pacs: ScriptedPacs, between_objects_s: float = 0.1) -> str:
    """Query, order a retrieve, and return once the PACS is in the middle of sending."""
    query = seen.finished_query({"types": ["MG"]})
    pacs.change(store_pause_s=between_objects_s)
    job_id = seen.command(RunRetrieve(query_id=query["id"]))
    wait_until(lambda: pacs.witness.objects_sent >= 10)
    assert seen.status(job_id) == "running"
    return job_id


def all_arrived_once(
    seen: Observed,
    pacs: ScriptedPacs,
    job_id: str,
    archive: list[Study],
    within_s: float = SOON_S,
    recording: Recording | None = None,
) -> None:
    """Wait for the end of a retrieve: everything arrived, nothing else did, and it was told once."""
    pacs.change(store_pause_s=0.0)
    seen.wait_for_status(job_id, *ENDED, timeout_s=within_s)
    retrieve = seen.retrieve_json(job_id)
    assert (retrieve["status"], retrieve["missing"]) == ("completed", [])
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(wanted(archive))
    assert seen.files() == wanted(archive)
    if recording is None:
        seen.wait_for_end(job_id)
    endings = (recording or seen).endings(job_id)
    assert [type(event) for event in endings] == [Completed]
