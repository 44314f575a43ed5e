"""Tables of the budget of each node; only shared/node_access writes them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Float, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.models.base import Base


class NodeBudget(Base):
    """What is left of a node's requests, and how it stood associations; its row is the lock of the budget."""

    __tablename__ = "node_budgets"

    node_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    #: Requests that may be sent, as of `tokens_at`; below zero where some are promised for later.
    tokens: Mapped[float] = mapped_column(Float)
    tokens_at: Mapped[datetime]
    #: Associations that the node was found to stand, and when it last refused one.
    slowed_to: Mapped[int | None] = mapped_column(Integer)
    slowed_at: Mapped[datetime | None]
    #: Tries in a row that did not reach it (0: it is not known to be away), the last of them and its error,
    #: and when the next one may be made; until when somebody is making one.
    away_failures: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    away_failed_at: Mapped[datetime | None]
    away_next_try_at: Mapped[datetime | None]
    away_trying_until: Mapped[datetime | None]
    away_outcome: Mapped[str] = mapped_column(String(32), default="", server_default="")
    away_detail: Mapped[str] = mapped_column(String(400), default="", server_default="")
    #: Until when nothing is sent to it, since a process attempted too many associations, and what says so.
    fuse_blown_until: Mapped[datetime | None]
    fuse_note: Mapped[str] = mapped_column(String(400), default="", server_default="")


class NodeLease(Base):
    """An association that some process holds to a node, or a place in the queue for one."""

    __tablename__ = "node_leases"
    __table_args__ = (Index("ix_node_leases_node", "node_id", "held"),)

    #: Grows with time: who came first is served first.
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    node_id: Mapped[int] = mapped_column(Integer)
    #: Whether it is an association; otherwise it waits for one.
    held: Mapped[bool] = mapped_column(Boolean)
    worker: Mapped[str] = mapped_column(String(128))
    #: Renewed while its process lives; after that it counts no more.
    until: Mapped[datetime]
