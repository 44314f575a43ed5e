"""The audit trail: who did what, when, and from where; as a list and as CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.security.sessions import ADMINS, requires
from services.web.views.cursors import cursor, place_of, read_number
from shared.contract.results import AuditRecord
from shared.node_access.limits import parse_zone
from shared.reading.exports.csv_cells import csv_rows
from shared.reading.lists.pages import AuditFilter, audit_actions, audit_page

blueprint = Blueprint("audit", __name__, url_prefix="/audit")

#: Entries of a page, and those that the export reads at once.
PAGE, EXPORTED_AT_ONCE = 100, 1000
FILTERS, LONGEST = ("action", "user", "token", "from", "until"), 64
COLUMNS = ("at", "action", "user", "token", "remote_address", "details")


@blueprint.get("")
@requires(*ADMINS)
def listing() -> ResponseReturnValue:
    """List what people and tokens changed, the newest first."""
    chosen = _chosen()
    key = place_of(request.args, read_number).after
    with components().database.read() as session:
        entries = audit_page(session, _filter(chosen), PAGE + 1, _number(key))
        actions = audit_actions(session)
    shown = entries[:PAGE]
    return render_template(
        "admin/audit.html",
        entries=shown,
        actions=actions,
        chosen=chosen,
        is_first=key is None,
        following=cursor([shown[-1]["id"]]) if len(entries) > PAGE else "",
    )


@blueprint.get("/audit.csv")
@requires(*ADMINS)
def export() -> ResponseReturnValue:
    """Send all entries that match the filter as CSV."""
    wanted, database = _filter(_chosen()), components().database

    def entries() -> Iterator[list[str]]:
        last: int | None = None
        with database.read() as session:
            while page := audit_page(session, wanted, EXPORTED_AT_ONCE, last):
                yield from (_cells(entry) for entry in page)
                last = page[-1]["id"]

    headers = {"Content-Disposition": 'attachment; filename="doseqr-audit.csv"'}
    return Response(csv_rows(COLUMNS, entries()), mimetype="text/csv", headers=headers)


def _cells(entry: AuditRecord) -> list[str]:
    text = [str(entry["at"] or ""), entry["action"], entry["user"], entry["token"], entry["remote_address"]]
    return [*text, json.dumps(entry["details"])]


def _chosen() -> dict[str, str]:
    given = {name: request.args.get(name, "").strip()[:LONGEST] for name in FILTERS}
    return {name: value for name, value in given.items() if value and value.isprintable()}


def _filter(chosen: dict[str, str]) -> AuditFilter:
    return AuditFilter(
        action=chosen.get("action"),
        user=chosen.get("user"),
        token=chosen.get("token"),
        since=_midnight(chosen.get("from")),
        until=_last_moment(chosen.get("until")),
    )


def _number(key: tuple[object, ...] | None) -> int | None:
    return int(str(key[0])) if key is not None else None


def _last_moment(text: str | None) -> datetime | None:
    end = _midnight(text, days=1)
    return None if end is None else end - timedelta(microseconds=1)


def _midnight(text: str | None, days: int = 0) -> datetime | None:
    """Return when a day begins at the site, or so many days later; None for what is no date."""
    try:
        day = date.fromisoformat(text or "") + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    zone = parse_zone(components().settings.time_zone)
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)
