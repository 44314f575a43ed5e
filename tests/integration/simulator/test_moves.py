"""C-MOVE and C-GET of the scripted PACS: what arrives, which responses come, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from simulator.archive.model import Study
from simulator.scp import ScriptedPacs
from tests.support.peers import studies as factories
from tests.support.peers.query_retrieve_scu import GET, MOVE, Scu, identifier_of
from tests.support.peers.storage_scp import decode_object


@pytest.fixture
def study():
    return factories.ct_study(images=4)


@pytest.fixture
def pacs_of(scripted_pacs, store_scp):
    """Start a PACS that knows the store."""

    def start(*studies, **traits):
        return scripted_pacs(studies, destinations={"STORE": store_scp.address}, **traits)

    return start


def move(pacs: ScriptedPacs, study: Study, **options: Any) -> list[Dataset]:
    with Scu(pacs) as scu:
        return scu.move("STUDY", StudyInstanceUID=study.study_instance_uid, **options)


def counters(status: Dataset) -> tuple[int | None, ...]:
    names = ("Completed", "Failed", "Warning")
    return tuple(status.get(f"NumberOf{name}Suboperations") for name in names)


def failed_list(scu: Scu, **keys: Any) -> list[str]:
    responses = list(scu.assoc.send_c_move(identifier_of("STUDY", **keys), "STORE", MOVE))
    identifier = responses[-1][1]
    value = None if identifier is None else identifier.get("FailedSOPInstanceUIDList")
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def test_move_sends_real_objects(pacs_of, store_scp, study):
    # Given
    pacs = pacs_of(study, factories.mr_study())

    # When
    statuses = move(pacs, study)

    # Then
    assert [status.Status for status in statuses] == [0xFF00] * 4 + [0x0000]
    assert counters(statuses[-1]) == (5, 0, 0)
    assert store_scp.uids == factories.objects(study)
    assert decode_object(store_scp.received[0]).StudyInstanceUID == study.study_instance_uid
    assert len({received.association for received in store_scp.received}) == 1


@pytest.mark.parametrize("listed", [False, True])
def test_move_brings_exactly_what_is_named(pacs_of, store_scp, study, listed):
    # Given
    pacs = pacs_of(study)
    images = study.series[0]
    wanted = [instance.sop_instance_uid for instance in images.instances[: 2 if listed else 1]]

    # When
    with Scu(pacs) as scu:
        scu.move(
            "IMAGE",
            StudyInstanceUID=study.study_instance_uid,
            SeriesInstanceUID=images.series_instance_uid,
            SOPInstanceUID=tuple(wanted) if listed else wanted[0],
        )

    # Then
    assert store_scp.uids == frozenset(wanted)


def test_unknown_destination_is_refused(pacs_of, store_scp, study):
    statuses = move(pacs_of(study), study, destination="NOBODY")

    assert [status.Status for status in statuses] == [0xA801]
    assert store_scp.received == ()


def test_unreachable_destination_fails_every_object(scripted_pacs, study):
    pacs = scripted_pacs([study], destinations={"STORE": ("127.0.0.1", 1)})

    final = move(pacs, study)[-1]

    assert (final.Status, counters(final)) == (0xA702, (0, 5, 0))


@pytest.mark.parametrize(
    ("given", "pending", "final"),
    [("all", True, True), ("final_only", False, True), ("absent", False, False)],
)
def test_counters_are_in_the_configured_responses(pacs_of, study, given, pending, final):
    statuses = move(pacs_of(study, move_counters=given), study)

    has_counters = [all(value is not None for value in counters(status)) for status in statuses]
    assert (has_counters[0], has_counters[-1]) == (pending, final)


def test_move_may_respond_only_at_its_end(pacs_of, study):
    assert [status.Status for status in move(pacs_of(study, move_pending=False), study)] == [0]


def test_object_that_never_arrives_is_counted_as_sent(pacs_of, store_scp, study):
    # Given
    lost = study.series[0].instances[1].sop_instance_uid
    pacs = pacs_of(study, never_arrive={lost})

    # When
    final = move(pacs, study)[-1]

    # Then
    assert (final.Status, counters(final)) == (0x0000, (5, 0, 0))
    assert store_scp.uids == factories.objects(study) - {lost}


def test_failed_object_is_named_and_arrives_later(pacs_of, store_scp, study):
    # Given
    failing = study.series[0].instances[1].sop_instance_uid
    pacs = pacs_of(study, fail={failing}, fail_times=1)

    # When
    with Scu(pacs) as scu:
        first = failed_list(scu, StudyInstanceUID=study.study_instance_uid)
        arrived = store_scp.uids
        second = failed_list(scu, StudyInstanceUID=study.study_instance_uid)

    # Then
    assert (first, second) == ([failing], [])
    assert arrived == factories.objects(study) - {failing}
    assert store_scp.uids == factories.objects(study)
    assert [request.status for request in pacs.witness.of("move")] == [0xB000, 0x0000]


def test_failed_list_can_be_left_out(pacs_of, study):
    pacs = pacs_of(study, fail_fraction=1.0, move_failed_list=False)

    with Scu(pacs) as scu:
        assert failed_list(scu, StudyInstanceUID=study.study_instance_uid) == []
    assert pacs.witness.of("move")[0].status == 0xA702


def test_store_that_warns_makes_a_warning(pacs_of, store_scp, study):
    store_scp.status_for = lambda _uid: 0xB000

    final = move(pacs_of(study), study)[-1]

    assert (final.Status, counters(final)) == (0xB000, (0, 0, 5))


def test_store_that_refuses_one_object_makes_one_failure(pacs_of, store_scp, study):
    refused = study.series[0].instances[0].sop_instance_uid
    store_scp.status_for = lambda uid: 0xA700 if uid == refused else 0

    final = move(pacs_of(study), study)[-1]

    assert (final.Status, counters(final)) == (0xB000, (4, 1, 0))


def test_success_with_nothing(pacs_of, store_scp, study):
    final = move(pacs_of(study, move_nothing=True), study)[-1]

    assert (final.Status, counters(final)) == (0, (0, 0, 0))
    assert store_scp.received == ()


def test_unknown_study_is_success_with_nothing(pacs_of, study):
    final = move(pacs_of(), study)[-1]

    assert (final.Status, counters(final)) == (0, (0, 0, 0))


@pytest.mark.parametrize(
    ("traits", "status"),
    [
        ({"move_refused_with": 0xA701}, 0xA701),
        ({"move_levels": {"SERIES"}}, 0xA900),
        ({"move_limit": 0}, 0xA702),
        ({"move_status": 0xC000}, 0xC000),
    ],
)
def test_move_ends_with_the_configured_status(pacs_of, study, traits, status):
    assert move(pacs_of(study, **traits), study)[-1].Status == status


def test_list_of_uids_can_be_refused(pacs_of, store_scp):
    # Given
    studies = [factories.sr_only_study() for _ in range(2)]
    uids = tuple(study.study_instance_uid for study in studies)
    pacs = pacs_of(*studies, move_uid_lists="refused")

    # When
    with Scu(pacs) as scu:
        refused = scu.move("STUDY", StudyInstanceUID=uids)[-1].Status
        pacs.change(move_uid_lists="accepted")
        taken = scu.move("STUDY", StudyInstanceUID=uids)[-1].Status

    # Then
    assert (refused, taken) == (0xA900, 0)
    assert store_scp.uids == factories.objects(*studies)


def test_extra_objects_are_sent_beside(pacs_of, store_scp, study):
    pacs = pacs_of(study, extra_objects=2)

    with Scu(pacs) as scu:
        scu.move(
            "SERIES",
            StudyInstanceUID=study.study_instance_uid,
            SeriesInstanceUID=study.series[1].series_instance_uid,
        )

    assert len(store_scp.uids) == 3


def test_objects_are_sent_after_the_success_response(pacs_of, store_scp, study):
    # Given
    pacs = pacs_of(study, move_later_s=0.3)

    # When
    final = move(pacs, study)[-1]
    at_once = len(store_scp.received)

    # Then
    assert (final.Status, counters(final), at_once) == (0, (5, 0, 0), 0)
    assert store_scp.wait_for(5)
    assert store_scp.uids == factories.objects(study)


def test_new_association_for_each_object(pacs_of, store_scp, study):
    move(pacs_of(study, association_per_object=True), study)

    assert len({received.association for received in store_scp.received}) > 1
    assert store_scp.uids == factories.objects(study)


def test_every_object_twice(pacs_of, store_scp, study):
    move(pacs_of(study, store_twice=True), study)

    assert len(store_scp.received) == 10


@pytest.mark.parametrize("kind", ["abort", "close"])
def test_association_ends_in_the_middle_of_a_move(pacs_of, store_scp, study, kind):
    # Given
    pacs = pacs_of(study)
    pacs.add_fault(operation="move", kind=kind, after_responses=2)

    # When
    statuses = move(pacs, study)

    # Then
    assert [status.get("Status") for status in statuses[:-1]] == [0xFF00] * (len(statuses) - 1)
    assert statuses[-1].get("Status") is None
    assert len(store_scp.received) == 2


def test_fault_of_one_object_fails_it_alone(pacs_of, store_scp, study):
    # Given
    unlucky = study.series[0].instances[2].sop_instance_uid
    pacs = pacs_of(study)
    pacs.add_fault(operation="store", kind="status", uid=unlucky)

    # When
    final = move(pacs, study)[-1]

    # Then
    assert (final.Status, counters(final)) == (0xB000, (4, 1, 0))
    assert store_scp.uids == factories.objects(study) - {unlucky}


@pytest.mark.parametrize("kind", ["abort", "close"])
def test_association_to_the_store_breaks_once(pacs_of, store_scp, study, kind):
    # Given
    pacs = pacs_of(study)
    pacs.add_fault(operation="store", kind=kind, nth=3)

    # When
    final = move(pacs, study)[-1]

    # Then
    assert (final.Status, counters(final)) == (0xB000, (4, 1, 0))
    assert len(store_scp.received) == 4
    assert len({received.association for received in store_scp.received}) == 2


def test_move_without_response_hangs_until_the_client_gives_up(pacs_of, study):
    pacs = pacs_of(study)
    pacs.add_fault(operation="move", kind="never_answer", after_responses=1)

    with Scu(pacs, timeout_s=0.5) as scu:
        statuses = scu.move("STUDY", StudyInstanceUID=study.study_instance_uid)

    assert [status.get("Status") for status in statuses] == [0xFF00, None]


def test_cancel_ends_a_move(pacs_of, store_scp):
    # Given
    study = factories.ct_study(images=60)
    pacs = pacs_of(study, store_pause_s=0.01)
    identifier = identifier_of("STUDY", StudyInstanceUID=study.study_instance_uid)

    # When
    with Scu(pacs) as scu:
        statuses = []
        for status, _identifier in scu.assoc.send_c_move(identifier, "STORE", MOVE, msg_id=9):
            statuses.append(status)
            if len(statuses) == 2:
                scu.assoc.send_c_cancel(9, None, MOVE)

    # Then
    assert statuses[-1].Status == 0xFE00
    assert statuses[-1].NumberOfRemainingSuboperations > 0
    assert len(store_scp.received) < 60


def test_get_sends_on_the_requesting_association(scripted_pacs, study):
    # Given
    from pynetdicom import evt

    pacs = scripted_pacs([study])
    arrived: list[str] = []

    def store(event):
        arrived.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    classes = {instance.sop_class_uid for series in study.series for instance in series.instances}
    identifier = identifier_of("STUDY", StudyInstanceUID=study.study_instance_uid)

    # When
    with Scu(pacs, get=classes, handlers=[(evt.EVT_C_STORE, store)]) as scu:
        statuses = [status for status, _identifier in scu.assoc.send_c_get(identifier, GET)]

    # Then
    assert statuses[-1].Status == 0
    assert set(arrived) == factories.objects(study)


def test_moves_at_once_are_counted(pacs_of, study):
    pacs = pacs_of(study)

    move(pacs, study)

    assert (pacs.witness.moves_most, pacs.witness.objects_sent) == (1, 5)
