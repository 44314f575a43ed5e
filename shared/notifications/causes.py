"""Causes and their events: each event is one row, whichever and however many processes observe it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.contract.json_types import JsonDocument
from shared.database.models import (
    Node,
    NotificationAddress,
    NotificationCause,
    NotificationDelivery,
    NotificationEvent,
    NotificationMark,
    User,
)
from shared.database.upsert import insert_missing
from shared.notifications.due import due_at
from shared.notifications.episode import EpisodeChange, Observation, observe, read_episode, settle
from shared.notifications.kinds import ROLES_OF, NoticeKind, Phase
from shared.users.node_groups import scope_of

#: Hexadecimal digits that stand for what a cause is about.
_DIGITS = 40
#: Keys of one statement.
_KEYS_AT_ONCE = 500


def cause_key(kind: NoticeKind, *about: object) -> str:
    """Return the key of a cause; names of any length may stand in it."""
    digest = hashlib.sha256("\0".join(map(str, about)).encode()).hexdigest()[:_DIGITS]
    return f"{kind}:{digest}" if about else str(kind)


def lock_cause(session: Session, kind: NoticeKind, key: str) -> NotificationCause:
    """Return the locked row of a cause; makes it the first time."""
    insert_missing(
        session,
        NotificationCause,
        [{"key": key, "kind": str(kind), "details": {}, "state": {}, "number": 0, "observed": 0}],
    )
    which = select(NotificationCause).where(NotificationCause.key == key).with_for_update()
    return session.scalars(which.execution_options(populate_existing=True)).one()


def record(
    session: Session,
    cause: NotificationCause,
    observation: Observation,
    details: JsonDocument,
    quiet: timedelta,
    site_zone: str,
) -> None:
    """Write down how a locked cause is, and the events that follow."""
    episode, turns = observe(read_episode(cause.state), observation, quiet)
    cause.state, cause.details = episode.to_json(), details
    _publish(session, cause, turns, quiet, site_zone)


def pass_time(
    session: Session, cause: NotificationCause, now: datetime, quiet: timedelta, site_zone: str
) -> None:
    """Write down that time passed for a locked cause, and the events that follow."""
    episode, turns = settle(read_episode(cause.state), now, quiet)
    if turns:
        cause.state = episode.to_json()
        _publish(session, cause, turns, quiet, site_zone)


def flapping_causes(session: Session) -> list[tuple[NoticeKind, str]]:
    """Return the kinds and keys of what is flapping."""
    flapping = NotificationCause.state["flapping"].as_boolean()
    rows = session.execute(select(NotificationCause.kind, NotificationCause.key).where(flapping.is_(True)))
    return [(NoticeKind(kind), key) for kind, key in rows]


def bad_causes(session: Session, kind: NoticeKind) -> dict[str, JsonDocument]:
    """Return the keys of what was not well when it was last observed, with the details of it."""
    bad = NotificationCause.state["bad"].as_boolean()
    rows = session.execute(
        select(NotificationCause.key, NotificationCause.details)
        .where(NotificationCause.kind == str(kind), bad.is_(True))
        .order_by(NotificationCause.key)
    )
    return {key: details for key, details in rows}  # noqa: C416 - rows are no pairs


def add_event(
    session: Session,
    key: str,
    kind: NoticeKind,
    phase: Phase,
    at: datetime,
    details: JsonDocument,
    addresses: Iterable[NotificationAddress],
    site_zone: str,
) -> bool:
    """Write an event and its deliveries; False if it is written already."""
    row = {"key": key, "kind": str(kind), "phase": str(phase), "at": at, "details": details}
    inserted = insert_missing(session, NotificationEvent, [row])
    if not inserted:
        return False
    event_id = inserted[0][0]
    deliveries = [
        {
            "event_id": event_id,
            "address_id": address.id,
            "state": "waiting",
            "attempts": 0,
            "detail": "",
            "due_at": due_at(address.digest_at, address.time_zone or site_zone, at),
        }
        for address in addresses
    ]
    insert_missing(session, NotificationDelivery, deliveries)
    return True


def known_events(session: Session, keys: Sequence[str]) -> set[str]:
    """Return those of the keys of which there is an event already."""
    found: set[str] = set()
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        which = NotificationEvent.key.in_(keys[first : first + _KEYS_AT_ONCE])
        found.update(session.scalars(select(NotificationEvent.key).where(which)))
    return found


def addresses_for(
    session: Session, kind: NoticeKind, node: str = ""
) -> list[tuple[NotificationAddress, str]]:
    """Return the addresses that are notified of a kind, each with the name of its owner.

    Without an owner it is of the installation. `node`: the name of the node that it is about; owners who may
    use some groups of nodes alone are notified of those.
    """
    groups = set(session.scalars(select(Node.group).where(Node.name == node))) if node else set()
    rows = session.execute(
        select(NotificationAddress, User)
        .outerjoin(User, User.id == NotificationAddress.owner_id)
        .where(NotificationAddress.paused_at.is_(None))
        .order_by(NotificationAddress.id)
    )
    return [
        (address, user.name if user is not None else "")
        for address, user in rows
        if kind in address.kinds
        and (user is None or (user.disabled_at is None and user.role in ROLES_OF[kind]))
        and (user is None or not node or _may_use(user, groups))
    ]


def _may_use(user: User, groups: set[str]) -> bool:
    scope = scope_of(user)
    return scope is None or bool(groups & (scope.groups - {""}))


def hold(session: Session, name: str, holder: str, now: datetime, lease: timedelta) -> bool:
    """Take or renew the mark of what one replica does at a time; False if another one holds it."""
    mark = NotificationMark
    insert_missing(session, mark, [{"name": name, "until": now, "holder": ""}])
    taken = (
        update(mark)
        .where(mark.name == name, (mark.holder == holder) | (mark.until <= now))
        .values(holder=holder, until=now + lease)
    )
    return session.connection().execute(taken).rowcount == 1


def release(session: Session, name: str, holder: str, now: datetime) -> None:
    """Let another replica hold a mark at once."""
    mark = NotificationMark
    session.execute(update(mark).where(mark.name == name, mark.holder == holder).values(until=now))


def take_turn(session: Session, name: str, now: datetime, every: timedelta) -> bool:
    """Return whether something is due that is done once in a time, and note that it is done now."""
    mark = NotificationMark
    insert_missing(session, mark, [{"name": name, "until": now, "holder": ""}])
    due = update(mark).where(mark.name == name, mark.until <= now).values(until=now + every)
    return session.connection().execute(due).rowcount == 1


def read_mark(session: Session, name: str, first: datetime) -> datetime:
    """Return how far something was observed; `first` the first time."""
    insert_missing(session, NotificationMark, [{"name": name, "until": first, "holder": ""}])
    return session.get_one(NotificationMark, name).until


def move_mark(session: Session, name: str, until: datetime) -> None:
    """Write how far something was observed."""
    session.execute(update(NotificationMark).where(NotificationMark.name == name).values(until=until))


def _publish(
    session: Session,
    cause: NotificationCause,
    turns: Sequence[EpisodeChange],
    quiet: timedelta,
    site_zone: str,
) -> None:
    kind = NoticeKind(cause.kind)
    for turn in turns:
        cause.number += 1
        details = {
            **cause.details,
            "lasted_s": turn.lasted_s,
            "failures": turn.failures,
            "turns": turn.turns,
            "quiet_s": int(quiet.total_seconds()),
        }
        add_event(
            session,
            f"{cause.key}#{cause.number}",
            kind,
            turn.phase,
            turn.at,
            details,
            [address for address, _ in addresses_for(session, kind, str(details.get("node", "")))],
            site_zone,
        )
