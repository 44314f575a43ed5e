"""Archives that change while they are queried, and clocks: a result holds for what was returned."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from shared.clock import utc_now
from shared.querying.profile import Profile
from simulator.archive.model import Study, StudyList
from tests.support.jobs.ward import (
    ONE,
    WARD,
    Desk,
    check_against_truth,
    judged_of,
    missing_studies,
    uid_of,
)
from tests.support.peers.studies import ct_study, series

Change = Callable[[StudyList], None]


class Changing(StudyList):
    """Studies that change when they are looked through for the nth time, as for a query at study level."""

    def __init__(self, studies: list[Study], changes: Mapping[int, Change]) -> None:
        super().__init__(studies)
        self._queries = itertools.count(1)
        self._changes = changes

    def studies(self, first: dt.date | None = None, last: dt.date | None = None) -> Iterator[Study]:
        change = self._changes.get(next(self._queries))
        if change is not None:
            change(self)
        return super().studies(first, last)


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


def grown(study: Study) -> Study:
    """Return the study with one more series, which carries no dose."""
    more = series("presentation_state", uid=f"{study.study_instance_uid}999")
    return dataclasses.replace(study, series=(*study.series, more))


def shrunk(study: Study) -> Study:
    """Return the study without its last series."""
    return dataclasses.replace(study, series=tuple(study.series)[:-1])


@pytest.mark.parametrize("number", [2, 3, 5])
@pytest.mark.parametrize("kind", ["ct_esr", "mg_images", "petct"])
def test_a_study_that_grows_between_two_slices_is_judged_once_and_rightly(desk, kind, number):
    # Given
    archive = Changing(WARD, {number: lambda archive: archive.add(grown(ONE[kind]))})
    # When
    query = desk.run_query({}, archive=archive)
    # Then
    assert query["status"] == "completed"
    assert len([study for study in query["studies"] if study["study_instance_uid"] == uid_of(kind)]) == 1
    others = [study for study in WARD if study.kind != kind]
    assert check_against_truth({**query, "studies": _without(query, kind)}, others, desk.right()) == set()
    kept = judged_of(query)[uid_of(kind)]
    assert (kept["decision"], kept["reason"]) == ("keep", desk.right()[uid_of(kind)]["reason"])


def _without(query, kind: str):
    return [study for study in query["studies"] if study["study_instance_uid"] != uid_of(kind)]


@pytest.mark.parametrize("change", ["gone", "shrunk"])
@pytest.mark.parametrize("kind", ["ct_esr", "mg_rdsr"])
def test_a_study_that_is_gone_or_less_after_it_was_named_is_missing(desk, kind, change):
    # Given
    archive = Gone(WARD, ONE[kind], change)
    # When
    query = desk.run_query({"relational": "refused"}, archive=archive)
    # Then
    assert query["status"] == "incomplete"
    assert missing_studies(query) == {uid_of(kind)}
    assert {gap["reason"] for gap in query["missing"]} == {"fewer_series_than_announced"}


class Gone(StudyList):
    """Studies of which one is named whole, and is less or gone when it is requested."""

    def __init__(self, studies: list[Study], ill: Study, change: str) -> None:
        super().__init__(studies)
        self._ill = ill
        self._left = shrunk(ill) if change == "shrunk" else None

    def study(self, study_instance_uid: str) -> Study | None:
        if study_instance_uid == self._ill.study_instance_uid:
            return self._left
        return super().study(study_instance_uid)


def test_a_study_that_arrives_while_parts_are_compared_does_no_harm(desk):
    # Given: the whole of a window has one study less than its parts together
    late = [ct_study(date=dt.date(2024, 3, 5), time=dt.time(12, minute)) for minute in range(3)]
    archive = Changing(WARD, {2: lambda archive: archive.add(late[0]), 4: lambda archive: archive.add(*late)})
    # When
    query = desk.run_query({}, archive=archive, learned=Profile(proven=3))
    # Then
    assert query["status"] == "completed"
    judged = judged_of(query)
    names = {study.study_instance_uid for study in late}
    rest = {
        **query,
        "studies": [study for study in query["studies"] if study["study_instance_uid"] not in names],
    }
    assert check_against_truth(rest, WARD, desk.right()) == set()
    assert {judged[uid]["reason"] for uid in names & judged.keys()} <= {"rdsr"}


def test_a_second_request_gives_the_same(desk):
    # Given
    name = desk.open(WARD)
    # When
    first, second = desk.query(name), desk.query(name)
    # Then
    assert judged_of(first) == judged_of(second) == desk.right()
    desk.pacs[-1].stop()


# Clocks


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the time zone of the process for a test."""

    def set_to(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_to
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "moment", "today"),
    [
        ("UTC", "2024-03-05T23:59:59+00:00", "2024-03-05"),
        ("Europe/Helsinki", "2024-03-05T22:30:00+00:00", "2024-03-06"),
        ("America/New_York", "2024-03-05T03:00:00+00:00", "2024-03-04"),
        # The nights in which clocks are changed.
        ("Europe/Berlin", "2024-03-31T00:59:59+00:00", "2024-03-31"),
        ("Europe/Berlin", "2024-10-27T00:30:00+00:00", "2024-10-27"),
    ],
)
def test_today_is_that_of_the_worker_where_it_stands_and_stays_so_over_midnight(
    system, scripted_pacs, monkeypatch, zone, name, moment, today
):
    # Given
    zone(name)
    day = dt.date.fromisoformat(today)
    studies = [ct_study(date=day + dt.timedelta(days=offset)) for offset in (-1, 0, 1)]
    pacs = scripted_pacs(studies)
    # Three hours pass between the order and the first question.
    ahead = dt.datetime.fromisoformat(moment) - utc_now()
    monkeypatch.setattr(
        "shared.database.clock.utc_now",
        lambda: utc_now() + ahead + dt.timedelta(hours=3 if pacs.witness.requests else 0),
    )
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start("query")
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(day - dt.timedelta(days=1))})
    # Then
    assert query["status"] == "completed"
    assert set(judged_of(query)) == {study.study_instance_uid for study in studies[:2]}


@pytest.mark.parametrize("day", [dt.date(2024, 3, 31), dt.date(2024, 10, 27)], ids=str)
def test_the_hour_that_is_missing_or_comes_twice_is_a_time_of_day_like_any(desk, zone, day):
    # Given
    zone("Europe/Berlin")
    studies = [ct_study(date=day, time=dt.time(1, 50, second)) for second in (0, 59)]
    studies += [ct_study(date=day, time=dt.time(2, minute, 30)) for minute in range(0, 60, 12)]
    criteria = {"types": ["CT"], "date_from": str(day), "date_until": str(day)}
    # When
    query = desk.run_query(
        {"cap": 2, "cap_effect": "refuse_after", "cap_levels": ["STUDY"]}, archive=studies, criteria=criteria
    )
    # Then
    assert query["status"] == "completed"
    assert set(judged_of(query)) == {study.study_instance_uid for study in studies}
