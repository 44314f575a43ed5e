"""Comparing what is added up with what the ledgers hold."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.database.models import Node, Query
from shared.database.models.query import UNTALLIED
from shared.evidence.calendar import DayCounts
from shared.evidence.day_proof import prove_days
from shared.reading.evidence.calendar import counts_of
from shared.reading.evidence.coverage import StationFilter, StudyDays, coverage_json, station_studies
from shared.reading.evidence.searches import of_days, searches
from shared.reading.evidence.tallies import node_numbers, node_proofs
from tests.support.evidence import oracle

LAST_STUDIES = 2


def check(session: Session, node: Node, types: list[str], first: date, last: date, now: datetime) -> None:
    """Assert that calendar, coverage and proofs are those of the ledgers, number by number."""
    numbers = node_numbers(session, node.id, first, last)
    counted = {key: counts for key, counts in counts_of(numbers).items() if counts != DayCounts()}
    expected = oracle.day_counts(session, node.id, first, last)
    assert counted == {key: counts for key, counts in expected.items() if counts != DayCounts()}
    nameless = {day for day, tally in numbers.days.items() if tally.found and not tally.named}
    assert nameless == oracle.nameless_days(session, node.id, first, last)
    if session.scalar(select(func.count()).where(UNTALLIED, Query.tallied_round.is_not(None))) == 0:
        # While a query is rerun, its earlier round still counts.
        _check_proofs(session, node, first, last)
    _check_coverage(session, node, types, StudyDays(first, last), now)


def _check_proofs(session: Session, node: Node, first: date, last: date) -> None:
    for hours in (-12, 0, 12):

        def end_of_day(day: date, hours: int = hours) -> datetime:
            midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00")
            return midnight + timedelta(days=1, hours=hours)

        found = searches(session, *of_days(node.id, first, last))
        expected = prove_days(found, first, last, end_of_day)
        shown = node_proofs(session, node.id, first, last, end_of_day)
        assert {key: proof for key, proof in shown.items() if proof.minutes or proof.requested} == {
            key: proof for key, proof in expected.items() if proof.minutes or proof.requested
        }


def _check_coverage(session: Session, node: Node, types: list[str], period: StudyDays, now: datetime) -> None:
    studies, not_settled = oracle.settled_studies(session, node.id, types, period)
    versions = oracle.software_versions(session, studies)
    shown = coverage_json(session, node, types, period, LAST_STUDIES, now)
    assert shown["not_settled"] == not_settled
    expected = oracle.coverage_of(studies, LAST_STUDIES)
    found = [
        (
            station["station"],
            station["type"],
            station["first_day"],
            station["last_day"],
            {name: number for name, number in station["sources"].items() if number},
            [(week["week"], week["studies"]) for week in station["weeks"]],
            [(alert["kind"], alert["since"], alert["studies"]) for alert in station["alerts"]],
            station["software_versions"],
        )
        for station in shown["stations"]
    ]
    assert sorted(found, key=lambda entry: entry[:2]) == sorted(
        (
            (
                entry.station,
                entry.type,
                entry.first_day.isoformat(),
                entry.last_day.isoformat(),
                {source.value: number for source, number in entry.counts.items() if number},
                [(week.monday.isoformat(), sum(week.counts.values())) for week in entry.weeks],
                [(alert.kind.value, alert.since.isoformat(), alert.studies) for alert in entry.alerts],
                list(versions.get((entry.station, entry.type), ())),
            )
            for entry in expected
        ),
        key=lambda entry: entry[:2],
    )
    listed, number = station_studies(session, node, period, StationFilter())
    assert number == len(listed)
    for limit in (0, 1, 3):
        assert station_studies(session, node, period, StationFilter(), limit) == (listed[:limit], number)
    of_types = [study for study in listed if study["type"] in types]
    ordered = sorted(studies, key=lambda study: (study.day, study.time, study.study_instance_uid))
    assert [(study["study_instance_uid"], study["source"], study["job_id"]) for study in of_types] == [
        (study.study_instance_uid, study.source.value, study.job_id) for study in reversed(ordered)
    ]
