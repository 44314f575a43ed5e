"""`doseqr query` and `doseqr retrieve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import (
    JOB_QUEUES,
    opened_broker,
    opened_database,
    require_workers,
    settings_of_command,
)
from services.cli.commands.options.group import expand_options
from services.cli.commands.options.node import OrderHeadersOption, content_of
from services.cli.commands.options.query import (
    STANDARD_INPUT,
    QueryOptions,
    criteria_of,
    is_long,
    uploaded_of,
)
from services.cli.output.console import JsonOption, line, notice, print_json
from services.cli.output.exit_codes import OK, usage
from shared.clock import utc_now

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from services.cli.client.jobs import QueryOrder
    from shared.broker.port import Broker
    from shared.contract.criteria import Criteria
    from shared.contract.messages import JobPriority
    from shared.database.session import Database
    from shared.settings import Settings
    from shared.study_lists.upload import UploadedList

BackgroundOption = Annotated[
    bool, typer.Option("--background", help="Nobody waits for it: others go before, as with a schedule.")
]


@expand_options
def query(
    remote: Annotated[str, typer.Option(metavar="N", help="The remote node to query: id or name.")],
    store: Annotated[str, typer.Option(metavar="N", help="The store node to send to: id or name.")],
    options: QueryOptions,
    *,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print an estimate of studies and time, and send no request.")
    ] = False,
    retrieve: Annotated[bool, typer.Option("--retrieve", help="Retrieve what was kept.")] = False,
    background: BackgroundOption = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the dose objects of a remote node; terms are comma-separated or given several times.

    A list of more than 1,000 studies becomes queries one after another; see doseqr lists.

    Examples: doseqr query --remote pacs --store doseqr --ct --dx --from 2026-03-01 --until 2026-03-31;
    doseqr query --remote pacs --store doseqr --ct --accession-numbers list.txt --retrieve;
    doseqr query --remote pacs --store doseqr --ct --list ris.xlsx --column B --leave-out-errors
    """
    uploaded = uploaded_of(options)
    long_list = uploaded if uploaded is not None and is_long(uploaded) else None
    if estimate and long_list is not None:
        raise usage("estimate: there is none for a list that is longer than one query", "estimate")
    raise typer.Exit(
        _run(
            remote,
            store,
            criteria_of(options, uploaded),
            _name_of(options.list_file),
            long_list,
            estimate=estimate,
            retrieve=retrieve,
            background=background,
            no_wait=no_wait,
            as_json=as_json,
        )
    )


def _run(
    remote: str,
    store: str,
    criteria: Criteria,
    name: str,
    long_list: UploadedList | None,
    *,
    estimate: bool,
    retrieve: bool,
    background: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    from services.cli.client import jobs
    from services.cli.client.echo import require_echo
    from shared.nodes.nodes import find_node

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            order = jobs.QueryOrder(
                find_node(session, remote, "remote"),
                find_node(session, store, "store"),
                criteria,
                retrieve,
                priority_of(background=background),
            )
            if estimate:
                _print_estimate(session, settings, order, as_json=as_json)
                return OK
        with opened_broker(settings) as broker:
            jobs.require_query_workers(broker, order)
            if not no_wait:
                require_echo(broker, settings, [order.remote], notice)
            if long_list is not None:
                return _run_list(database, broker, order, name, long_list, no_wait=no_wait, as_json=as_json)
            return _run_query(database, broker, order, no_wait=no_wait, as_json=as_json)


def _run_query(database: Database, broker: Broker, order: QueryOrder, *, no_wait: bool, as_json: bool) -> int:
    from services.cli.client import jobs
    from services.cli.commands.jobs.results import print_query, print_queued

    if no_wait:
        query_id, accepted = jobs.query_without_waiting(database, broker, order)
        outcome = jobs.JobOutcome(query_id, None, OK)
    else:
        outcome, accepted = jobs.query_and_wait(database, broker, order), True
    if accepted:
        print_query(database, outcome, with_retrieve=order.retrieve and not no_wait, as_json=as_json)
    else:
        print_queued(order, outcome.query_id, as_json=as_json)
    return outcome.exit_code


def _name_of(file: str | None) -> str:
    return Path(file).name if file is not None and file != STANDARD_INPUT else "list"


def _run_list(
    database: Database,
    broker: Broker,
    order: QueryOrder,
    name: str,
    long_list: UploadedList,
    *,
    no_wait: bool,
    as_json: bool,
) -> int:
    from services.cli.client.study_lists import begin_list, list_details, wait_for_list
    from services.cli.commands.jobs.lists import print_list
    from services.cli.output.exit_codes import of_job

    list_id = begin_list(database, order, name, long_list)
    if no_wait:
        print_list(list_details(database, list_id), as_json=as_json)
        return OK
    details = wait_for_list(database, broker, order, list_id)
    print_list(details, as_json=as_json)
    return of_job(details["status"])


def _print_estimate(session: Session, settings: Settings, order: QueryOrder, *, as_json: bool) -> None:
    from shared.querying.estimate_text import sentence
    from shared.reading.estimates import estimate_of

    known = estimate_of(session, order.remote, settings, order.criteria, settings.day_of(utc_now()))
    if as_json:
        print_json({"remote": order.remote.name, "criteria": order.criteria.to_json(), **known.to_json()})
        return
    line(sentence(known))
    if known.warning:
        line(known.warning)


def priority_of(*, background: bool) -> JobPriority:
    """Return the priority of a job for which somebody waits, or nobody."""
    from shared.contract.messages import BACKGROUND, INTERACTIVE

    return BACKGROUND if background else INTERACTIVE


def retrieve(
    query_id: Annotated[str, typer.Argument(metavar="QUERY_ID", help="The query's id, or its beginning.")],
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="T", help="Only studies of this type; repeatable.")
    ] = None,
    studies: Annotated[
        list[str] | None, typer.Option("--study", metavar="UID", help="Only this study; repeatable.")
    ] = None,
    headers: OrderHeadersOption = None,
    background: BackgroundOption = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have what a query kept sent to its store node; a second time, only what has not arrived.

    Examples: doseqr retrieve 4f1c2f6e; doseqr retrieve 4f1c2f6e --type CT --no-wait;
    doseqr retrieve 4f1c2f6e --headers
    """
    from services.cli.client.jobs import (
        JobOutcome,
        RetrieveOrder,
        retrieve_and_wait,
        retrieve_without_waiting,
    )
    from services.cli.commands.jobs.results import print_retrieve
    from shared.contract.criteria import CODES
    from shared.identifiers import parse_uid
    from shared.reading.jobs import find_job

    chosen = tuple(text.strip().upper() for text in types or ())
    for name in chosen:
        if name not in CODES:
            raise usage(f"type: must be one of {', '.join(CODES)}", "type")
    uids = tuple(str(parse_uid("study", uid)) for uid in studies or ())
    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            found = find_job(session, query_id, "query", "query")
            priority = priority_of(background=background)
            order = RetrieveOrder(found.id, chosen, uids, priority, content_of(headers))
        with opened_broker(settings) as broker:
            require_workers(broker, JOB_QUEUES["retrieve"])
            if no_wait:
                retrieve_id, accepted = retrieve_without_waiting(database, broker, order)
                outcome = JobOutcome(order.query_id, retrieve_id, OK)
            else:
                outcome, accepted = retrieve_and_wait(database, broker, order), True
        print_retrieve(database, outcome, accepted=accepted, as_json=as_json)
    raise typer.Exit(outcome.exit_code)
