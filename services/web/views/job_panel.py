"""The progress of a job: the panel of the query page and of the job page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.web.components import Components, is_limited
from services.web.language import gettext, translated
from services.web.live.event_results import EchoResults
from services.web.live.progress import JobProgress, query_fraction
from services.web.pending_commands import PendingCommand, PendingCommands
from services.web.views.criteria_text import LABELS, readable_problem
from services.web.views.formatting import STATUS_SIGNS, figure, waiting_text
from shared.contract.envelope import retrieve_id_after
from shared.contract.messages import ENDED
from shared.contract.reasons import sentence
from shared.database.models import Query, Retrieve
from shared.reading.jobs import get_job
from shared.reading.lists.attention import QueuePlace, queue_place
from shared.reading.rate_text import rate_text
from shared.reading.retrieve_json import retrieve_counts
from shared.reading.retrieve_pace import pace_of

#: Seconds between two polls of the panel of a running job, events or not.
POLL_INTERVAL_S = 3
#: Seconds between two polls of the panel of an ended job.
POLL_ENDED_S = 15


@dataclass(frozen=True, slots=True)
class Pending:
    """A published job that no worker has accepted yet, or that was refused."""

    job_id: str
    kind: str
    refusal: str = ""
    #: What is on its way behind it: cancel, pause, raise.
    orders: frozenset[str] = frozenset()
    #: Commands in the queue of the service, this one and those before it among them.
    in_queue: int = 0

    @property
    def takes_orders(self) -> bool:
        """Whether it can be cancelled, paused or raised."""
        return not self.refusal and self.kind in ("query", "retrieve") and "cancel" not in self.orders


@dataclass(frozen=True, slots=True)
class QueryView:
    """Figures of a query."""

    job: Query
    by_type: dict[str, int]
    kept: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    trouble: str = ""
    waits_for: str = ""
    progress: JobProgress = field(default_factory=lambda: JobProgress(0.0))
    #: Its place among the jobs of the node; none if it has the node alone.
    place: QueuePlace | None = None
    #: Whether more objects may come than are counted: of some series the PACS does not return the number.
    at_least: bool = False

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self.job.status in ENDED

    @property
    def repeatable(self) -> bool:
        """Whether something is missing that can be requested again."""
        return self.ended and self.job.status != "completed"

    @property
    def pace(self) -> str:
        """Rate and time left, while they are known."""
        if self.ended or self.waits_for:
            return ""
        progress = self.progress
        if progress.per_s is None:
            return ""
        return translated(rate_text(progress.per_s, progress.left_s, "study", "studies"))

    @property
    def retrievable(self) -> bool:
        """Whether there is something to retrieve."""
        return self.job.status in ("completed", "incomplete", "cancelled") and self.job.studies_kept > 0


@dataclass(frozen=True, slots=True)
class RetrieveView:
    """Figures of a retrieve."""

    job: Retrieve
    requested: int
    arrived: int
    failed: int
    missing: int
    reported: int
    #: Of those that arrived: stored without pixels.
    headers: int = 0
    #: By how many objects `requested` has fallen since they were announced.
    fewer: int = 0
    trouble: str = ""
    waits_for: str = ""
    #: Rate and time left, or what is waited for.
    rate: str = ""
    #: Its place among the jobs of the node; none if it has the node alone.
    place: QueuePlace | None = None

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self.job.status in ENDED

    @property
    def repeatable(self) -> bool:
        """Whether something is missing that can be requested again."""
        return self.ended and self.job.status != "completed"

    @property
    def sent(self) -> int:
        """Objects that the PACS reports as sent, as far as they are expected."""
        return min(max(self.reported, self.arrived), self.requested)

    @property
    def left(self) -> int:
        """Objects still expected."""
        return max(0, self.requested - self.arrived - self.failed - self.missing)


@dataclass(frozen=True, slots=True)
class Panel:
    """Content of the panel of one job."""

    job_id: str
    query: QueryView | None = None
    retrieve: RetrieveView | None = None
    #: How many retrieves of the query there are.
    retrieves: int = 0
    pending: Pending | None = None
    #: Whether a retrieve follows without a request.
    expects_retrieve: bool = False

    @property
    def follow(self) -> list[str]:
        """The ids whose events change this panel; an ended job needs no stream of its own."""
        if not self.active:
            return []
        ids = [self.job_id]
        ids += [self.retrieve.job.id] if self.retrieve else []
        ids += [self.pending.job_id] if self.pending else []
        return list(dict.fromkeys(ids))

    @property
    def every_s(self) -> int:
        """Seconds until the next poll; an ended job may be continued by somebody else."""
        return POLL_INTERVAL_S if self.active else POLL_ENDED_S

    @property
    def active(self) -> bool:
        """Whether the panel will still change."""
        waits = self.pending is not None and not self.pending.refusal
        query_runs = self.query is not None and not self.query.ended
        retrieve_runs = self.retrieve is not None and not self.retrieve.ended
        return waits or query_runs or retrieve_runs or self.expects_retrieve

    @property
    def kind(self) -> str:
        """What the job is: query, retrieve, or what it will be once a worker has accepted it."""
        if self.query is not None:
            return "query"
        if self.retrieve is not None:
            return "retrieve"
        return self.pending.kind if self.pending is not None else "query"

    @property
    def status(self) -> str:
        """The status of the job itself."""
        if self.query is not None:
            return self.query.job.status
        if self.retrieve is not None:
            return self.retrieve.job.status
        return "failed" if self.pending is not None and self.pending.refusal else "queued"

    @property
    def title(self) -> str:
        """What a tab shows of the panel: its state, what came of it, and where from."""
        sign = STATUS_SIGNS.get(self.status, ("", "?"))[1]
        about = f", {self.job_id[:8]}"
        if self.query is not None:
            job = self.query.job
            kept = (
                f": {gettext('%(number)s kept', number=figure(job.studies_kept))}" if job.studies_kept else ""
            )
            about = f"{kept}, {job.remote_name}"
        elif self.retrieve is not None:
            view = self.retrieve
            arrived = gettext(
                "%(arrived)s of %(requested)s", arrived=figure(view.arrived), requested=figure(view.requested)
            )
            about = f": {arrived}, {view.job.remote_name}"
        return f"{sign} {translated(self.kind.capitalize())} {translated(self.status)}{about}"

    @property
    def announcement(self) -> str:
        """The panel in one sentence, for screen readers."""
        if self.pending is not None:
            state = self.pending.refusal or gettext("queued, waiting for a worker.")
            return f"{translated(self.pending.kind.capitalize())} {state}"
        if self.retrieve is not None:
            view = self.retrieve
            return gettext(
                "Retrieve %(status)s: %(arrived)s of %(requested)s objects arrived.",
                status=translated(view.job.status),
                arrived=figure(view.arrived),
                requested=figure(view.requested),
            )
        if self.query is not None:
            job = self.query.job
            return gettext(
                "Query %(status)s: %(done)s of %(total)s slices done, %(found)s studies found, "
                "%(kept)s kept.",
                status=translated(job.status),
                done=figure(job.slices_complete),
                total=figure(job.slices_total),
                found=figure(job.studies_found),
                kept=figure(job.studies_kept),
            )
        return ""


def panel(session: Session, components: Components, job_id: str) -> Panel:
    """Return the panel of a job; that of a query includes its newest retrieve."""
    job = get_job(session, job_id)
    event_results, pending_commands = components.live.event_results, components.pending_commands
    if job is None:
        command = pending_commands.get(job_id)
        pending = _pending(job_id, command, event_results)
        waiting = components.service_status.current().waiting.get(pending.kind, 0)
        return Panel(job_id, pending=replace(pending, in_queue=waiting))
    if isinstance(job, Retrieve):
        view = retrieve_view(session, components, job)
        return Panel(job_id, retrieve=view)
    return _of_query(session, components, job)


def _of_query(session: Session, components: Components, job: Query) -> Panel:
    retrieves = list(
        session.scalars(
            select(Retrieve)
            .where(Retrieve.query_id == job.id)
            .order_by(Retrieve.requested_at.desc(), Retrieve.id)
        )
    )
    known = {retrieve.id for retrieve in retrieves}
    again = _pending_again(job, components.pending_commands, components.live.event_results)
    pending = _pending_retrieve(job.id, known, components.pending_commands, components.live.event_results)
    newest = (
        retrieve_view(session, components, retrieves[0])
        if retrieves and (pending is None or pending.refusal)
        else None
    )
    query = query_view(session, components, job)
    expects = (
        job.retrieve_after
        and retrieve_id_after(job.id, job.round) not in known
        and (job.round > 0 or not retrieves)
        and pending is None
        and job.status in ("completed", "incomplete")
        and job.studies_kept > 0
    )
    return Panel(
        job.id,
        query=query,
        retrieve=newest,
        retrieves=len(retrieves),
        pending=again or pending,
        expects_retrieve=expects,
    )


def _pending(job_id: str, command: PendingCommand | None, event_results: EchoResults) -> Pending:
    kind = command.kind if command is not None else "query"
    # Whose command it was is known of pending ones alone.
    may_show = command is not None or not is_limited()
    rejection = event_results.rejection(job_id) if may_show else None
    if rejection is None:
        return Pending(job_id, kind, orders=command.orders if command is not None else frozenset())
    name = rejection.field.removeprefix("data.").removeprefix("criteria.")
    problem = readable_problem(rejection.problem)
    label = "" if name == "job_id" else LABELS.get(name, name)
    text = f"{label}: {problem}" if label else problem
    return Pending(job_id, kind, gettext("not accepted. %(problem)s", problem=text))


def _pending_retrieve(
    query_id: str, known: set[str], pending_commands: PendingCommands, event_results: EchoResults
) -> Pending | None:
    """Return the newest pending retrieve, unless it or a later one has become a job."""
    for job_id in pending_commands.retrieves_of(query_id):
        return None if job_id in known else _pending(job_id, pending_commands.get(job_id), event_results)
    return None


def _pending_again(
    job: Query, pending_commands: PendingCommands, event_results: EchoResults
) -> Pending | None:
    """Return the pending continuation of an ended query, until it runs again."""
    command_id = pending_commands.again_of(job.id, job.round) if job.status in ENDED else None
    return (
        _pending(command_id, pending_commands.get(command_id), event_results)
        if command_id is not None
        else None
    )


def query_view(session: Session, components: Components, job: Query) -> QueryView:
    """Return the figures of a query; reasons are counted once it has ended."""
    ended, counts = job.status in ENDED, components.counts.of(session, job)
    fraction = query_fraction(
        job.slices_total,
        job.slices_complete + job.slices_failed,
        job.studies_found,
        job.studies_examined + job.studies_missing,
    )
    return QueryView(
        job,
        counts.by_type,
        counts.kept,
        counts.dropped,
        _trouble(job),
        "" if ended else waiting_text(job),
        JobProgress(1.0)
        if job.status == "completed"
        else _progress(components, job, fraction, job.studies_examined),
        place=None if ended else queue_place(session, job),
        at_least=counts.uncounted,
    )


def retrieve_view(session: Session, components: Components, job: Retrieve) -> RetrieveView:
    """Return the figures of a retrieve."""
    counts = retrieve_counts(session, job)
    ended = job.status in ENDED
    still = ended or job.held_since is not None
    pace = None if still else pace_of(session, job, components.clock())
    return RetrieveView(
        job,
        requested=counts["asked"],
        arrived=counts["arrived"],
        failed=counts["failed"],
        missing=counts["missing"],
        reported=counts["reported_completed"] + counts["reported_warning"],
        headers=counts["headers"],
        fewer=counts["fewer_than_announced"],
        trouble=_trouble(job),
        waits_for="" if ended else waiting_text(job),
        rate=translated(pace) if pace is not None else "",
        place=None if ended else queue_place(session, job),
    )


def _progress(components: Components, job: Query, fraction: float, done: int) -> JobProgress:
    now_s = components.clock().timestamp()
    return components.progress.add(f"{job.id} {job.round}", now_s, fraction, done)


def _trouble(job: Query | Retrieve) -> str:
    if not job.failure:
        return translated(job.detail) if job.status in ENDED else ""
    node = job.store_name if job.failure == "store_unreachable" else job.remote_name
    return translated(job.detail or sentence(job.failure, node=node))
