"""The table that the echo service owns: the last C-ECHO of each node."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Float, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.models.base import Base


class NodeCheck(Base):
    """The last C-ECHO of one node."""

    __tablename__ = "node_checks"

    node_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    ok: Mapped[bool] = mapped_column(Boolean)
    outcome: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(default="")
    rtt_ms: Mapped[float | None] = mapped_column(Float)
    checked_at: Mapped[datetime]
