"""Estimates from what the database knows of a node."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.contract.criteria import parse_criteria
from shared.database.models import Node, NodeProfile
from shared.nodes.nodes import add_node, parse_node
from shared.nodes.peers import address_of, peer_of
from shared.querying.profile import Profile
from shared.reading.estimates import estimate_of
from shared.settings import Settings
from tests.support.jobs.rows import NOW, a_query, a_study

SETTINGS = Settings()
TODAY = date(2024, 6, 15)
CRITERIA = parse_criteria({"types": ["CT"], "date_from": "2024-05-01", "date_until": "2024-05-10"})


@pytest.fixture
def node(session: Session) -> Node:
    given = {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}
    given |= {"requests_per_minute": 60, "hours": "18:00-06:00"}
    return add_node(session, parse_node(given), NOW)


def remember(session: Session, node: Node, job_id: str = "query-1", studies: int = 20, **fields: Any) -> None:
    """Remember an earlier query of ten days."""
    defaults: dict[str, Any] = {
        "remote_id": node.id,
        "criteria": {"types": ["CT"], "date_from": "2024-04-01", "date_until": "2024-04-10"},
        "started_at": NOW,
        "ended_at": NOW + timedelta(seconds=24),
        "studies_found": studies,
        "slices_total": 4,
        "finds": 24,
    }
    session.add(a_query(job_id, **defaults | fields))
    session.flush()
    for number in range(studies):
        session.add(a_study(f"1.2.{number}", job_id))
    session.flush()


def test_earlier_queries_of_the_node_are_counted(session: Session, node: Node) -> None:
    # Given
    remember(session, node)
    # When
    known = estimate_of(session, node, SETTINGS, CRITERIA, TODAY)
    # Then
    assert (known.queries, known.known_days, known.hours) == (1, 10, "18:00-06:00")
    assert known.studies is not None
    assert known.studies.low < 20 < known.studies.high
    assert known.minutes is not None
    assert known.requests is not None
    assert known.minutes.high >= known.requests.high / 60


@pytest.mark.parametrize(
    "fields",
    [
        {"remote_id": 99},
        {"status": "failed"},
        {"status": "incomplete"},
        {"studies_found": 100_000},
        {"criteria": {"types": ["nonsense"]}},
    ],
)
def test_what_has_no_value_is_left_out(session: Session, node: Node, fields: dict[str, Any]) -> None:
    # Given
    remember(session, node, **fields)
    # When
    known = estimate_of(session, node, SETTINGS, CRITERIA, TODAY)
    # Then
    assert (known.queries, known.studies) == (0, None)


def test_slices_are_planned_by_the_profile_of_the_present_address(session: Session, node: Node) -> None:
    # Given
    address = address_of(peer_of(node, SETTINGS))
    profile = Profile(busiest=250.0, widest_days=5).to_json()
    session.add(NodeProfile(node_id=node.id, address=address, data=profile, updated_at=NOW))
    session.flush()
    # When
    here = estimate_of(session, node, SETTINGS, CRITERIA, TODAY).slices
    node.port = 105
    elsewhere = estimate_of(session, node, SETTINGS, CRITERIA, TODAY).slices
    # Then
    assert (here, elsewhere) == (10, 2)
