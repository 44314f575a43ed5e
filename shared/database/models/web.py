"""Tables that the web service owns: nodes and users."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.models.base import Base


class Node(Base):
    """A remote node (answers C-FIND and C-MOVE) or a store node (takes C-STORE)."""

    __tablename__ = "nodes"
    __table_args__ = (
        CheckConstraint("kind IN ('remote', 'store')", name="kind"),
        CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(Integer)
    ae_title: Mapped[str] = mapped_column(String(16))
    #: The title we call from; empty: the store's own (DOSEQR_STORE_AE_TITLE).
    calling_ae_title: Mapped[str] = mapped_column(String(16), default="")
    #: Associations at once and requests a minute (none: no limit), over all services together.
    max_associations: Mapped[int] = mapped_column(Integer, default=4, server_default="4")
    requests_per_minute: Mapped[int | None] = mapped_column(Integer)
    #: Hours of the day in which it may be asked ("18:00-06:00,12:00-13:00"; empty: always), and in which time
    #: zone of the IANA database (empty: the server's).
    hours: Mapped[str] = mapped_column(String(200), default="", server_default="")
    time_zone: Mapped[str] = mapped_column(String(64), default="", server_default="")
    #: How objects come from it: it sends them to the store node (move), or we fetch and hand them on (get).
    retrieve_by: Mapped[str] = mapped_column(String(8), default="move", server_default="move")
    #: How a store node proves what it got: what can be had (auto), or storage commitment (commitment).
    verify_by: Mapped[str] = mapped_column(String(16), default="auto", server_default="auto")
    created_at: Mapped[datetime]
    #: Removed nodes stay for the jobs that name them; their name is freed.
    removed_at: Mapped[datetime | None]


class User(Base):
    """Somebody who may log in; roles: viewer, importer, admin."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('viewer', 'importer', 'admin')", name="role"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str]
    must_change_password: Mapped[bool] = mapped_column(Boolean, default=False)
    #: When a one-time password is no longer taken.
    password_expires_at: Mapped[datetime | None]
    #: Replaced at log-out and with password, role or access: sessions that hold an older one end.
    session_token: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
