"""The JSON of notifications, as the HTTP API describes it."""

from __future__ import annotations

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class NotificationAddressResult(TypedDict):
    """An address of notifications: what is sent there, and what became of it. The address itself is secret.

    `address` is as much of it as may be shown; `system`: it is of the installation, not of a user.
    """

    id: int
    name: str
    address: str
    system: bool
    kinds: list[str]
    outcomes: list[str]
    digest_at: str
    time_zone: str
    language: str
    paused: bool
    created_at: str
    tested_at: str | None
    sent_at: str | None
    failed_at: str | None
    problem: str


@with_config(_CLOSED)
class NotificationDeliveryResult(TypedDict):
    """An event on its way to an address; `state` is waiting, sent, failed or dropped."""

    event: int
    address: int
    address_name: str
    owner: str
    kind: str
    title: str
    at: str
    state: str
    attempts: int
    due_at: str
    ended_at: str | None
    detail: str


@with_config(_CLOSED)
class NotificationTestResult(TypedDict):
    """What became of a test of an address, in words."""

    sent: bool
    detail: str
