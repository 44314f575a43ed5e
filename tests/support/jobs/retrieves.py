"""Queries that have ended, made from the studies of a scripted PACS, and retrieves of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from services.retrieve import main
from services.retrieve.ledger.conditions import recount
from services.retrieve.ledger.selection import fill
from shared.clock import utc_now
from shared.contract.messages import RunRetrieve
from shared.database.models import Node, Retrieve, RetrieveMove, RetrieveObject
from shared.lifecycle import Lifecycle
from shared.node_profiles.ledger import change_profile
from shared.nodes.peers import peer_of
from shared.reading.retrieve_json import RetrieveJson
from simulator.archive.model import Study
from simulator.scp import ScriptedPacs
from simulator.witness import RecordedRequest
from tests.support.jobs.rows import a_query, a_retrieve, a_series, a_study, an_object
from tests.support.services.in_process import System

#: Short, so that tests of what never arrives end soon; the store is in the same process.
GRACE_S = 0.4


class Retrieves:
    """A system whose retrieve service has a scripted PACS send to some store."""

    def __init__(self, system: System) -> None:
        self.system = system
        #: What the services that start from now on are given as DOSEQR_ARRIVAL_GRACE.
        self.grace_s = GRACE_S
        self._lifecycles: list[Lifecycle] = []

    def connect(self, pacs: ScriptedPacs, store: Node | None = None, *, workers: int = 1) -> None:
        """Make both nodes known to DoseQR and the store to the PACS, and start the services."""
        self.remote = self.system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
        self.store = store or self.system.add_own_store()
        pacs.destinations[self.store.ae_title] = (self.store.host, self.store.port)
        if store is None:
            self.system.start("store")
        for _ in range(workers):
            self.start()

    def start(self) -> Lifecycle:
        """Start one more retrieve service."""
        lifecycle = Lifecycle()
        settings = self.system.settings.model_copy(update={"arrival_grace": self.grace_s})
        main.start(settings, self.system.broker, self.system.database, lifecycle)
        self._lifecycles.append(lifecycle)
        return lifecycle

    def stop(self) -> None:
        """Stop the retrieve services."""
        while self._lifecycles:
            self._lifecycles.pop().__exit__(None, None, None)

    def kept(
        self,
        studies: Iterable[Study],
        *,
        whole: bool = True,
        only: Collection[str] | None = None,
        named: bool = True,
        counted: bool = True,
        announced: int | None = None,
        reason: str | None = None,
        **columns: Any,
    ) -> str:
        """Add an ended query that kept these studies; return its id.

        `whole`: all objects of each series; `only`: just these objects, decided one by one; `named`: the
        query knows the names of the objects; `counted`: the PACS announced how many there are, correctly or
        as `announced`; `reason`: why what is no report is kept.
        """
        query_id = columns.pop("job_id", "query-1")
        nodes = {"remote_id": self.remote.id, "store_id": self.store.id}
        with self.system.database.write() as session:
            session.add(a_query(query_id, **(nodes | columns)))
            session.flush()
            for study in studies:
                session.add(a_study(study.study_instance_uid, query_id))
                for series in study.series:
                    classes = {study.sop_instance_uid: study.sop_class_uid for study in series.instances}
                    uids = list(classes)
                    keys = (study.study_instance_uid, series.series_instance_uid)
                    kept = [uid for uid in uids if only is None or uid in only]
                    if not kept:
                        continue
                    count = (announced or len(uids)) if counted else None
                    why = reason if reason is not None and series.modality != "SR" else "rdsr"
                    row = a_series(
                        *keys,
                        query_id,
                        whole=whole and len(kept) == len(uids),
                        instance_count=count,
                        reason=why,
                    )
                    session.add(row)
                    for uid in uids if named else ():
                        decision = "keep" if uid in kept else "drop"
                        one_class = classes[uid]
                        session.add(
                            an_object(
                                *keys, uid, query_id, decision=decision, sop_class_uid=one_class, reason=why
                            )
                        )
        return str(query_id)

    def learn(self, **fields: Any) -> None:
        """Let this be known of the remote node."""
        peer = peer_of(self.remote, self.system.settings)
        with self.system.database.write() as session:
            change_profile(session, self.remote.id, peer, partial(replace, **fields), utc_now())

    def run(self, query_id: str = "query-1", **options: Any) -> RetrieveJson:
        """Retrieve what a query kept; return the JSON of the ended retrieve."""
        return self.system.finished_retrieve(query_id, **options)

    def order(self, query_id: str = "query-1", job_id: str | None = None, **options: Any) -> str:
        """Order a retrieve; return its id."""
        return self.system.command(RunRetrieve(query_id=query_id, **options), job_id)

    def fill(self, job_id: str, query_id: str = "query-1") -> None:
        """Add a running retrieve with its rows and without tasks."""
        nodes = {"remote_id": self.remote.id, "store_id": self.store.id, "requested_at": utc_now()}
        with self.system.database.write() as session:
            session.add(a_retrieve(job_id, query_id, status="running", **nodes))
            session.flush()
            fill(session, job_id, RunRetrieve(query_id=query_id), ignore_known=True, content="whole")
            recount(session, job_id)

    def objects(self, job_id: str) -> dict[str, RetrieveObject]:
        """Return the ledger by SOP Instance UID."""
        with self.system.database.read() as session:
            rows = session.query(RetrieveObject).filter_by(job_id=job_id)
            return {row.sop_instance_uid: row for row in rows}

    def moves(self, job_id: str) -> list[RetrieveMove]:
        """Return the recorded C-MOVEs in order."""
        with self.system.database.read() as session:
            return session.query(RetrieveMove).filter_by(job_id=job_id).order_by(RetrieveMove.id).all()

    def note(self, job_id: str) -> str:
        """Return what a retrieve waits for; empty while there is none yet."""
        with self.system.database.read() as session:
            job = session.get(Retrieve, job_id)
            return job.note if job is not None else ""

    def job(self, job_id: str) -> Retrieve:
        """Return the row of a retrieve."""
        with self.system.database.read() as session:
            return session.get_one(Retrieve, job_id)


def recorded_requests(pacs: ScriptedPacs, operation: str = "move") -> list[RecordedRequest]:
    """Return the requests of one kind that a PACS got, in their order."""
    # They are recorded when they end.
    requests = sorted(pacs.witness.requests, key=lambda request: request.number)
    return [request for request in requests if request.operation == operation]
