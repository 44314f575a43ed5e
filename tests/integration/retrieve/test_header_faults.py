"""Headers from archives that misbehave: what does not come so comes by the next way, once, or is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from shared.contract.messages import CancelJob
from shared.database.models import Node, StoredObject
from shared.dicomweb.wado import metadata
from simulator import dispatch
from simulator.archive.model import ArchiveMatch, Study
from simulator.behaviour import Fault
from simulator.content import EncodedObject, build, encode
from simulator.content import without_bulk_data as undisturbed
from simulator.dicomweb.behaviour import WebBehaviour
from tests.support.archives.dicomweb_server import web_fault
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import objects, series, study
from tests.support.waiting import wait_until

IMAGES = "images_no_report"
TIMEOUT_S, PATIENCE_S = 4.0, 2.0


class Outcome(NamedTuple):
    """How a retrieve of two headers ended."""

    status: str
    arrived: int
    headers: int
    missing: int
    #: Files that the store has kept of the study, and bytes that it kept aside.
    files: int = 2
    conflicts: int = 0


ALL = Outcome("completed", 2, 2, 0)


def stored_of(retrieves: Retrieves, kept: Study) -> list[StoredObject]:
    with retrieves.system.database.read() as session:
        rows = session.query(StoredObject).filter_by(study_instance_uid=kept.study_instance_uid)
        return list(rows)


def outcomes_of(retrieves: Retrieves, rows: dict[str, tuple[Study, Node]]) -> dict[str, Outcome]:
    """Return how retrieves of headers end, all of them at the same time."""
    system = retrieves.system
    system.settings = system.settings.model_copy(
        update={"dimse_timeout": TIMEOUT_S, "retry_pauses": (0.05, 0.05), "patience": PATIENCE_S}
    )
    jobs = {}
    for number, (name, (kept, node)) in enumerate(rows.items()):
        retrieves.remote = node
        retrieves.kept([kept], job_id=f"query-{number}", reason=IMAGES)
        jobs[name] = retrieves.order(f"query-{number}", content="headers")
    system.start("store")
    retrieves.start()
    outcomes = {}
    for name, job_id in jobs.items():
        system.wait_for_end(job_id)
        retrieve = system.retrieve_json(job_id)
        counts, found = retrieve["counts"], stored_of(retrieves, rows[name][0])
        files = [path for row in found if (path := system.settings.objects_dir / row.path).is_file()]
        outcomes[name] = Outcome(
            retrieve["status"],
            counts["arrived"],
            counts["headers"],
            len(retrieve["missing"]),
            len(files),
            sum(row.conflicts for row in found),
        )
    return outcomes


def unlike(outcomes: dict[str, Outcome], expected: dict[str, Outcome]) -> dict[str, Outcome]:
    return {name: outcome for name, outcome in outcomes.items() if outcome != expected.get(name, ALL)}


METADATA = {
    "none": WebBehaviour(),
    "pixels in the metadata": WebBehaviour(pixel_data="inline"),
    "404": web_fault(404, "metadata"),
    "500": web_fault(500, "metadata"),
    "503 once": web_fault(503, "metadata", times=1, headers={"Retry-After": "1"}),
    "no content": web_fault("no_content", "metadata"),
    "empty list": web_fault("no_matches", "metadata"),
    "empty body": web_fault("empty_body", "metadata"),
    "HTML": web_fault("html", "metadata"),
    "broken JSON": web_fault("truncated", "metadata"),
    "another instance": web_fault("wrong_uid", "metadata"),
    "too large": web_fault("huge", "metadata"),
    "closed in the metadata": web_fault("cut", "metadata"),
    "closed at once": web_fault("cut_at_once", "metadata"),
    "404, and no objects": web_fault(404, "metadata", "retrieve"),
}


def test_headers_arrive_in_spite_of_broken_metadata(retrieves, dicomweb_server, monkeypatch) -> None:
    # Given
    monkeypatch.setattr(metadata, "_METADATA_MOST_BYTES", 1 << 19)
    system = retrieves.system
    rows: dict[str, tuple[Study, Node]] = {}
    retrieves.store = system.add_own_store()
    for number, (name, behaviour) in enumerate(METADATA.items()):
        kept = study(series("mg_image", 2))
        rows[name] = (kept, system.add_dicomweb(f"web{number}", dicomweb_server([kept], behaviour).url))

    # When
    outcomes = outcomes_of(retrieves, rows)

    # Then
    assert unlike(outcomes, {"404, and no objects": Outcome("failed", 0, 0, 2, files=0)}) == {}


def _whole(match: ArchiveMatch, implicit_vr: bool) -> bytes:
    return encode(build(match), implicit_vr=implicit_vr)


def _another(match: ArchiveMatch, implicit_vr: bool) -> bytes:
    data_set = build(match)
    data_set.SOPInstanceUID += ".9"
    return encode(data_set, implicit_vr=implicit_vr)


#: What a node sends over C-GET without bulk data in place of the data set.
SENT: dict[str, Callable[[ArchiveMatch, bool], bytes]] = {
    "pixels all the same": _whole,
    "another object": _another,
    "cut off": lambda match, implicit_vr: _whole(match, implicit_vr)[:300],
    "nothing": lambda _match, _implicit_vr: b"",
}


def traits(kept: Study) -> dict[str, dict[str, Any]]:
    """Return the traits of nodes that offer C-GET without bulk data."""
    uids = sorted(objects(kept))
    return {
        "fewer": {"never_arrive": uids[:1], "fail_times": 1},
        "every object fails once": {"fail": uids, "fail_times": 1},
        "every object fails": {"fail": uids},
        "one object fails": {"fail": uids[:1]},
        "every object twice": {"store_twice": True},
        "other objects too": {"extra_objects": 1, "foreign_objects": 2},
        "abort": {"faults": [Fault(operation="get", kind="abort", after_responses=1)]},
        "0xA702": {"faults": [Fault(operation="get", kind="status", status=0xA702)]},
        "0xC000": {"faults": [Fault(operation="get", kind="status", status=0xC000, always=True)]},
        "success of nothing": {"faults": [Fault(operation="get", kind="status", status=0)]},
    }


def test_headers_arrive_in_spite_of_broken_c_get(retrieves, scripted_pacs, monkeypatch) -> None:
    # Given
    system = retrieves.system
    rows: dict[str, tuple[Study, Node]] = {}
    sent: dict[str, Callable[[ArchiveMatch, bool], bytes]] = {}
    retrieves.store = store = system.add_own_store()

    def without_bulk_data(match: ArchiveMatch, *, implicit_vr: bool) -> EncodedObject:
        made = undisturbed(match, implicit_vr=implicit_vr)
        substitute = sent.get(match.study.study_instance_uid)
        if substitute is None:
            return made
        return EncodedObject(made.sop_class_uid, made.sop_instance_uid, substitute(match, implicit_vr))

    monkeypatch.setattr(dispatch, "without_bulk_data", without_bulk_data)

    def add(name: str, kept: Study, others: Iterable[Study] = (), **options: Any) -> None:
        pacs = scripted_pacs([kept, *others], without_bulk_data=True, **options)
        pacs.destinations[store.ae_title] = (store.host, store.port)
        rows[name] = (kept, system.add_remote(f"pacs{len(rows)}", pacs.host, pacs.port, pacs.ae_title))

    for name, substitute in SENT.items():
        kept = study(series("mg_image", 2))
        sent[kept.study_instance_uid] = substitute
        add(name, kept)
    for name in traits(study(series("mg_image", 2))):
        kept = study(series("mg_image", 2))
        add(name, kept, [study(series("mg_image", 3))], **traits(kept)[name])

    # When
    outcomes = outcomes_of(retrieves, rows)

    # Then
    named = {
        "every object fails": Outcome("failed", 0, 0, 2, files=0),
        "one object fails": Outcome("incomplete", 1, 1, 1, files=1),
    }
    assert unlike(outcomes, named) == {}


def test_cancelling_ends_the_get_of_headers_and_keeps_what_arrived(retrieves, scripted_pacs) -> None:
    # Given
    kept = study(series("mg_image", 40))
    pacs = scripted_pacs([kept], without_bulk_data=True, store_pause_s=0.1)
    retrieves.connect(pacs)
    retrieves.kept([kept], reason=IMAGES)
    job_id = retrieves.order(content="headers")
    wait_until(lambda: pacs.witness.objects_sent >= 2)

    # When
    retrieves.system.command(CancelJob(job_id=job_id))
    retrieves.system.wait_for_end(job_id)

    # Then
    wait_until(lambda: len(pacs.witness.of("get")) == 1)
    sent = pacs.witness.objects_sent
    retrieve = retrieves.system.retrieve_json(job_id)
    assert (retrieve["status"], pacs.witness.of("move")) == ("cancelled", ())
    wait_until(lambda: retrieves.system.retrieve_json(job_id)["counts"]["headers"] == sent)
    rows = retrieves.objects(job_id).values()
    assert {row.reason for row in rows if row.state != "arrived"} == {"cancelled"}


def test_whole_object_of_another_association_stays_in_place_of_headers(retrieves, scripted_pacs) -> None:
    # Given
    kept = study(series("mg_image", 30))
    pacs = scripted_pacs([kept], without_bulk_data=True, store_pause_s=0.02)
    retrieves.connect(pacs, workers=2)
    retrieves.kept([kept], reason=IMAGES)

    # When both orders run at the same time
    jobs = [retrieves.order(content=content) for content in ("headers", "whole")]
    for job_id in jobs:
        retrieves.system.wait_for_end(job_id)

    # Then
    ended = [retrieves.system.retrieve_json(job_id) for job_id in jobs]
    assert [(retrieve["status"], retrieve["counts"]["arrived"]) for retrieve in ended] == [
        ("completed", 30)
    ] * 2
    rows = stored_of(retrieves, kept)
    assert [(row.content, row.conflicts) for row in rows] == [("whole", 0)] * 30
