"""Measuring a node: what is found out of PACS that differ, within how many requests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from services.query.profile.learner import Learner
from services.query.profile.measure_node import MAX_REQUESTS, MeasurementSession, measured_everything
from services.query.profile.measurement_plan import MeasurementPlan
from services.query.profile.sample import ENOUGH
from shared.clock import utc_now
from shared.contract.messages import NodeProfiled, ProfileNode, Rejected
from shared.database.models import Node, NodeProfile
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.node_access.pool import AssociationPool
from shared.node_profiles.ledger import change_profile
from shared.nodes.peers import peer_of
from shared.querying.profile import LIST_LENGTH, Profile
from simulator.archive.model import Study
from simulator.behaviour import Fault
from simulator.scp import ScriptedPacs
from tests.support.peers.studies import ct_study, days_of, dx_study, mg_study, mr_study
from tests.support.ports import free_port
from tests.support.waiting import wait_until

TODAY = dt.date(2024, 3, 20)
LAST_DAY = TODAY - dt.timedelta(days=6)


def archive(studies: int = 60, last: dt.date = LAST_DAY) -> list[Study]:
    """Return studies of several kinds, three of each day."""
    makes = [ct_study, dx_study, mg_study, mr_study]
    number = iter(range(studies))

    def make(**fields: Any) -> Study:
        return makes[next(number) % len(makes)](**fields)

    return days_of(studies, last - dt.timedelta(days=studies // 3 - 1), last, make)


@pytest.fixture
def pool() -> Iterator[AssociationPool]:
    pool = AssociationPool(Timeouts(3, 3))
    yield pool
    pool.close()


class Measured:
    """One measurement and what came of it."""

    def __init__(self, pool: AssociationPool, database: Database, pacs: ScriptedPacs) -> None:
        peer = Peer(pacs.host, pacs.port, pacs.ae_title, "DOSEQR")
        self.learner = Learner(database, 1, peer, utc_now)
        self.measurement = MeasurementSession(pool, peer, self.learner, Cancellation())
        self.ended = measured_everything(self.measurement, MeasurementPlan(TODAY, self.learner.learn))

    @property
    def profile(self) -> Profile:
        return self.learner.profile


@pytest.fixture
def measure(pool, sqlite_database, scripted_pacs):
    """Measure a PACS with these studies and traits."""

    def measured(studies: list[Study], **traits: Any) -> Measured:
        return Measured(pool, sqlite_database, scripted_pacs(studies, **traits))

    return measured


def values_of(profile: Profile, *names: str) -> tuple[object, ...]:
    return tuple(getattr(profile, name) for name in names)


def test_a_pacs_that_does_everything_right_is_known_so(measure):
    # When
    measured = measure(archive())
    # Then
    known = measured.profile
    assert measured.ended.ok
    assert measured.measurement.sent <= MAX_REQUESTS // 2 + 2
    assert (known.modalities_matched, known.modalities_returned, known.relational) == (True, True, True)
    assert known.code_list is not None
    assert known.code_list >= 10
    assert (known.study_list, known.series_list, known.image_list) == (LIST_LENGTH,) * 3
    assert (
        values_of(
            known,
            "returns_study_descriptions",
            "returns_series_descriptions",
            "returns_station_names",
            "returns_sop_classes",
            "returns_series_counts",
            "returns_instance_counts",
            "counts_trusted",
        )
        == (True,) * 7
    )
    assert known.study_modality_key is False
    assert known.request_ms is not None
    assert (known.cap, known.refused_keys) == (None, ())
    assert known.busiest > 0


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ({"modalities_in_study": "returned"}, {"modalities_matched": False, "modalities_returned": True}),
        ({"modalities_in_study": "absent"}, {"modalities_matched": False, "modalities_returned": False}),
        (
            {"modalities_in_study": "matched_not_returned"},
            {"modalities_matched": True, "modalities_returned": False, "code_list": None},
        ),
        ({"code_lists": "ignored"}, {"modalities_matched": True, "code_list": 0}),
        ({"code_lists": "first_only"}, {"modalities_matched": True, "code_list": 0}),
        ({"code_lists": "empty"}, {"modalities_matched": True, "code_list": 0}),
        ({"code_lists": "refused"}, {"modalities_matched": True, "code_list": 0}),
        ({"uid_lists_study": "ignored"}, {"study_list": 0, "series_list": LIST_LENGTH}),
        ({"uid_lists_series": "ignored"}, {"series_list": 0}),
        ({"uid_lists_series": "refused"}, {"series_list": 0, "returns_series_descriptions": True}),
        ({"uid_lists_series": "first_only"}, {"series_list": 0}),
        ({"uid_lists_image": "empty"}, {"image_list": 0, "returns_sop_classes": True}),
        ({"uid_list_maximum": 10}, {"study_list": 10, "series_list": 10}),
        ({"relational": "refused"}, {"relational": False}),
        ({"relational": "empty"}, {"relational": False}),
        ({"relational": "always"}, {"relational": True}),
        ({"not_returned": {"StudyDescription"}}, {"returns_study_descriptions": False}),
        ({"not_returned": {"SERIES.StationName"}}, {"returns_station_names": False}),
        ({"not_returned": {"SOPClassUID"}}, {"returns_sop_classes": False}),
        ({"not_returned": {"NumberOfStudyRelatedSeries"}}, {"returns_series_counts": False}),
        ({"not_returned": {"NumberOfSeriesRelatedInstances"}}, {"returns_instance_counts": False}),
        ({"count_error": 2}, {"counts_trusted": False}),
        ({"study_modality_key": "needed"}, {"study_modality_key": True, "modalities_matched": True}),
        ({"refused_keys": {"StudyDescription"}}, {"refused_keys": ("STUDY.StudyDescription",)}),
        ({"cap": 5, "cap_levels": {"STUDY"}}, {"cap": 5}),
    ],
)
def test_what_a_pacs_does_otherwise_is_found_out(measure, traits, expected):
    # When
    measured = measure(archive(), **traits)
    # Then
    assert measured.ended.ok
    assert {name: getattr(measured.profile, name) for name in expected} == expected
    assert measured.measurement.sent <= MAX_REQUESTS


def test_an_archive_whose_newest_studies_are_old_is_found(measure):
    # When
    measured = measure(archive(last=TODAY - dt.timedelta(days=2000)))
    # Then
    assert measured.profile.modalities_matched is True
    assert measured.measurement.sent <= MAX_REQUESTS


def test_an_empty_archive_teaches_nothing(measure):
    # When
    measured = measure([])
    # Then
    assert measured.ended.ok
    assert measured.profile == Profile(request_ms=measured.profile.request_ms)


def test_a_busy_day_is_left_after_some_hundred_matches(measure, scripted_pacs):
    # Given
    busy = [
        ct_study(date=TODAY, time=dt.time(8 + number // 60 % 10, number % 60), images=1)
        for number in range(1200)
    ]
    # When
    measured = measure(busy)
    # Then
    assert measured.ended.ok
    assert measured.profile.series_list == LIST_LENGTH
    assert ENOUGH < LIST_LENGTH


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"kind": "abort"}, Outcome.ABORTED),
        ({"kind": "status", "status": 0xC001}, Outcome.STATUS),
    ],
)
def test_a_pacs_that_returns_nothing_is_left_alone(pool, sqlite_database, scripted_pacs, fault, outcome):
    # Given
    pacs = scripted_pacs(archive())
    pacs.add_fault(operation="find", always=True, **fault)
    # When
    with pytest.raises(PeerError) as ended:
        Measured(pool, sqlite_database, pacs)
    # Then
    assert ended.value.outcome is outcome


@pytest.mark.parametrize(("most", "standing"), [(2, 2), (8, 3)])
def test_associations_are_counted_up_to_the_limit(pool, sqlite_database, scripted_pacs, most, standing):
    # Given
    pacs = scripted_pacs(archive(), maximum_associations=3)
    peer = Peer(pacs.host, pacs.port, pacs.ae_title, "DOSEQR")
    measurement = MeasurementSession(pool, peer, Learner(sqlite_database, 1, peer, utc_now), Cancellation())
    # When / Then
    assert measurement.standing(most) == standing
    assert measurement.offers_headers() is (None if standing < most else False)


# The command


def ready(system, pacs) -> int:
    node = system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start("query")
    return int(node.id)


def ordered(system, **fields: Any) -> NodeProfiled:
    command_id = system.command(ProfileNode(node="pacs", **fields))
    wait_until(lambda: any(event.command_id == command_id for event in system.published(NodeProfiled)))
    events: list[NodeProfiled] = system.published(NodeProfiled)
    return next(event for event in events if event.command_id == command_id)


def stored(system, node_id: int) -> Profile | None:
    with system.database.read() as session:
        row = session.get(NodeProfile, node_id)
        return None if row is None else Profile.from_json(row.data)


def recent(studies: int = 40) -> list[Study]:
    return archive(studies, last=utc_now().astimezone().date())


def test_a_command_measures_stores_and_publishes(system, scripted_pacs):
    # Given
    node_id = ready(system, scripted_pacs(recent(), without_bulk_data=True))
    with system.database.write() as session:
        peer = peer_of(session.get_one(Node, node_id), system.settings)
        change_profile(session, node_id, peer, partial(replace, headers=False), utc_now())
    # When
    event = ordered(system)
    # Then
    known = stored(system, node_id)
    assert known is not None
    assert (event.ok, event.outcome, event.node) == (True, "answers", "pacs")
    assert event.profile == known.to_json()
    assert known.series_list == LIST_LENGTH
    assert known.associations == 4
    assert known.measured_by == event.command_id
    assert known.headers is True
    assert 0 < event.requests <= MAX_REQUESTS


def test_the_same_command_again_requests_nothing(system, scripted_pacs):
    # Given
    pacs = scripted_pacs(recent())
    ready(system, pacs)
    first = ordered(system)
    finds = len(pacs.witness.of("find"))
    # When
    system.command(ProfileNode(node="pacs"), first.command_id)
    wait_until(lambda: len(system.published(NodeProfiled)) == 2)
    # Then
    assert len(pacs.witness.of("find")) == finds
    assert system.published(NodeProfiled)[1].profile == first.profile


def test_what_is_known_can_be_forgotten(system, scripted_pacs):
    # Given
    node_id = ready(system, scripted_pacs(recent()))
    ordered(system)
    # When
    event = ordered(system, measure=False, forget=True)
    # Then
    assert (event.ok, event.requests, event.profile) == (True, 0, Profile().to_json())
    assert stored(system, node_id) is None


def test_a_pacs_that_is_away_is_reported(system):
    # Given
    system.add_remote("pacs", "127.0.0.1", free_port(), "AWAY")
    system.start("query")
    # When
    event = ordered(system)
    # Then
    assert (event.ok, event.outcome) == (False, "connection refused")


def test_a_node_gets_no_request_outside_of_its_hours(system, scripted_pacs):
    # Given
    pacs = scripted_pacs(recent())
    node_id = ready(system, pacs)
    now = utc_now().astimezone()
    hours = f"{(now - dt.timedelta(hours=3)):%H:%M}-{(now - dt.timedelta(hours=2)):%H:%M}"
    with system.database.write() as session:
        session.get_one(Node, node_id).hours = hours
    # When
    event = ordered(system)
    # Then
    assert (event.ok, event.outcome, event.requests) == (False, "not asked at this time", 0)
    assert pacs.witness.of("find") == ()


def test_a_node_that_hangs_keeps_no_other_from_being_measured(system, scripted_pacs):
    # Given
    hangs = Fault(operation="find", kind="never_answer", always=True)
    ready(system, scripted_pacs(recent()))
    silent = scripted_pacs(recent(), ae_title="SILENT", faults=[hangs])
    system.add_remote("silent", silent.host, silent.port, silent.ae_title)
    system.command(ProfileNode(node="silent"))
    wait_until(lambda: silent.witness.of("find") != ())
    # When
    event = ordered(system)
    # Then
    assert (event.node, event.ok) == ("pacs", True)
    assert [ended.node for ended in system.published(NodeProfiled)] == ["pacs"]


def test_an_unknown_node_is_rejected(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs())
    # When
    system.command(ProfileNode(node="nowhere"))
    # Then
    assert system.wait_for_event(Rejected).field == "data.node"


def test_measuring_ends_at_once_where_the_service_stops(system, scripted_pacs):
    # Given
    ready(system, scripted_pacs(recent(), request_delay_s=2.0))
    system.command(ProfileNode(node="pacs"))
    wait_until(lambda: system.broker.queue_state("query-profile").ready == 0)
    # When
    system.stop()
    # Then
    assert system.broker.queue_state("query-profile").ready == 1
    assert system.published(NodeProfiled) == []
