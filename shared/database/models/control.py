"""The table of orders that came before the job that they are about."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.models.base import Base


class EarlyOrder(Base):
    """A command to cancel, pause, resume or raise a job of which there was no row when it came.

    It is done as soon as the job's own command is taken; the services of both kinds keep and read them.
    """

    __tablename__ = "early_orders"
    __table_args__ = (
        Index("uq_early_orders_command_service", "command_id", "service", unique=True),
        Index("ix_early_orders_job", "job_id"),
    )

    #: The order in which they came.
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(String(64))
    #: The service that keeps it: each gets every command, and only one of them will have the job.
    service: Mapped[str] = mapped_column(String(16))
    command_id: Mapped[str] = mapped_column(String(64))
    #: cancel, pause, resume or raise.
    action: Mapped[str] = mapped_column(String(16))
    requested_by: Mapped[str] = mapped_column(String(128), default="", server_default="")
    received_at: Mapped[datetime] = mapped_column(index=True)
