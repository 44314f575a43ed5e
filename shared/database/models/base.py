"""What all tables share: the metadata, UTC times, and the columns of jobs and tasks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    column,
    select,
    table,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedSQLExpression,
    column_property,
    declared_attr,
    mapped_column,
)

from shared.contract.json_types import JsonDocument
from shared.contract.text import INTERACTIVE
from shared.database.models.pause import Pausable, Pause, PriorityRaise, read_pause, read_raise
from shared.tracing.trace_context import Causation, TraceContext, command_causation

#: Characters of what a job waits for: with its times it fits in an event.
MAX_NOTE_LENGTH = 900


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware time."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The declarative base; names of constraints are fixed, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way of declaring it
        datetime: UtcDateTime(),
        JsonDocument: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
        list[dict[str, str]]: JSON(none_as_null=True),
        str: Text(),
    }


#: Columns by which lists of jobs are filtered, with the time by which they are sorted.
_LISTED = ("status", "remote_id", "store_id", "requested_by")


def listed_by(table: str) -> tuple[Index, ...]:
    """Return the indexes of a table of jobs by which its pages are found; few change as it runs."""
    filters = (Index(f"ix_{table}_{column}_requested", column, "requested_at", "id") for column in _LISTED)
    ended, trace = Index(f"ix_{table}_ended", "ended_at", "id"), Index(f"ix_{table}_trace_id", "trace_id")
    return (*filters, ended, trace)


#: The nodes as far as jobs read them: their own model is built on this module.
NODES = table("nodes", column("id", Integer), column("paused", JSON(none_as_null=True)))


class JobRow(Pausable, Base):
    """The columns of a job; statuses: queued, running, completed, incomplete, failed, cancelled."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), index=True)
    remote_id: Mapped[int] = mapped_column(Integer)
    remote_name: Mapped[str] = mapped_column(String(64))
    store_id: Mapped[int] = mapped_column(Integer)
    store_name: Mapped[str] = mapped_column(String(64))
    requested_by: Mapped[str] = mapped_column(String(128), default="")
    requested_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    #: When the event of its end was confirmed by the broker; the sweeper publishes ends without one.
    announced_at: Mapped[datetime | None]
    #: When the last progress event went out, from whichever worker.
    progress_at: Mapped[datetime | None]
    failure: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[str] = mapped_column(default="")
    #: What it waits for, if it waits; shown to people, with the times of the next try and of giving up.
    note: Mapped[str] = mapped_column(default="")
    next_try_at: Mapped[datetime | None]
    gives_up_at: Mapped[datetime | None]
    #: interactive: somebody waits for it; background: it has what others leave of a node.
    priority: Mapped[str] = mapped_column(String(16), default=INTERACTIVE, server_default=INTERACTIVE)
    #: Who raised its priority (`by`, `at`, `command_id`), so that it goes before others; none if nobody did.
    raised: Mapped[JsonDocument | None]
    #: How often it was rerun after it had ended, and for each rerun: the command's id, by whom, when.
    round: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    asked_again: Mapped[list[dict[str, str]] | None]
    #: The command that cancelled it, and who sent it; none if it was not, or by version 0.1.
    cancelled_by: Mapped[JsonDocument | None]
    #: The trace of its command, and what else came with that (`caller`, `flags`, `state`, `cause`); none: the
    #: trace begins with the job's id.
    trace_id: Mapped[str | None] = mapped_column(String(32))
    trace: Mapped[JsonDocument | None]

    @declared_attr
    def remote_pause(cls) -> MappedSQLExpression[JsonDocument | None]:  # noqa: N805 - SQLAlchemy gives the class
        """Read the pause of its remote node together with the job."""
        remote = NODES.alias("remote_node")
        paused = select(remote.c.paused).where(remote.c.id == cls.remote_id)
        return column_property(paused.correlate_except(remote).scalar_subquery())

    @property
    def node_pauses(self) -> dict[str, Pause]:
        """The pauses of the nodes that it needs, by their names."""
        pause = read_pause(self.remote_pause)
        return {self.remote_name: pause} if pause is not None else {}

    @property
    def held_since(self) -> datetime | None:
        """Since when it is held, by a pause of its own or of a node; none if it is not."""
        pauses = [*self.node_pauses.values(), *([self.pause] if self.pause is not None else [])]
        return min((pause.at for pause in pauses), default=None)

    @property
    def hold_note(self) -> str:
        """Who holds it, and since when; empty if nobody does."""
        nodes = [f"the node {name} is {pause}" for name, pause in self.node_pauses.items()]
        return "; ".join([str(self.pause), *nodes] if self.pause is not None else nodes)

    @property
    def priority_raise(self) -> PriorityRaise | None:
        """Who raised its priority, and when; none if nobody did."""
        return read_raise(self.raised)

    def join_trace(self, received: Causation) -> None:
        """Keep the trace of the command that began it."""
        context = received.context
        self.trace_id = context.trace_id
        self.trace = {
            "caller": received.caller_span_id,
            "flags": context.flags,
            "state": context.state,
            "cause": received.caller_cause_id,
        }

    @property
    def causation(self) -> Causation:
        """The command from which what it does follows, and its trace."""
        begun = command_causation(self.id, None)
        if self.trace_id is not None:
            kept: JsonDocument = self.trace or {}
            caller = TraceContext(self.trace_id, kept["caller"], kept["flags"], kept["state"])
            begun = command_causation(self.id, caller, kept["cause"])
        if self.status == "cancelled" and self.cancelled_by:
            return replace(begun, cause_id=self.cancelled_by["command_id"])
        if self.asked_again:
            return replace(begun, cause_id=self.asked_again[-1]["command_id"])
        return begun

    def wait_for(
        self, note: str, next_try_at: datetime | None = None, gives_up_at: datetime | None = None
    ) -> None:
        """Note what the job waits for; an empty note: it does not wait."""
        self.note = note[:MAX_NOTE_LENGTH]
        self.next_try_at, self.gives_up_at = next_try_at, gives_up_at

    def take_progress_turn(self, now: datetime, every: timedelta) -> bool:
        """Return whether progress may be published now; of all workers only one may in each `every`.

        The row is locked.
        """
        if self.progress_at is not None and self.progress_at > now - every:
            return False
        self.progress_at = now
        return True

    @property
    def waits_for(self) -> str:
        """What the job waits for in one line, the times in RFC 3339; empty if it does not wait."""
        if self.hold_note:
            return self.hold_note[:MAX_NOTE_LENGTH]
        parts = [self.note] if self.note else []
        if self.next_try_at is not None:
            parts.append(f"next try at {self.next_try_at:%Y-%m-%dT%H:%M:%SZ}")
        if self.gives_up_at is not None:
            parts.append(f"gives up at {self.gives_up_at:%Y-%m-%dT%H:%M:%SZ}")
        return "; ".join(parts)


class TaskRow(Base):
    """The columns of a piece of work of a job; states: pending, queued, running, done, failed, cancelled."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    #: Each service makes it a foreign key of its own table of jobs.
    job_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default="pending")
    payload: Mapped[JsonDocument] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    #: Who works on it, proven by the token; the lease is renewed while they live.
    worker: Mapped[str] = mapped_column(String(128), default="")
    claim_token: Mapped[str] = mapped_column(String(64), default="")
    lease_until: Mapped[datetime | None]
    #: Starts that nobody ended: a worker died. Reset by any recorded outcome.
    starts: Mapped[int] = mapped_column(Integer, default=0)
    #: Recorded failures that another try may mend, and since when without a success between.
    failures: Mapped[int] = mapped_column(Integer, default=0)
    failing_since: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[str] = mapped_column(default="")
