"""A page whose nodes belong to two hospitals, with everything that can belong to one of them, twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.clock import utc_now
from shared.database.models import Comparison, LongList, LongListPart, NodeCheck, User
from shared.database.session import Database
from shared.users.accounts import create_user, find_user
from shared.users.api_tokens import create_token
from shared.users.node_groups import set_groups
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_study
from tests.support.jobs.schedules import plan_nightly
from tests.support.services.web import PASSWORD, Site, a_node

#: Stands in every name of the other hospital, and nowhere in the pages themselves.
MARK = "zzother"


@dataclass(frozen=True, slots=True)
class Hospital:
    """The ids of what belongs to a hospital."""

    group: str
    remote: int
    store: int
    schedule: int
    #: The beginning of its names and ids.
    mark: str

    @property
    def arguments(self) -> dict[str, Any]:
        """What the parts of addresses stand for."""
        mark = self.mark
        return {
            "job_id": f"{mark}q",
            "job": f"{mark}q",
            "query_id": f"{mark}q",
            "node_id": self.remote,
            "node": str(self.remote),
            "study_instance_uid": "1.2",
            "study": "1.2",
            "comparison": f"{mark}c",
            "comparison_id": f"{mark}c",
            "schedule": str(self.schedule),
            "schedule_id": self.schedule,
            "list_id": f"{mark}l",
            "study_list": f"{mark}l",
        }


def fill(site: Site) -> tuple[Hospital, Hospital]:
    """Fill a page; returns the own hospital and the other one.

    `anna` (importer) and `vera` (viewer) may use the own one alone; tokens of theirs have the scopes `import`
    and `read`, and are named after them.
    """
    own = _hospital(site.database, "Own", "own")
    other = _hospital(site.database, "Other", MARK)
    for name, role in (("anna", "importer"), ("vera", "viewer")):
        with site.database.write() as session:
            user = create_user(session, name, role, PASSWORD, utc_now())
            set_groups(session, user, "Own")
    return own, other


def token_of(site: Site, name: str, scope: str) -> str:
    """Return a token in the name of a user."""
    with site.database.write() as session:
        owner: User = find_user(session, name)
        return create_token(session, f"{name} {scope}", owner, scope, utc_now())[1]


def _hospital(database: Database, group: str, mark: str) -> Hospital:
    remote = a_node(database, "remote", f"{mark}pacs", group=group)
    store = a_node(database, "store", f"{mark}archive", group=group)
    nodes = {
        "remote_id": remote.id,
        "remote_name": remote.name,
        "store_id": store.id,
        "store_name": store.name,
    }
    uid = "1.2"
    with database.write() as session:
        session.add(
            a_query(f"{mark}q", studies_found=1, studies_kept=1, requested_by=f"{mark}person", **nodes)
        )
        session.flush()
        session.add(a_study(uid, f"{mark}q", description=f"{mark}study", study_date="20240501"))
        session.add(a_retrieve(f"{mark}r", f"{mark}q", **nodes))
        session.add(NodeCheck(node_id=remote.id, ok=True, checked_at=NOW, outcome="success", detail=""))
        session.add(
            Comparison(
                id=f"{mark}c",
                left_query=f"{mark}q",
                left_name=remote.name,
                right_name="store",
                requested_at=NOW,
            )
        )
        session.add(
            LongList(
                id=f"{mark}l",
                name=f"{mark}list.csv",
                field="accession_numbers",
                remote_id=remote.id,
                store_id=store.id,
                criteria={"types": ["CT"]},
                identifiers=1,
                requested_at=NOW,
            )
        )
        session.flush()
        session.add(LongListPart(list_id=f"{mark}l", number=1, identifiers=["A1"], job_id=f"{mark}q"))
    schedule = plan_nightly(database, NOW, name=f"{mark}nightly", remote=remote.name, store=store.name)
    return Hospital(group, remote.id, store.id, schedule.id, mark)
