"""The list of a query's studies: in each order all pages hold each study once."""

from __future__ import annotations

from typing import Any

import pytest

from shared.database.models import Query
from shared.reading.lists.keyset import Place
from shared.reading.lists.study_search import (
    SORTS,
    StudySearch,
    count_studies,
    find_studies_of,
    sort_of,
    study_key,
)
from tests.support.jobs.rows import a_query, a_study

STUDIES = 17


@pytest.fixture
def query(session) -> Query:
    """A query with studies of which the PACS returned more or less."""
    query = a_query(studies_found=STUDIES)
    session.add(query)
    session.flush()
    for number in range(STUDIES):
        columns: dict[str, Any] = {
            "study_date": f"2024040{number % 3 + 1}" if number % 5 else None,
            "study_time": f"{number % 4:02}0000" if number % 3 else None,
            "description": [None, "", "Head", "Thorax"][number % 4],
            "station_name": "CT-1" if number % 2 else None,
            "accession_number": f"A{number % 6}" if number % 4 else None,
            "instance_count": number % 5 or None,
            "type": "CT" if number % 3 else None,
            "decision": "keep" if number % 2 else "drop",
        }
        session.add(a_study(f"1.{number:02}", **columns))
    session.flush()
    return query


@pytest.mark.parametrize("sort", SORTS)
def test_pages_of_each_order_hold_each_study_once(session, query, sort):
    # Given
    wanted = StudySearch(sort=sort)

    def at(place: Place):
        return find_studies_of(session, query, wanted, place, 4)

    # When
    forwards = [at(Place())]
    while forwards[-1].has_next:
        forwards.append(at(Place(after=study_key(forwards[-1].rows[-1], sort))))
    backwards = [at(Place(last=True))]
    while backwards[-1].has_previous:
        backwards.append(at(Place(before=study_key(backwards[-1].rows[0], sort))))
    # Then
    there = [study.study_instance_uid for page in forwards for study in page.rows]
    back = [study.study_instance_uid for page in reversed(backwards) for study in page.rows]
    assert there == back
    assert sorted(there) == [f"1.{number:02}" for number in range(STUDIES)]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (StudySearch(), STUDIES),
        (StudySearch(decision="keep"), 8),
        (StudySearch(text="1.03"), 1),
        (StudySearch(text="A1"), 3),
        (StudySearch(text="THOR"), 4),
        (StudySearch(text="ct-1"), 8),
        (StudySearch(reason="known"), 0),
    ],
)
def test_studies_are_found_and_counted(session, query, wanted, number):
    assert count_studies(session, query, wanted) == number
    assert len(find_studies_of(session, query, wanted, Place(), 50).rows) == number


def test_a_huge_query_is_in_the_order_of_uids():
    assert sort_of(a_query(studies_found=20_001), "newest") == "uid"
    assert sort_of(a_query(studies_found=20_000), "nonsense") == "newest"
