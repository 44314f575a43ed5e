"""The audit trail: who did what, when, from where."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from services.web.api.keyset_page import Page, PageQuery, page
from services.web.api.operations import OperationTable
from services.web.api.routes.jobs import ShortText
from services.web.api.times import in_utc
from services.web.components import components
from shared.contract.results import AuditRecord
from shared.reading.lists.pages import AuditFilter, audit_page

table = OperationTable("audit")

#: Largest id that both databases take.
_MAX_ID = 2**31 - 1


class AuditQuery(PageQuery):
    """Which entries."""

    action: ShortText | None = None
    user: ShortText | None = None
    token: ShortText | None = Field(None, description="Name of an API token.")
    since: AwareDatetime | None = Field(None, alias="from", description="At this time or later.")
    until: AwareDatetime | None = Field(None, description="At this time or before.")


@table.add("GET", "/audit", scope="admin", query=AuditQuery, result=Page[AuditRecord])
def list_audit(query: AuditQuery) -> object:
    """List what people and tokens changed, the newest first."""
    key = query.key(int)
    after = min(max(key[0], 0), _MAX_ID) if key is not None else None
    wanted = AuditFilter(
        action=query.action,
        user=query.user,
        token=query.token,
        since=in_utc("from", query.since),
        until=in_utc("until", query.until),
    )
    with components().database.read() as session:
        entries = audit_page(session, wanted, query.limit, after)
    return page(entries, query.limit, [entries[-1]["id"]] if entries else [])
