"""Deliveries: claimed by lease, sent, tried again later, or given up.

An address is claimed, not a delivery: all that is due there is one message, and a replica alone sends it. A
replica that dies between its claim and its record leaves the lease to end; then all is sent once more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.database.models import NotificationAddress, NotificationDelivery, NotificationEvent, User
from shared.notifications.addresses import drop_waiting
from shared.notifications.due import retry_at
from shared.notifications.kinds import ROLES_OF, NoticeKind, Phase
from shared.notifications.results import NotificationDeliveryResult
from shared.notifications.texts import EVENTS_OF_MESSAGE, Notice, Translate, as_it_is, title
from shared.notifications.transport.address import destination_of

#: Time for which events and their deliveries are kept.
KEPT = timedelta(days=90)
#: Stands with what was given up because nobody lived to record its last attempt.
INTERRUPTED = "The service ended while it was sent."
#: Addresses that are considered for a claim.
_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """What a replica alone sends now."""

    address_id: int
    number: int
    sealed: str
    shown: str
    digest: bool
    language: str
    event_ids: tuple[int, ...]
    events: tuple[Notice, ...]

    @property
    def destination(self) -> str:
        """The server to which it goes."""
        return destination_of(self.shown)


@dataclass(frozen=True, slots=True)
class DeliveryTerms:
    """How long a claim is a replica's own, and the pauses before each new attempt."""

    lease: timedelta
    pauses: tuple[float, ...]


def claim_next(
    session: Session, now: datetime, terms: DeliveryTerms, busy: Collection[str] = ()
) -> DeliveryClaim | None:
    """DeliveryClaim the address for which something is due; None if there is none.

    What failed least comes first, and nothing for the servers in `busy`: one that hangs must not hold up the
    others. Each claim is an attempt, so that what ends its process each time is given up, too.
    """
    for address_id, shown in _due(session, now):
        if destination_of(shown) in busy:
            continue
        claimed = _claim(session, address_id, now, terms)
        if claimed is not None:
            return claimed
    return None


def is_due(session: Session, now: datetime) -> bool:
    """Return whether anything is due: a claim is a write, and mostly there is nothing to claim."""
    return bool(_due(session, now))


def mark_sent(session: Session, claim: DeliveryClaim, now: datetime) -> bool:
    """Remember that a claim was sent; False if its lease had ended, and another replica has it."""
    address = _claimed(session, claim)
    if address is None:
        return False
    address.claimed_until, address.sent_at = None, now
    address.problem, address.failed_at = "", None
    _end(session, claim, claim.event_ids, "sent", "", now)
    return True


def mark_failed(
    session: Session,
    claim: DeliveryClaim,
    detail: str,
    terms: DeliveryTerms,
    now: datetime,
    *,
    final: bool = False,
) -> bool:
    """Remember why a claim was not sent: it is tried again, or given up after the last pause or if `final`.

    False if its lease had ended, and another replica has it.
    """
    address = _claimed(session, claim)
    if address is None:
        return False
    address.claimed_until = None
    given_up = []
    for row in _deliveries(session, claim):
        again = None if final else retry_at(row.attempts, terms.pauses, now)
        if again is None:
            given_up.append(row.event_id)
        else:
            row.due_at, row.detail = again, detail
    if given_up:
        address.problem, address.failed_at = detail, now
        _end(session, claim, given_up, "failed", detail, now)
    return True


def give_back(session: Session, claim: DeliveryClaim) -> None:
    """Give back a claim of which the attempt was cut short; it does not count."""
    address = _claimed(session, claim)
    if address is not None:
        address.claimed_until = None
        for row in _deliveries(session, claim):
            row.attempts -= 1


def prune(session: Session, now: datetime) -> None:
    """Delete events that are long past, with their deliveries."""
    old = select(NotificationEvent.id).where(NotificationEvent.at < now - KEPT).limit(1000)
    ids = list(session.scalars(old))
    if ids:
        session.execute(delete(NotificationDelivery).where(NotificationDelivery.event_id.in_(ids)))
        session.execute(delete(NotificationEvent).where(NotificationEvent.id.in_(ids)))


def recent_deliveries(
    session: Session,
    address_ids: Collection[int] | None,
    limit: int,
    states: Collection[str] = (),
    translate: Translate = as_it_is,
) -> list[NotificationDeliveryResult]:
    """Return the last deliveries to these addresses, or (None) to all, the newest first."""
    which = (
        select(NotificationDelivery, NotificationEvent, NotificationAddress.name, User.name)
        .join(NotificationEvent, NotificationEvent.id == NotificationDelivery.event_id)
        .join(NotificationAddress, NotificationAddress.id == NotificationDelivery.address_id)
        .outerjoin(User, User.id == NotificationAddress.owner_id)
        .order_by(NotificationDelivery.event_id.desc(), NotificationDelivery.address_id)
        .limit(limit)
    )
    if address_ids is not None:
        which = which.where(NotificationDelivery.address_id.in_(address_ids))
    if states:
        which = which.where(NotificationDelivery.state.in_(states))
    return [
        _delivery_json(delivery, event, name, owner, translate)
        for delivery, event, name, owner in session.execute(which)
    ]


