"""Addresses of notifications: those of the token's owner, and for administrators the installation's."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

from services.web.api.authentication import identity
from services.web.api.bodies import AddressChange
from services.web.api.commands import audit
from services.web.api.operations import OperationResult, OperationTable
from services.web.api.problems import PREFIX, ProblemError, not_found
from services.web.components import components
from shared.database.models import NotificationAddress, User
from shared.database.session import Session
from shared.notifications.addresses import (
    UnknownAddressError,
    add_address,
    address_json,
    cipher_of,
    edit_address,
    find_address,
    list_addresses,
    remove_address,
)
from shared.notifications.definition import AddressInput
from shared.notifications.outbox import recent_deliveries
from shared.notifications.results import (
    NotificationAddressResult,
    NotificationDeliveryResult,
    NotificationTestResult,
)
from shared.users.accounts import find_user

table = OperationTable("notifications")

DELIVERIES_DEFAULT, DELIVERIES_MAX = 50, 500


class OwnerQuery(BaseModel):
    """Whose addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: bool = Field(
        False, description="Those of the installation instead of one's own; needs the scope admin."
    )


class DeliveriesQuery(OwnerQuery):
    """Which deliveries."""

    limit: int = Field(DELIVERIES_DEFAULT, ge=1, le=DELIVERIES_MAX, description="Deliveries, at most.")


@table.add("GET", "/notifications", scope="read", query=OwnerQuery, result=list[NotificationAddressResult])
def list_notification_addresses(query: OwnerQuery) -> object:
    """List the addresses of notifications by id; what is secret in them is not shown."""
    with components().database.read() as session:
        owner = _owner(session, query)
        return [address_json(row) for row in list_addresses(session, owner.id if owner else None)]


@table.add(
    "POST",
    "/notifications",
    scope="import",
    query=OwnerQuery,
    body=AddressInput,
    result=NotificationAddressResult,
    status=HTTPStatus.CREATED,
)
def create_notification_address(query: OwnerQuery, body: AddressInput) -> object:
    """Add an address of notifications."""
    settings, now = components().settings, components().clock()
    with components().database.write() as session:
        owner = _owner(session, query)
        row = add_address(session, body, owner, settings.address_policy, cipher_of(settings), now)
        created = address_json(row)
    audit("notification address added", address_id=row.id, address_name=row.name, system=query.system)
    return OperationResult(created, location=f"{PREFIX}/notifications/{row.id}")


@table.add(
    "GET", "/notifications/{address}", scope="read", query=OwnerQuery, result=NotificationAddressResult
)
def read_notification_address(address: str, query: OwnerQuery) -> object:
    """Return an address of notifications."""
    with components().database.read() as session:
        return address_json(_address(session, address, query))


@table.add(
    "PATCH",
    "/notifications/{address}",
    scope="import",
    query=OwnerQuery,
    body=AddressChange,
    result=NotificationAddressResult,
)
def change_notification_address(address: str, query: OwnerQuery, body: AddressChange) -> object:
    """Change some fields of an address of notifications, or pause it (`paused`)."""
    settings, changes = components().settings, body.changes()
    with components().database.write() as session:
        row = _address(session, address, query, lock=True)
        edit_address(
            session, row, changes, settings.address_policy, cipher_of(settings), components().clock()
        )
        changed = address_json(row)
    audit("notification address edited", address_id=row.id, fields=sorted(changes))
    return changed


@table.add(
    "DELETE", "/notifications/{address}", scope="import", query=OwnerQuery, status=HTTPStatus.NO_CONTENT
)
def delete_notification_address(address: str, query: OwnerQuery) -> None:
    """Remove an address of notifications, with everything that was or would be sent there."""
    with components().database.write() as session:
        row = _address(session, address, query, lock=True)
        remove_address(session, row)
    audit("notification address removed", address_id=row.id, address_name=row.name)


@table.add(
    "POST",
    "/notifications/{address}/test",
    scope="import",
    query=OwnerQuery,
    result=NotificationTestResult,
)
def try_notification_address(address: str, query: OwnerQuery) -> object:
    """Send a test message now, and return in words what its server did; 409 if it was tested a moment ago."""
    with components().database.read() as session:
        row = _address(session, address, query)
    result = components().address_trial.run(row.id)
    audit("notification address tested", address_id=row.id, sent=result.sent)
    return {"sent": result.sent, "detail": result.detail}


@table.add(
    "GET",
    "/notifications/{address}/deliveries",
    scope="read",
    query=DeliveriesQuery,
    result=list[NotificationDeliveryResult],
)
def list_notification_deliveries(address: str, query: DeliveriesQuery) -> object:
    """List what was or is to be sent to an address, the newest first."""
    with components().database.read() as session:
        row = _address(session, address, query)
        return recent_deliveries(session, [row.id], query.limit)


def _owner(session: Session, query: OwnerQuery) -> User | None:
    if not query.system:
        return find_user(session, identity().owner)
    if not identity().allows("admin"):
        raise ProblemError(HTTPStatus.FORBIDDEN, "The addresses of the installation need the scope admin.")
    return None


def _address(
    session: Session, reference: str, query: OwnerQuery, *, lock: bool = False
) -> NotificationAddress:
    owner = _owner(session, query)
    try:
        return find_address(session, reference, owner.id if owner else None, lock=lock)
    except UnknownAddressError as error:
        raise not_found(f"{error.problem}.") from None
