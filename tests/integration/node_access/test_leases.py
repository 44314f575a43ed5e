"""Leases of associations when the database is away as they are given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.orm import Session

from shared.clock import utc_now
from shared.database.session import Database
from shared.errors import DatabaseAwayError
from shared.node_access.leases import LeaseAttempt, Leases
from shared.nodes.nodes import add_node, parse_node


class Unsteady(Database):
    """A database that a test lets be away."""

    away = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.away:
            raise DatabaseAwayError("away")
        with super().write() as session:
            yield session


@pytest.fixture
def unsteady(database_url):
    made = Unsteady(database_url)
    yield made
    made.close()


def test_what_was_given_back_without_a_database_is_free_once_it_is_there_again(unsteady):
    # Given
    values = {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}
    with unsteady.write() as session:
        node_id = add_node(session, parse_node({**values, "max_associations": 1}), utc_now()).id
    own, other = Leases(unsteady, "one", utc_now), Leases(unsteady, "other", utc_now)
    assert own.attempt(node_id, "of-one")[0] is LeaseAttempt.HOLDS
    unsteady.away = True
    own.drop("of-one")
    unsteady.away = False
    outcome, number = other.attempt(node_id, "of-other")
    assert outcome is LeaseAttempt.WAITS
    # When
    own.renew()
    # Then
    assert other.attempt(node_id, "of-other", number)[0] is LeaseAttempt.HOLDS
