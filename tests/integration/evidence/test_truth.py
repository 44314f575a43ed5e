"""What the ledger proves of a made-up hospital, number by number against the truth of its generator."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest

from services.query.ledger.tally.ended_queries import due_queries
from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.contract.criteria import CODES, TYPE_ORDER
from shared.database.models import Node, StoredObject
from shared.database.session import Database
from shared.evidence.ris_list import read_lines
from shared.nodes.nodes import find_node
from shared.reading.evidence.calendar import calendar_json
from shared.reading.evidence.coverage import StudyDays, coverage_json
from shared.reading.evidence.reconciliation import reconcile
from simulator.archive.model import Study
from simulator.generator.blueprints import expected_objects
from simulator.generator.generated_archive import generate
from tests.support.evidence.checked import check
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

TYPES = ["CT", "MG", "FL", "DX", "NM"]
FIRST, LAST = dt.date(2026, 2, 2), dt.date(2026, 2, 22)
STUDIES = 160
REPORTS = ("rdsr", "rrdsr")


def true_type(study: Study) -> str | None:
    """Return the type under which a study counts."""
    codes = {series.modality for series in study.series}
    if codes == {"SR"}:
        return "SR"
    return next((name for name in TYPE_ORDER if name != "SR" and codes & set(CODES[name])), None)


def true_source(study: Study) -> str:
    """Return where the dose of a study is."""
    kept = expected_objects(study, TYPES, include_sr_only=True)
    contents = {
        instance.content
        for series in study.series
        for instance in series.instances
        if instance.sop_instance_uid in kept
    }
    if any(content.startswith(REPORTS) for content in contents):
        return "report"
    if any(content.startswith("esr") for content in contents):
        return "enhanced_sr"
    return "images" if contents else "none"


def true_station(study: Study, type_name: str) -> str:
    """Return the station of the series of a study's type."""
    names = [series.station_name for series in study.series if series.modality in CODES[type_name]]
    return min((name for name in names if name), default="")


def truth(studies: Iterable[Study]) -> Counter[tuple[str, str, str, str]]:
    """Count studies by station, type, Monday of the week and source."""
    counted: Counter[tuple[str, str, str, str]] = Counter()
    for study in studies:
        type_name, day = true_type(study), study.date
        if type_name is not None and day is not None:
            week = day - dt.timedelta(days=day.weekday())
            counted[true_station(study, type_name), type_name, week.isoformat(), true_source(study)] += 1
    return counted


@pytest.fixture
def hospital(
    make_system: Callable[..., System], database: Database, scripted_pacs
) -> Iterator[tuple[System, list[Study]]]:
    """A system that has queried everything of a PACS, and the studies of that PACS."""
    broker = MemoryBroker()
    broker.declare()
    system = make_system(broker, database)
    archive = generate(STUDIES, 7, FIRST, LAST)
    pacs = scripted_pacs(archive, ae_title="DEMO")
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_own_store()
    system.start("query")
    criteria = {
        "types": TYPES,
        "include_sr_only": True,
        "date_from": FIRST.isoformat(),
        "date_until": LAST.isoformat(),
    }
    assert system.finished_query(criteria)["status"] == "completed"
    yield system, list(archive.studies())
    system.stop()


def true_state(study: Study, retrieved: bool) -> str:
    """Return the state of the line of a study, once everything that is kept was retrieved or nothing was."""
    type_name = true_type(study)
    if type_name is None:
        return "not_asked"
    if true_source(study) == "none":
        return "no_dose_object"
    return "has_dose" if retrieved else "not_retrieved"


def pacs_of(system: System) -> Node:
    with system.database.read() as session:
        return find_node(session, "pacs")


def nothing_due(database: Database) -> bool:
    """Return whether the query service has added up what has ended."""
    with database.read() as session:
        return due_queries(session) is None


def test_coverage_and_calendar_hold_the_numbers_of_the_truth(hospital):
    # Given
    system, studies = hospital
    types, node = [*TYPES, "SR"], pacs_of(system)
    wait_until(lambda: nothing_due(system.database))
    # When
    with system.database.read() as session:
        check(session, node, types, FIRST, LAST, utc_now())
        shown = coverage_json(session, node, types, StudyDays(FIRST, LAST), 5, utc_now())
        month = calendar_json(session, node, types, FIRST.replace(day=1), system.settings, utc_now())
    # Then
    counted = Counter(
        {
            (station["station"], station["type"], week["week"], source): number
            for station in shown["stations"]
            for week in station["weeks"]
            for source, number in week["sources"].items()
            if number
        }
    )
    assert counted == truth(studies)
    assert shown["not_settled"] == 0
    by_day = Counter((true_type(study), str(study.date)) for study in studies)
    for of_type in month["types"]:
        for day in of_type["days"]:
            number = by_day[of_type["type"], day["day"]]
            within = FIRST.isoformat() <= day["day"] <= LAST.isoformat()
            expected = ("complete" if number else "empty") if within else "not_asked"
            assert (day["day"], day["state"], day["studies"]) == (day["day"], expected, number)


def test_a_list_of_the_ris_has_the_states_of_the_truth(hospital):
    # Given: every study of the PACS, by accession number or UID, and some that it does not have
    system, studies = hospital
    lines = [
        {
            "accession_number": study.accession_number if number % 2 else "",
            "study_instance_uid": "" if number % 2 else study.study_instance_uid,
            "day": str(study.date),
            "room": f"R{number % 3}",
            "modality": study.modalities[0],
        }
        for number, study in enumerate(studies)
    ]
    lines += [{"accession_number": "NOT-THERE", "day": str(LAST), "modality": "CT"}]
    lines += [{"accession_number": "NOT-THERE", "day": str(LAST + dt.timedelta(days=1))}]
    node = pacs_of(system)
    # When
    with system.database.write() as session:
        before = reconcile(session, node, read_lines(lines), system.settings, utc_now())
        for study in studies:
            for uid in expected_objects(study, TYPES, include_sr_only=True):
                session.add(stored(study, uid))
        session.flush()
        after = reconcile(session, node, read_lines(lines), system.settings, utc_now())
    # Then
    for shown, retrieved in ((before, False), (after, True)):
        expected = [true_state(study, retrieved) for study in studies]
        assert [line["state"] for line in shown["lines"]] == [*expected, "not_in_pacs", "not_asked"]
        totals = Counter({state: number for state, number in shown["totals"].items() if number})
        assert totals == Counter(expected) + Counter(["not_in_pacs", "not_asked"])
        by_room = Counter((f"R{number % 3}", state) for number, state in enumerate(expected))
        found = {
            (room, state): number
            for room, counts in shown["by_room"].items()
            for state, number in counts.items()
            if number and room
        }
        assert found == by_room


def stored(study: Study, sop_instance_uid: str) -> StoredObject:
    """Return the row of an object that has arrived."""
    series = next(
        series
        for series in study.series
        if any(instance.sop_instance_uid == sop_instance_uid for instance in series.instances)
    )
    return StoredObject(
        sop_instance_uid=sop_instance_uid,
        series_instance_uid=series.series_instance_uid,
        study_instance_uid=study.study_instance_uid,
        source="store",
        received_at=utc_now(),
        last_received_at=utc_now(),
    )
