"""The results of queries and retrieves that were ordered, as JSON or in words, begun or not."""

from __future__ import annotations

import sys

from services.cli.client.jobs import JobOutcome, QueryOrder
from services.cli.output.console import line, print_json
from services.cli.output.summaries import print_job
from shared.contract.json_types import JsonObject
from shared.database.session import Database
from shared.reading.jobs import get_job
from shared.reading.query_json import write_query_json
from shared.reading.retrieve_json import retrieve_json


def print_query(database: Database, outcome: JobOutcome, *, with_retrieve: bool, as_json: bool) -> None:
    """Print a query, and the retrieve that followed, as JSON or in words."""
    with database.read() as session:
        if as_json:
            followed = outcome.retrieve_id and retrieve_json(session, outcome.retrieve_id)
            tail = {"retrieve": followed or None} if with_retrieve else {}
            write_query_json(session, outcome.query_id, sys.stdout, tail)
            line()
            return
        for job_id in filter(None, (outcome.query_id, outcome.retrieve_id)):
            job = get_job(session, job_id)
            if job is not None:
                print_job(session, job)


def print_queued(order: QueryOrder, query_id: str, *, as_json: bool) -> None:
    """Print a query that no service has taken yet, in the form that it will have."""
    if not as_json:
        line(f"Query {query_id}: queued; no service has taken it yet")
        return
    queued: JsonObject = {
        "id": query_id,
        "kind": "query",
        "status": "queued",
        "remote": order.remote.name,
        "store": order.store.name,
        "criteria": order.criteria.to_json(),
        "rules_version": None,
        "counts": {"found": 0, "examined": 0, "kept": 0, "by_type": {}, "by_reason": {}},
        "slices": {"total": 0, "complete": 0, "failed": 0},
        "missing": [],
        "studies": [],
    }
    print_json(queued)


def print_retrieve(database: Database, outcome: JobOutcome, *, accepted: bool, as_json: bool) -> None:
    """Print a retrieve as JSON or in words, also one that no service has taken yet."""
    retrieve_id = outcome.retrieve_id or ""
    if not accepted:
        queued: JsonObject = {
            "id": retrieve_id,
            "kind": "retrieve",
            "query": outcome.query_id,
            "status": "queued",
            "counts": {"asked": 0, "arrived": 0, "failed": 0, "missing": 0},
            "missing": [],
        }
        if as_json:
            print_json(queued)
        else:
            line(f"Retrieve {retrieve_id}: queued; no service has taken it yet")
        return
    with database.read() as session:
        job = get_job(session, retrieve_id)
        if as_json:
            print_json(retrieve_json(session, retrieve_id))
        elif job is not None:
            print_job(session, job)