def count_by_state(session: Session) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    counted = select(NotificationDelivery.state, func.count()).group_by(NotificationDelivery.state)
    return {state: number for state, number in session.execute(counted)}  # noqa: C416 - rows are no pairs


def _due(session: Session, now: datetime) -> list[tuple[int, str]]:
    """Return the addresses for which something is due, as they are shown, what failed least first."""
    delivery, address = NotificationDelivery, NotificationAddress
    free = address.claimed_until.is_(None) | (address.claimed_until <= now)
    which = (
        select(address.id, address.shown)
        .join(delivery, delivery.address_id == address.id)
        .where(delivery.state == "waiting", delivery.due_at <= now, free)
        .group_by(address.id, address.shown)
        .order_by(func.min(delivery.attempts), func.min(delivery.due_at), address.id)
        .limit(_CANDIDATES)
    )
    return [(address_id, shown) for address_id, shown in session.execute(which)]


def _claim(session: Session, address_id: int, now: datetime, terms: DeliveryTerms) -> DeliveryClaim | None:
    address = NotificationAddress
    free = address.claimed_until.is_(None) | (address.claimed_until <= now)
    taken = (
        update(address)
        .where(address.id == address_id, free)
        .values(claim=address.claim + 1, claimed_until=now + terms.lease)
        .execution_options(synchronize_session=False)
    )
    if session.connection().execute(taken).rowcount == 0:
        return None
    row = session.get_one(address, address_id, populate_existing=True)
    owner = session.get(User, row.owner_id) if row.owner_id is not None else None
    if row.paused_at is not None or (owner is not None and owner.disabled_at is not None):
        drop_waiting(session, address_id, "The address is paused, or its owner disabled.", now)
        row.claimed_until = None
        return None
    return _with_events(session, row, owner, terms, now)


def _with_events(
    session: Session, address: NotificationAddress, owner: User | None, terms: DeliveryTerms, now: datetime
) -> DeliveryClaim | None:
    """Return the claim with what is due; each of it counts as an attempt from here on."""
    due = session.execute(
        select(NotificationDelivery, NotificationEvent)
        .join(NotificationEvent, NotificationEvent.id == NotificationDelivery.event_id)
        .where(
            NotificationDelivery.address_id == address.id,
            NotificationDelivery.state == "waiting",
            NotificationDelivery.due_at <= now,
        )
        .order_by(NotificationEvent.at, NotificationEvent.id)
        .limit(EVENTS_OF_MESSAGE)
    ).all()
    events = []
    for delivery, event in due:
        if owner is not None and owner.role not in ROLES_OF[NoticeKind(event.kind)]:
            delivery.state, delivery.ended_at = "dropped", now
            delivery.detail = "The role of its owner does not allow this kind any more."
            continue
        if delivery.attempts > len(terms.pauses):
            delivery.state, delivery.ended_at, delivery.detail = "failed", now, INTERRUPTED
            address.problem, address.failed_at = INTERRUPTED, now
            continue
        delivery.attempts += 1
        events.append((event.id, Notice(NoticeKind(event.kind), Phase(event.phase), event.at, event.details)))
    if not events:
        address.claimed_until = None
        return None
    return DeliveryClaim(
        address.id,
        address.claim,
        address.sealed,
        address.shown,
        bool(address.digest_at),
        address.language,
        tuple(event_id for event_id, _ in events),
        tuple(event for _, event in events),
    )


def _claimed(session: Session, claim: DeliveryClaim) -> NotificationAddress | None:
    which = select(NotificationAddress).where(NotificationAddress.id == claim.address_id).with_for_update()
    row = session.scalars(which).one_or_none()
    return row if row is not None and row.claim == claim.number else None


def _deliveries(session: Session, claim: DeliveryClaim) -> list[NotificationDelivery]:
    which = select(NotificationDelivery).where(
        NotificationDelivery.address_id == claim.address_id,
        NotificationDelivery.event_id.in_(claim.event_ids),
        NotificationDelivery.state == "waiting",
    )
    return list(session.scalars(which))


def _end(
    session: Session, claim: DeliveryClaim, event_ids: Collection[int], state: str, detail: str, now: datetime
) -> None:
    session.execute(
        update(NotificationDelivery)
        .where(
            NotificationDelivery.address_id == claim.address_id,
            NotificationDelivery.event_id.in_(event_ids),
            NotificationDelivery.state == "waiting",
        )
        .values(state=state, detail=detail, ended_at=now)
    )


def _delivery_json(
    delivery: NotificationDelivery,
    event: NotificationEvent,
    name: str,
    owner: str | None,
    translate: Translate,
) -> NotificationDeliveryResult:
    about = Notice(NoticeKind(event.kind), Phase(event.phase), event.at, event.details)
    return {
        "event": event.id,
        "address": delivery.address_id,
        "address_name": name,
        "owner": owner or "",
        "kind": event.kind,
        "title": title(about, translate),
        "at": iso(event.at),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "due_at": iso(delivery.due_at),
        "ended_at": iso(delivery.ended_at),
        "detail": delivery.detail,
    }
