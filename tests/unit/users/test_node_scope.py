"""Who may use some groups of nodes sees nothing of the others, whatever the statement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import aliased

from shared.database.models import AuditEntry, Comparison, NodeCheck, Query, QueryStudy, Retrieve
from shared.database.session import Database
from shared.errors import NotFoundError
from shared.nodes.nodes import find_node, list_nodes
from shared.reading.jobs import count_jobs, find_job, get_job, list_jobs
from shared.reading.lists.job_search import JobSearch, find_jobs
from shared.reading.lists.keyset import Place
from shared.users.node_scope import NOTHING, NodeScope
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_study
from tests.support.servers.databases import prepare
from tests.support.services.web import a_node

OF_A, OF_BOTH = NodeScope(frozenset({"A"}), "anna"), NodeScope(frozenset({"A", "B"}), "anna")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Two hospitals with a remote node, a query and a retrieve each, a node of none, and a store for all."""
    opened = Database(f"sqlite:///{tmp_path / 'scopes.sqlite'}")
    prepare(opened)
    for name in ("A", "B", ""):
        node = a_node(opened, "remote", f"pacs{name}", group=name)
        with opened.write() as session:
            session.add(a_query(f"query{name}", remote_id=node.id, remote_name=node.name))
            session.flush()
            session.add(a_study("1.2", f"query{name}"))
            session.add(
                a_retrieve(f"retrieve{name}", f"query{name}", remote_id=node.id, remote_name=node.name)
            )
            session.add(NodeCheck(node_id=node.id, ok=True, checked_at=NOW, outcome="success", detail=""))
    a_node(opened, "store", "archive")
    a_node(opened, "store", "archiveB", group="B")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("scope", "nodes", "queries"),
    [
        (OF_A, {"pacsA", "archive"}, {"queryA"}),
        (OF_BOTH, {"pacsA", "pacsB", "archive", "archiveB"}, {"queryA", "queryB"}),
        (NOTHING, {"archive"}, set()),
        (NodeScope(frozenset({""}), ""), {"archive"}, set()),
    ],
)
def test_nodes_and_jobs_of_other_groups_are_not_there(database, scope, nodes, queries):
    # When
    with database.restricted(scope.restrict).read() as session:
        found = {node.name for node in list_nodes(session)}
        jobs = {job["id"] for job in list_jobs(session, kind="query")}
        grouped = {entry.job.id for entry in find_jobs(session, JobSearch(), Place(), 10).rows}
        number = count_jobs(session)
    # Then
    assert (found, jobs, grouped, number) == (nodes, queries, queries, 2 * len(queries))


@pytest.mark.parametrize("job_id", ["queryB", "retrieveB", "query", "retrieve"])
def test_a_job_of_another_group_is_not_found_by_its_id(database, job_id):
    with database.restricted(OF_A.restrict).read() as session:
        assert get_job(session, job_id) is None
        assert get_job(session, "queryA") is not None
        if job_id.endswith("B"):
            with pytest.raises(NotFoundError):
                find_job(session, job_id)


def test_a_node_of_another_group_is_not_named_where_one_is_unknown(database):
    with (
        database.restricted(OF_A.restrict).read() as session,
        pytest.raises(NotFoundError) as caught,
    ):
        find_node(session, "pacsB")
    assert str(caught.value).endswith("known: pacsA, archive")


def test_every_form_of_a_statement_is_filtered(database):
    # Given
    other = aliased(Query)
    parts = select(QueryStudy.job_id).join(Query, Query.id == QueryStudy.job_id)
    # When
    with database.restricted(OF_A.restrict).read() as session:
        found = {
            "column": session.scalars(select(Query.id)).all(),
            "alias": session.scalars(select(other.id)).all(),
            "join": session.scalars(parts).all(),
            "subquery": session.scalars(select(select(Query.id).subquery().c.id)).all(),
            "condition": session.scalars(
                select(QueryStudy.job_id).where(QueryStudy.job_id.in_(select(Query.id)))
            ).all(),
            "union": session.scalars(select(Query.id).union_all(select(other.id))).all(),
            "count": [session.scalar(select(func.count()).select_from(Query))],
            "checks": [len(session.scalars(select(NodeCheck)).all())],
        }
    # Then
    assert found == {
        **{key: ["queryA"] for key in ("column", "alias", "join", "subquery", "condition")},
        "union": ["queryA", "queryA"],
        "count": [1],
        "checks": [1],
    }


def test_rows_of_other_groups_are_not_changed(database):
    # When
    with database.restricted(OF_A.restrict).write() as session:
        session.execute(update(Retrieve).values(detail="changed"))
    # Then
    with database.read() as session:
        changed = session.scalars(select(Retrieve.id).where(Retrieve.detail == "changed")).all()
    assert changed == ["retrieveA"]


def test_a_group_is_left_with_the_node(database):
    # When
    with database.write() as session:
        find_node(session, "pacsA").group = "B"
    # Then
    with database.restricted(OF_A.restrict).read() as session:
        assert count_jobs(session) == 0


def a_comparison(name: str, left: str, right: str | None, names: tuple[str, str]) -> Comparison:
    return Comparison(
        id=name, left_query=left, right_query=right, left_name=names[0], right_name=names[1], requested_at=NOW
    )


def test_a_comparison_is_of_a_group_with_both_sides(database):
    # Given
    with database.write() as session:
        session.add_all(
            [
                a_comparison("own", "queryA", None, ("pacsA", "store")),
                a_comparison("both", "queryA", "queryB", ("pacsA", "pacsB")),
                a_comparison("other", "queryB", None, ("pacsA", "store")),
                a_comparison("soon", "not-yet", None, ("pacsA", "store")),
                a_comparison("soon-both", "not-yet", "nor-this", ("pacsA", "pacsB")),
                a_comparison("none", "query", None, ("pacs", "store")),
            ]
        )
    # When
    found = {}
    for name, scope in (("A", OF_A), ("both", OF_BOTH), ("nothing", NOTHING)):
        with database.restricted(scope.restrict).read() as session:
            found[name] = set(session.scalars(select(Comparison.id)))
    # Then
    assert found == {
        "A": {"own", "soon"},
        "both": {"own", "both", "other", "soon", "soon-both"},
        "nothing": set(),
    }


def test_of_the_audit_trail_there_is_ones_own_part(database):
    with database.write() as session:
        session.add_all(AuditEntry(at=NOW, action="query", user=name) for name in ("anna", "bob", ""))
    with database.restricted(OF_A.restrict).read() as session:
        assert session.scalars(select(AuditEntry.user)).all() == ["anna"]
