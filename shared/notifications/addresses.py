"""The addresses of notifications: the same for the page, the command line and HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.configuration.cipher import Cipher, Purpose, UnreadableSecretError
from shared.configuration.session_key import session_key
from shared.database.models import NotificationAddress, NotificationDelivery, User
from shared.errors import InvalidInputError, NotFoundError, PermanentError
from shared.notifications.definition import AddressInput, parse_address_input
from shared.notifications.kinds import kinds_of
from shared.notifications.results import NotificationAddressResult
from shared.notifications.transport.address import AddressPolicy, Target, parse_address
from shared.settings import Settings

#: Addresses of one user, and of the installation.
ADDRESSES_MOST = 20
#: Time between two tests of an address.
TEST_EVERY = timedelta(seconds=5)


def cipher_of(settings: Settings) -> Cipher:
    """Return the cipher of the addresses of this installation.

    Raises:
        PermanentError: the key of the sessions cannot be read or made.
    """
    given = settings.notification_key or settings.session_key
    return Cipher(given or session_key(settings.data_dir), Purpose.NOTIFICATION_ADDRESS)


class UnknownAddressError(InvalidInputError, NotFoundError):
    """No address has this id or name."""


class TriedRecentlyError(PermanentError):
    """An address was tested a moment ago."""


def list_addresses(session: Session, owner_id: int | None) -> list[NotificationAddress]:
    """Return the addresses of a user, or (None) of the installation, by id."""
    which = select(NotificationAddress).where(_owned_by(owner_id)).order_by(NotificationAddress.id)
    return list(session.scalars(which))


def find_address(
    session: Session, reference: str | int, owner_id: int | None, *, lock: bool = False
) -> NotificationAddress:
    """Return the address of this owner with this id or name; `lock`: to change it.

    Raises:
        UnknownAddressError: there is none.
    """
    text = str(reference).strip()
    is_id = text.isascii() and text.isdecimal() and len(text) <= 9  # noqa: PLR2004 - fits a 32-bit column
    column = NotificationAddress.id == int(text) if is_id else NotificationAddress.name == text
    which = select(NotificationAddress).where(_owned_by(owner_id), column).order_by(NotificationAddress.id)
    row = session.scalars(which.with_for_update() if lock else which).first()
    if row is None:
        raise UnknownAddressError("address", "there is no such address of notifications")
    return row


def add_address(
    session: Session,
    given: AddressInput,
    owner: User | None,
    policy: AddressPolicy,
    cipher: Cipher,
    now: datetime,
) -> NotificationAddress:
    """Add an address of a user, or (None) of the installation.

    Raises:
        InvalidInputError: the name is taken, the address or a kind is not allowed, or there are too many.
    """
    owner_id = owner.id if owner is not None else None
    target = parse_address(given.address, policy)
    _check(session, given, owner, None)
    number = session.scalar(select(func.count()).select_from(NotificationAddress).where(_owned_by(owner_id)))
    if (number or 0) >= ADDRESSES_MOST:
        raise InvalidInputError("address", f"there are {ADDRESSES_MOST} addresses already; remove some")
    row = NotificationAddress(
        owner_id=owner_id,
        sealed=cipher.encrypt(given.address),
        shown=target.shown,
        created_at=now,
        paused_at=now if given.paused else None,
        claim=0,
        problem="",
        **_values(given),
    )
    session.add(row)
    session.flush()
    return row


def edit_address(
    session: Session,
    row: NotificationAddress,
    changes: dict[str, object],
    policy: AddressPolicy,
    cipher: Cipher,
    now: datetime,
) -> None:
    """Change some fields of a locked address; without `address`, that stays.

    Raises:
        InvalidInputError: the name is taken, or the address or a kind is not allowed.
    """
    kept = {"address": "-", "paused": row.paused_at is not None, **_kept(row)}
    given = parse_address_input(kept | changes)
    owner = session.get_one(User, row.owner_id) if row.owner_id is not None else None
    _check(session, given, owner, row.id)
    if "address" in changes:
        row.shown, row.sealed = parse_address(given.address, policy).shown, cipher.encrypt(given.address)
        row.problem, row.failed_at = "", None
    for column, value in _values(given).items():
        setattr(row, column, value)
    if given.paused != (row.paused_at is not None):
        pause(session, row, now) if given.paused else resume(row)
    session.flush()


def pause(session: Session, row: NotificationAddress, now: datetime) -> None:
    """Send nothing there; what waits is dropped, and what happens meanwhile is not sent later."""
    row.paused_at = row.paused_at or now
    drop_waiting(session, row.id, "The address was paused.", now)


def resume(row: NotificationAddress) -> None:
    """Send there again what happens from now on."""
    row.paused_at = None


def remove_address(session: Session, row: NotificationAddress) -> None:
    """Remove an address with everything that was or would be sent there."""
    session.execute(delete(NotificationDelivery).where(NotificationDelivery.address_id == row.id))
    session.delete(row)
    session.flush()


def drop_waiting(session: Session, address_id: int, detail: str, now: datetime) -> None:
    """Send nothing of what waits for an address."""
    waiting = (NotificationDelivery.address_id == address_id, NotificationDelivery.state == "waiting")
    session.execute(
        update(NotificationDelivery).where(*waiting).values(state="dropped", detail=detail, ended_at=now)
    )


def target_of(sealed: str, policy: AddressPolicy, cipher: Cipher) -> Target:
    """Return the decrypted address, as far as it is still allowed.

    Raises:
        UnreadableSecretError: it was encrypted with another key.
        InvalidInputError: an administrator does not allow it any more.
    """
    try:
        address = cipher.decrypt(sealed)
    except UnreadableSecretError:
        raise UnreadableSecretError(
            "The address was encrypted with another key; remove it and add it again."
        ) from None
    return parse_address(address, policy)


def begin_test(row: NotificationAddress, now: datetime) -> None:
    """Note that a locked address is tested now.

    Raises:
        TriedRecentlyError: it was a moment ago.
    """
    if row.tested_at is not None and timedelta() <= now - row.tested_at < TEST_EVERY:
        raise TriedRecentlyError(
            f"the address was tested within the last {TEST_EVERY.seconds} s; wait a moment"
        )
    row.tested_at = now


def end_test(row: NotificationAddress, problem: str, now: datetime) -> None:
    """Note what became of a test."""
    if problem:
        row.problem, row.failed_at = problem, now
    else:
        row.problem, row.failed_at, row.sent_at = "", None, now


def address_json(row: NotificationAddress) -> NotificationAddressResult:
    """Return an address without what is secret."""
    return {
        "id": row.id,
        "name": row.name,
        "address": row.shown,
        "system": row.owner_id is None,
        "kinds": list(row.kinds),
        "outcomes": list(row.outcomes),
        "digest_at": row.digest_at,
        "time_zone": row.time_zone,
        "language": row.language,
        "paused": row.paused_at is not None,
        "created_at": iso(row.created_at),
        "tested_at": iso(row.tested_at),
        "sent_at": iso(row.sent_at),
        "failed_at": iso(row.failed_at),
        "problem": row.problem,
    }


def _owned_by(owner_id: int | None) -> ColumnElement[bool]:
    if owner_id is None:
        return NotificationAddress.owner_id.is_(None)
    return NotificationAddress.owner_id == owner_id


def _kept(row: NotificationAddress) -> dict[str, object]:
    names = ("name", "kinds", "outcomes", "digest_at", "time_zone", "language")
    return {name: getattr(row, name) for name in names}


def _values(given: AddressInput) -> dict[str, object]:
    return {
        "name": given.name,
        "kinds": [str(kind) for kind in given.kinds],
        "outcomes": list(given.outcomes),
        "digest_at": given.digest_at,
        "time_zone": given.time_zone,
        "language": given.language,
    }


def _check(session: Session, given: AddressInput, owner: User | None, own_id: int | None) -> None:
    owner_id = owner.id if owner is not None else None
    which = select(NotificationAddress.id).where(_owned_by(owner_id), NotificationAddress.name == given.name)
    if session.scalars(which).first() not in (None, own_id):
        raise InvalidInputError("name", "there is already an address of this name")
    allowed = kinds_of(owner.role) if owner is not None else list(given.kinds)
    for kind in given.kinds:
        if kind not in allowed:
            raise InvalidInputError("kinds", f"{kind} is not for the role {owner.role if owner else ''}")
    if "job" in given.kinds and not given.outcomes:
        raise InvalidInputError("outcomes", "choose at least one end of a job")
