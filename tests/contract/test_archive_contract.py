"""The port to archives (shared/node_access/archive.py): one contract for DIMSE and for DICOMweb.

Both are lent by the same pool and serve the same studies: the same requests have the same results, and
trouble ends in the same errors.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.dicom.association.c_move import move_identifier
from shared.dicom.association.sub_operations import SubOperations
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError, StoreError
from shared.dicom.peer import Peer, Timeouts, WebAccess
from shared.dicom.query.identifiers import image_identifier, series_identifier, study_identifier
from shared.dicom.query.matches import FindResult, StudyMatch, object_match, series_match, study_match
from shared.node_access.archive import ArchiveAccess
from shared.node_access.pool import AssociationPool
from simulator.archive.model import Study
from tests.support.archives.dicomweb_server import web_fault
from tests.support.peers.storage_scp import StoreScp
from tests.support.peers.studies import ct_study, mg_study, objects, series, study
from tests.support.ports import free_port

TIMEOUTS = Timeouts(connect_s=2.0, response_s=2.0)
DAY = dt.date(2024, 3, 5)
#: Of each image, 64 by 64 with two bytes each.
PIXEL_BYTES = 64 * 64 * 2
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
WINDOW = study_identifier(study_date="20240305-20240306")

#: What can go wrong with a search, as a fault of each protocol.
TROUBLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "key refused": ({"kind": "status", "status": 0xA900, "always": True}, {"kind": 400}),
    "unable": ({"kind": "status", "status": 0xC000, "always": True}, {"kind": 500}),
    "too much": ({"kind": "status", "status": 0xA700, "always": True}, {"kind": 413}),
    "broken off": ({"kind": "close", "after_responses": 1, "always": True}, {"kind": "cut"}),
    "silent": ({"kind": "never_answer", "times": 1}, {"kind": "delay", "delay_s": 4.0, "times": 1}),
    "unreadable": ({"kind": "bad_data_set", "always": True}, {"kind": "truncated"}),
}


@dataclass
class Spoken:
    """An archive that is reached by one protocol: its peer, and how searches are disturbed."""

    peer: Peer
    disturb: Callable[[str], None]
    lose_first_object: Callable[[Study], None]
    stop: Callable[[], None]


Start = Callable[[Iterable[Study]], Spoken]


@pytest.fixture(params=["dimse", "dicomweb"])
def spoken(request: pytest.FixtureRequest, scripted_pacs: Any, dicomweb_server: Any) -> Start:
    """Start an archive that speaks the protocol."""

    def over_dimse(studies: Iterable[Study]) -> Spoken:
        pacs = scripted_pacs(studies, port=free_port(), without_bulk_data=True)

        def lose(kept: Study) -> None:
            pacs.change(fail=[kept.series[0].instances[0].sop_instance_uid])

        return Spoken(
            Peer(pacs.host, pacs.port, pacs.ae_title, "DOSEQR"),
            lambda name: pacs.add_fault(operation="find", **TROUBLE[name][0]),
            lose,
            pacs.stop,
        )

    def over_web(studies: Iterable[Study]) -> Spoken:
        server = dicomweb_server(studies)

        def change(kind: str | int, *resources: str, **fields: Any) -> None:
            server.behaviour = web_fault(kind, *resources, **fields)

        return Spoken(
            Peer(server.host, server.port, "DICOMWEB", "DOSEQR", web=WebAccess(server.url, server.url)),
            lambda name: change(**TROUBLE[name][1]),
            lambda _kept: change("missing_part", "retrieve"),
            server.stop,
        )

    return over_dimse if request.param == "dimse" else over_web


@pytest.fixture
def pool() -> Iterator[ArchiveAccess]:
    """The one implementation of the port, without a budget."""
    made = AssociationPool(TIMEOUTS)
    yield made
    made.close()


def found(pool: ArchiveAccess, peer: Peer) -> FindResult[StudyMatch]:
    """Search for the studies of the window; the session is not lent again if it broke."""
    with pool.find(peer) as session:
        return session.find(WINDOW, study_match)


def store_of(store_scp: StoreScp) -> Peer:
    return Peer("127.0.0.1", store_scp.port, "STORE", "DOSEQR")


def test_studies_series_and_objects_are_found_with_the_same_attributes(spoken: Start, pool: ArchiveAccess):
    # Given
    wanted = ct_study(date=DAY, images=3, description="Schädel^nativ", accession_number="A1")
    archive = spoken([wanted, mg_study(date=DAY), ct_study(date=DAY + dt.timedelta(days=9))])
    uid = wanted.study_instance_uid
    window = study_identifier(study_date="20240305-20240306", modalities_in_study=["CT"])
    # When
    with pool.find(archive.peer) as session:
        studies = session.find(window, study_match)
        below = session.find(series_identifier([uid]), series_match)
        images = session.find(image_identifier([uid], [wanted.series[0].series_instance_uid]), object_match)
        nothing = session.find(study_identifier(study_date="19000101"), study_match)
    # Then
    [match] = studies.matches
    assert (match.study_instance_uid, match.description, match.accession_number) == (
        uid,
        "Schädel^nativ",
        "A1",
    )
    assert match.study_date == "20240305"
    assert match.codes() == {"CT", "SR"}
    assert (match.series_count, match.instance_count) == (len(wanted.series), wanted.number_of_instances)
    assert [(row.series_instance_uid, row.code(), row.count()) for row in below.matches] == [
        (row.series_instance_uid, row.modality, len(row.instances)) for row in wanted.series
    ]
    assert {(row.sop_instance_uid, row.sop_class_uid) for row in images.matches} == {
        (row.sop_instance_uid, row.sop_class_uid) for row in wanted.series[0].instances
    }
    assert [result.status_code for result in (studies, below, images, nothing)] == [0, 0, 0, 0]
    assert nothing.matches == []


#: Trouble, and what the result holds: outcome, DIMSE status with this meaning, and whether it is permanent.
ERRORS = {
    "key refused": (Outcome.STATUS, 0xA900, True),
    "unable": (Outcome.STATUS, 0xC000, False),
    "too much": (Outcome.STATUS, 0xA700, False),
    "broken off": (Outcome.ABORTED, None, False),
    "silent": (Outcome.TIMED_OUT, None, False),
    "unreadable": (Outcome.BAD_RESPONSE, None, False),
}


@pytest.mark.parametrize("name", ERRORS)
def test_trouble_with_a_search_ends_in_the_same_error(spoken: Start, pool: ArchiveAccess, name: str):
    # Given
    archive = spoken([ct_study(date=DAY) for _ in range(3)])
    archive.disturb(name)
    # When
    result = found(pool, archive.peer)
    # Then
    error = result.error
    assert isinstance(error, PeerError)
    assert (error.outcome, error.status_code, error.permanent) == ERRORS[name]
    assert not error.associating


def test_the_pool_lends_another_session_after_a_broken_one(spoken: Start, pool: ArchiveAccess):
    # Given
    archive = spoken([ct_study(date=DAY)])
    archive.disturb("silent")
    broken = found(pool, archive.peer)
    # When
    again = found(pool, archive.peer)
    # Then
    assert broken.error is not None
    assert (len(again.matches), again.error) == (1, None)


def test_an_archive_that_is_away_gives_no_session(spoken: Start, pool: ArchiveAccess):
    # Given
    archive = spoken([])
    archive.stop()
    # When
    with pytest.raises(PeerError) as caught:
        found(pool, archive.peer)
    # Then
    assert (caught.value.outcome, caught.value.associating) == (Outcome.CONNECTION_REFUSED, True)
    assert caught.value.peer_away


def test_work_that_was_stopped_sends_no_request(spoken: Start, pool: ArchiveAccess):
    # Given
    archive, cancellation = spoken([ct_study(date=DAY)]), Cancellation()
    cancellation.cancel("cancelled")
    # Then
    with pytest.raises(InterruptedWorkError), pool.find(archive.peer, cancellation):
        pytest.fail("a session was lent")


@pytest.mark.parametrize("level", ["SERIES", "IMAGE"])
def test_objects_are_fetched_and_handed_on(
    spoken: Start, pool: ArchiveAccess, store_scp: StoreScp, level: Any
):
    # Given
    kept = study(series("ct_image", 3), series("ct_image", 2))
    archive = spoken([kept])
    first = kept.series[0]
    wanted = {instance.sop_instance_uid for instance in first.instances}
    named = sorted(wanted) if level == "IMAGE" else []
    identifier = move_identifier(level, [kept.study_instance_uid], [first.series_instance_uid], named)
    counters: list[SubOperations] = []
    # When
    with pool.get(archive.peer, [CT_IMAGE]) as session:
        fetched = session.fetch(identifier, store_of(store_scp), TIMEOUTS, counters.append)
    # Then
    assert fetched.stored == store_scp.uids == wanted
    assert (fetched.result.status_code, fetched.result.error) == (0, None)
    assert [reported.failed for reported in counters] == [0] * len(counters)
    assert max(reported.completed or 0 for reported in counters) >= 2


def test_headers_are_fetched_without_their_pixels(spoken: Start, pool: ArchiveAccess, store_scp: StoreScp):
    # Given
    kept = study(series("ct_image", 2))
    archive = spoken([kept])
    uids = sorted(objects(kept))
    identifier = move_identifier(
        "IMAGE", [kept.study_instance_uid], [kept.series[0].series_instance_uid], uids
    )
    # When
    with pool.headers(archive.peer, [CT_IMAGE]) as session:
        fetched = session.fetch(identifier, store_of(store_scp), TIMEOUTS)
    # Then
    assert fetched.stored == store_scp.uids == set(uids)
    assert (fetched.result.status_code, fetched.result.error) == (0, None)
    assert all(len(received.data_set) < PIXEL_BYTES for received in store_scp.received)


def test_an_object_that_does_not_come_is_not_counted(spoken: Start, pool: ArchiveAccess, store_scp: StoreScp):
    # Given
    kept = study(series("ct_image", 3))
    archive = spoken([kept])
    archive.lose_first_object(kept)
    identifier = move_identifier("SERIES", [kept.study_instance_uid], [kept.series[0].series_instance_uid])
    # When
    with pool.get(archive.peer, [CT_IMAGE]) as session:
        fetched = session.fetch(identifier, store_of(store_scp), TIMEOUTS)
    # Then
    lost = kept.series[0].instances[0].sop_instance_uid
    assert fetched.stored == store_scp.uids == objects(kept) - {lost}


def test_nothing_is_stored_of_a_series_that_is_unknown(
    spoken: Start, pool: ArchiveAccess, store_scp: StoreScp
):
    # Given
    archive = spoken([ct_study()])
    # When
    with pool.get(archive.peer, [CT_IMAGE]) as session:
        fetched = session.fetch(move_identifier("SERIES", ["1.2"], ["1.2.3"]), store_of(store_scp), TIMEOUTS)
    # Then
    assert fetched.stored == store_scp.uids == set()


def test_a_store_that_is_away_is_no_trouble_of_the_archive(spoken: Start, pool: ArchiveAccess):
    # Given
    kept = study(series("ct_image", 1))
    archive = spoken([kept])
    store = Peer("127.0.0.1", free_port(), "STORE", "DOSEQR")
    identifier = move_identifier("SERIES", [kept.study_instance_uid], [kept.series[0].series_instance_uid])
    # Then
    with pytest.raises(StoreError), pool.get(archive.peer, [CT_IMAGE]) as session:
        session.fetch(identifier, store, TIMEOUTS)
