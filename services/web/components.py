"""The components behind the pages, made once by the app factory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from flask import current_app, g, has_request_context

from services.web.live.event_stream import Live
from services.web.live.job_counts import JobCounts
from services.web.live.progress import ProgressHistory
from services.web.live.service_status import Complaint, ServiceStatus, store_complaints
from services.web.live.trouble import Trouble, low_store
from services.web.login_limit import LoginLimit
from services.web.openid.provider import OpenIdProvider
from services.web.pending_commands import PendingCommands
from shared.broker.port import Broker
from shared.clock import Clock
from shared.control.node_control import NodeControl
from shared.database.session import Database
from shared.messaging.publisher import Publisher
from shared.notifications.trial import AddressTrial
from shared.reading.jobs import get_job
from shared.settings import Settings
from shared.users.node_scope import NOTHING, NodeScope

KEY = "doseqr"

#: The services of which each should have a worker.
SERVICES = ("echo", "query", "retrieve", "store")

_SCOPE, _LIMITED = "node_scope", "limited_components"


@dataclass(frozen=True, slots=True)
class Components:
    """Components of one app."""

    settings: Settings
    broker: Broker
    database: Database
    publisher: Publisher
    live: Live
    pending_commands: PendingCommands
    service_status: ServiceStatus
    trouble: Trouble
    login_limit: LoginLimit
    progress: ProgressHistory
    counts: JobCounts
    clock: Clock
    #: None: people log in with passwords of DoseQR alone.
    provider: OpenIdProvider | None
    address_trial: AddressTrial

    def complaints(self, *services: str) -> list[Complaint]:
        """Return what is wrong with these services; of the store also what it reports of its disk."""
        found = self.service_status.complaints(*services)
        if "store" in services:
            found += store_complaints(self.live.event_results.store_states())
        return found

    def banner(self) -> list[Complaint]:
        """Return what is wrong with the installation, as far as no statement is needed for it."""
        found = self.complaints(*SERVICES)
        return found + low_store(self.live.event_results.store_states(), self.settings.store_low_bytes)

    @property
    def node_control(self) -> NodeControl:
        """What pauses and resumes nodes."""
        return NodeControl(self.database, self.clock)

    def today(self) -> date:
        """Return today's date at the site."""
        return self.settings.day_of(self.clock())


def components() -> Components:
    """Return the parts of the app that handles the request.

    Until it is known who sends it, and for those who may use some groups of nodes alone, database and pending
    commands are limited to what they may see.
    """
    found = unlimited_components()
    if not has_request_context():
        return found
    scope = g.get(_SCOPE, NOTHING)
    if scope is None:
        return found
    if g.get(_LIMITED, (None, None))[0] != scope:
        database = found.database.restricted(scope.restrict)
        pending_commands = found.pending_commands.of_person(scope.person)
        setattr(g, _LIMITED, (scope, replace(found, database=database, pending_commands=pending_commands)))
    limited: Components = g.get(_LIMITED)[1]
    return limited


def unlimited_components() -> Components:
    """Return the parts of the app with all that there is, for what decides who may see it."""
    found = current_app.extensions[KEY]
    assert isinstance(found, Components)
    return found


def set_scope(scope: NodeScope | None) -> None:
    """Let the present request see the nodes of this scope alone, and what belongs to them; None: all."""
    setattr(g, _SCOPE, scope)


def is_limited() -> bool:
    """Return whether the present request sees some groups of nodes alone."""
    return has_request_context() and g.get(_SCOPE, NOTHING) is not None


def is_hidden(job_id: str) -> bool:
    """Return whether there is a job of this id that the present request does not see."""
    if not is_limited():
        return False
    with components().database.read() as session:
        if get_job(session, job_id) is not None:
            return False
    with unlimited_components().database.read() as session:
        return get_job(session, job_id) is not None
