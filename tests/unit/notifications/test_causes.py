"""Whom an event reaches: by kind, role and groups of nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.clock import utc_now
from shared.database.session import Database
from shared.notifications.causes import addresses_for
from shared.notifications.kinds import NoticeKind
from shared.users.accounts import create_user
from shared.users.node_groups import set_groups
from tests.support.jobs.notifications import notify, notifying_settings
from tests.support.servers.databases import prepare
from tests.support.services.web import a_node


@pytest.mark.parametrize(
    ("node", "reached"),
    [
        ("pacsA", {"anna", "ina", "chief"}),
        ("pacsB", {"ina", "chief"}),
        ("pacs", {"ina", "chief"}),
        ("removed", {"ina", "chief"}),
        ("", {"anna", "ina", "chief"}),
    ],
)
def test_people_are_notified_of_the_nodes_they_may_use(tmp_path: Path, node: str, reached: set[str]) -> None:
    # Given: an importer of group A, one without limits, and an administrator, who has none
    database = Database(f"sqlite:///{tmp_path / 'notifications.sqlite'}")
    prepare(database)
    for group in ("A", "B", ""):
        a_node(database, "remote", f"pacs{group}", group=group)
    settings = notifying_settings(tmp_path)
    for name, role, groups in (("anna", "importer", "A"), ("ina", "importer", ""), ("chief", "admin", "B")):
        with database.write() as session:
            set_groups(session, create_user(session, name, role, "correct horse", utc_now()), groups)
        notify(database, settings, f"json://127.0.0.1:9/{name}", name, kinds=["schedule"])
    # When
    with database.read() as session:
        found = {owner for _, owner in addresses_for(session, NoticeKind.SCHEDULE, node)}
    database.close()
    # Then
    assert found == reached
