"""What is added up equals what the ledgers hold, whatever queries ran, ended and were rerun in between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.query.ledger.tally import ended_queries
from services.query.ledger.tally.ended_queries import due_queries
from shared.database.session import Database
from tests.support.evidence.checked import check
from tests.support.evidence.hospital import FIRST, LAST, NOW, PACS, TYPES, Hospital, clear
from tests.support.examples import examples
from tests.support.servers.databases import prepare


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path_factory.mktemp('tally') / 'jobs.sqlite'}")
    prepare(found)
    yield found
    found.close()


ACTIONS: dict[str, Callable[[Hospital], None]] = {
    "begin": Hospital.begin,
    "end": Hospital.end,
    "rerun": Hospital.rerun,
    "store": Hospital.store,
    "tally one": lambda hospital: hospital.tally(1),
    "tally all": lambda hospital: hospital.tally(100),
}


@settings(max_examples=examples(15))
@given(st.lists(st.sampled_from(["begin"] * 3 + list(ACTIONS)), min_size=3, max_size=14), st.integers())
def test_numbers_are_those_of_the_ledgers_after_any_history(
    database: Database, actions: list[str], seed: int
) -> None:
    with database.write() as session, pytest.MonkeyPatch.context() as patch:
        # Given
        patch.setattr(ended_queries, "STUDIES_AT_ONCE", 2)
        clear(session)
        hospital = Hospital(session, Random(seed))
        # When
        for action in actions:
            ACTIONS[action](hospital)
            session.expire_all()
        # Then
        check(session, PACS, TYPES, FIRST, LAST + dt.timedelta(days=3), NOW)
        # And: the same once everything has ended
        hospital.end()
        hospital.tally(100)
        session.expire_all()
        check(session, PACS, TYPES, FIRST, LAST + dt.timedelta(days=3), NOW)
        assert due_queries(session) is None
