"""Services that publish scripted events for commands; broker and ledger are real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.broker.bridge.server import BridgeServer
from shared.broker.memory.broker import MemoryBroker
from shared.broker.worker import Worker
from shared.clock import utc_now
from shared.contract.envelope import Envelope, retrieve_id_after
from shared.contract.messages import (
    ENDED,
    ENDINGS,
    Accepted,
    AskAgain,
    CancelJob,
    Command,
    EchoCompleted,
    EchoNodes,
    HandoverRetried,
    NodeProfiled,
    NodeStatus,
    ObjectsRegistered,
    PauseJob,
    ProfileNode,
    RaiseJob,
    RegisterObjects,
    ResumeJob,
    RetryHandover,
    RunQuery,
    RunRetrieve,
)
from shared.database.models import Query, Retrieve
from shared.database.models.pause import Pause, PriorityRaise
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.messaging.command_router import CommandHandler, CommandRouter
from shared.messaging.publisher import Publisher
from shared.nodes.nodes import find_node, list_nodes
from shared.reading.jobs import get_job
from shared.settings import Settings
from tests.support.jobs.rows import a_query, a_retrieve, a_study
from tests.support.servers.databases import prepare

DONE = {"status": "completed", "slices_total": 1, "slices_complete": 1}


@dataclass
class Script:
    """What the services publish."""

    #: Outcome by node name; any other node gets success.
    outcomes: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=lambda: {**DONE, "studies_found": 1, "studies_kept": 1})
    retrieve: dict[str, Any] = field(
        default_factory=lambda: {"status": "completed", "asked": 3, "arrived": 3}
    )
    #: Rejects the next command with this field and problem.
    reject: tuple[str, str] | None = None
    #: Commands are taken and nothing comes of them.
    silent: bool = False


class FakeServices:
    """Handles the commands of one test over a memory broker that `doseqr` reaches by the bridge."""

    def __init__(self, settings: Settings, script: Script) -> None:
        self.script = script
        self.commands: list[Command] = []
        self.database = Database(settings.database)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        prepare(self.database)
        self.broker = MemoryBroker()
        self.broker.declare()
        self._publisher = Publisher(self.broker, "fake")
        self._bridge = BridgeServer(self.broker, settings.bridge_socket)
        self._workers: dict[str, list[Worker]] = {}
        handlers: dict[str, dict[type[Command], Callable[[Envelope, Any], None]]] = {
            "echo": {EchoNodes: self._echo},
            "query": {
                RunQuery: self._query,
                CancelJob: self._cancel,
                PauseJob: self._pause,
                ResumeJob: self._resume,
                RaiseJob: self._raise,
                AskAgain: self._again,
            },
            "query-tasks": {},
            "query-profile": {ProfileNode: self._profile},
            "retrieve": {
                RunRetrieve: self._retrieve,
                CancelJob: self._cancel_retrieve,
                PauseJob: self._leave,
                ResumeJob: self._leave,
                RaiseJob: self._leave,
                AskAgain: self._again_retrieve,
            },
            "retrieve-tasks": {},
            "store": {RegisterObjects: self._register, RetryHandover: self._retry_handover},
        }
        for queue, of_queue in handlers.items():
            self._serve(queue, {kind: self._recorded(handler) for kind, handler in of_queue.items()})

    def stop_service(self, name: str) -> None:
        """Cancel all consumers of a service."""
        for queue in [queue for queue in self._workers if queue.split("-")[0] == name]:
            for worker in self._workers.pop(queue):
                worker.stop(1.0)

    def close(self) -> None:
        """End everything."""
        for queue in list(self._workers):
            for worker in self._workers.pop(queue):
                worker.stop(1.0)
        self._bridge.close()
        self.broker.close()
        self.database.close()

    def _serve(self, queue: str, handlers: dict[type[Command], CommandHandler]) -> None:
        worker = Worker(self.broker, queue, CommandRouter(handlers, self._publisher), workers=1)
        worker.start()
        self._workers.setdefault(queue, []).append(worker)

    def _recorded(self, handler: CommandHandler) -> CommandHandler:
        def recorded(envelope: Envelope, command: Any) -> None:
            self.commands.append(command)
            if self.script.reject:
                raise InvalidInputError(*self.script.reject)
            if not self.script.silent:
                handler(envelope, command)

        return recorded

    def _echo(self, envelope: Envelope, command: EchoNodes) -> None:
        with self.database.read() as session:
            nodes = [find_node(session, n) for n in command.nodes] or list_nodes(session)
        results = []
        for node in nodes:
            outcome = self.script.outcomes.get(node.name, "answers")
            ok = outcome == "answers"
            status = NodeStatus(
                echo_id=envelope.id,
                node_id=node.id,
                node=node.name,
                kind="remote" if node.kind == "remote" else "store",
                ok=ok,
                rtt_ms=1.5 if ok else None,
                outcome=outcome,
            )
            results.append(status)
            self._publisher.event(status, "echo", envelope.id)
        self._publisher.event(EchoCompleted(echo_id=envelope.id, results=results), "echo", envelope.id)

    def _profile(self, envelope: Envelope, command: ProfileNode) -> None:
        with self.database.read() as session:
            node = find_node(session, command.node, "remote", "data.node")
        outcome = self.script.outcomes.get(node.name, "answers")
        event = NodeProfiled(
            command_id=envelope.id,
            node_id=node.id,
            node=node.name,
            ok=outcome == "answers",
            outcome=outcome,
            requests=7,
            profile={},
        )
        self._publisher.event(event, "profile", envelope.id)

    def _query(self, envelope: Envelope, command: RunQuery) -> None:
        columns = self.script.query
        with self.database.write() as session:
            session.add(a_query(envelope.id, criteria=command.criteria, requested_at=utc_now(), **columns))
            session.flush()
            for number in range(columns.get("studies_kept", 0)):
                session.add(a_study(f"1.2.{number + 1}", envelope.id))
        self._publish_end("query", envelope.id)
        if command.retrieve and columns.get("studies_kept") and columns["status"] in ENDED:
            order = RunRetrieve(query_id=envelope.id)
            self._publisher.command(order, command_id=f"{envelope.id[:61]}-r")

    def _retrieve(self, envelope: Envelope, command: RunRetrieve) -> None:
        with self.database.write() as session:
            session.add(
                a_retrieve(envelope.id, command.query_id, requested_at=utc_now(), **self.script.retrieve)
            )
        self._publish_end("retrieve", envelope.id)

    def _publish_end(self, kind: Any, job_id: str) -> None:
        self._publisher.event(Accepted(job_id=job_id, kind=kind), kind, job_id)
        with self.database.read() as session:
            job = get_job(session, job_id)
        assert job is not None
        if job.status in ENDED:
            event = ENDINGS[job.status](job_id=job_id, kind=kind, status=job.status, counts={})
            self._publisher.event(event, kind, job_id)

    def _raise(self, envelope: Envelope, command: RaiseJob) -> None:
        with self.database.write() as session:
            job = session.get_one(Query, command.job_id)
            job.raised = PriorityRaise(command.requested_by, utc_now(), envelope.id).to_json()

    def _pause(self, envelope: Envelope, command: PauseJob) -> None:
        with self.database.write() as session:
            pause = Pause(command.requested_by, utc_now(), envelope.id)
            session.get_one(Query, command.job_id).begin_pause(pause)

    def _resume(self, envelope: Envelope, command: ResumeJob) -> None:
        with self.database.write() as session:
            session.get_one(Query, command.job_id).end_pause(envelope.id)

    def _cancel(self, envelope: Envelope, command: CancelJob) -> None:
        with self.database.write() as session:
            job = session.get(Query, command.job_id)
            if job is not None:
                job.status = "cancelled"
        if job is not None:
            self._publish_end("query", command.job_id)

    def _leave(self, envelope: Envelope, command: Command) -> None:
        """Leave a job to the other service."""

    def _cancel_retrieve(self, envelope: Envelope, command: CancelJob) -> None:
        with self.database.write() as session:
            job = session.get(Retrieve, command.job_id)
            if job is not None:
                job.status = "cancelled"
        if job is not None:
            self._publish_end("retrieve", command.job_id)

    def _again(self, envelope: Envelope, command: AskAgain) -> None:
        with self.database.write() as session:
            job = session.get(Query, command.job_id)
            if job is None:
                return
            job.round += 1
            for name, value in self.script.query.items():
                setattr(job, name, value)
        self._publish_end("query", command.job_id)
        if job.retrieve_after and job.status in ENDED:
            retrieve_id = retrieve_id_after(command.job_id, job.round)
            self._publisher.command(RunRetrieve(query_id=command.job_id), command_id=retrieve_id)

    def _again_retrieve(self, envelope: Envelope, command: AskAgain) -> None:
        with self.database.read() as session:
            earlier = session.get(Retrieve, command.job_id)
        if earlier is not None:
            self._retrieve(envelope, RunRetrieve(query_id=earlier.query_id))

    def _register(self, envelope: Envelope, command: RegisterObjects) -> None:
        event = ObjectsRegistered(command_id=envelope.id, objects=len(command.objects))
        self._publisher.event(event, "objects", envelope.id)

    def _retry_handover(self, envelope: Envelope, command: RetryHandover) -> None:
        event = HandoverRetried(command_id=envelope.id, batches=2)
        self._publisher.event(event, "handover", envelope.id)
