"""Tables of notifications, which the web service owns: addresses, causes, events, and their deliveries."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.contract.json_types import JsonDocument
from shared.database.models.base import Base


class NotificationAddress(Base):
    """Where somebody wants notifications, and which."""

    __tablename__ = "notification_addresses"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    #: None: an address of the installation, which administrators keep.
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    #: The address, encrypted; and as much of it as may be shown.
    sealed: Mapped[str]
    shown: Mapped[str] = mapped_column(String(200))
    #: Kinds of events (shared/notifications/kinds.py), and the ends of jobs of which it is notified.
    kinds: Mapped[list[str]]
    outcomes: Mapped[list[str]]
    #: The time of the daily digest, "07:00", in this time zone of the IANA database; empty: at once.
    digest_at: Mapped[str] = mapped_column(String(5), default="", server_default="")
    time_zone: Mapped[str] = mapped_column(String(64), default="", server_default="")
    #: The language of what is sent there (ISO 639-1).
    language: Mapped[str] = mapped_column(String(8), default="en", server_default="en")
    created_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    tested_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    #: When and why something was given up last; none since the last success.
    failed_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(default="", server_default="")
    #: Whoever raised the number sends, until the lease ends.
    claim: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    claimed_until: Mapped[datetime | None]


class NotificationCause(Base):
    """Something that is well or not, such as a recurring query; its row is the lock of its episodes."""

    __tablename__ = "notification_causes"

    #: The kind, and what it is about.
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), index=True)
    #: What the text of an event needs, as of the last observation.
    details: Mapped[JsonDocument]
    #: shared/notifications/episode.py
    state: Mapped[JsonDocument]
    #: The last event of it.
    number: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    #: The last row that was observed: a run of a recurring query.
    observed: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class NotificationEvent(Base):
    """Something of which people are notified, once."""

    __tablename__ = "notification_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    #: The cause and the number of its event.
    key: Mapped[str] = mapped_column(String(160), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    phase: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(index=True)
    details: Mapped[JsonDocument]


class NotificationDelivery(Base):
    """An event on its way to an address; states: waiting, sent, failed, dropped."""

    __tablename__ = "notification_deliveries"
    __table_args__ = (
        Index("ix_notification_deliveries_due", "state", "due_at"),
        Index("ix_notification_deliveries_address", "address_id", "event_id"),
    )

    event_id: Mapped[int] = mapped_column(
        ForeignKey("notification_events.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    address_id: Mapped[int] = mapped_column(
        ForeignKey("notification_addresses.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    due_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    detail: Mapped[str] = mapped_column(default="", server_default="")


class NotificationMark(Base):
    """How far something was observed, or until when a replica alone observes."""

    __tablename__ = "notification_marks"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    until: Mapped[datetime]
    holder: Mapped[str] = mapped_column(String(200), default="", server_default="")
