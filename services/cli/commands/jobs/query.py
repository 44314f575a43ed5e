"""`doseqr query` and `doseqr retrieve`, and the identifiers that a query takes from options or a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from services.cli.client.session import (
    JOB_QUEUES,
    opened_broker,
    opened_database,
    require_workers,
    settings_of_command,
)
from services.cli.commands.jobs.schedule_options import CtOption, DxOption, FlOption, MgOption, NmOption
from services.cli.output.console import JsonOption, line, notice, print_json
from services.cli.output.exit_codes import OK, usage
from shared.clock import utc_now
from shared.errors import InvalidInputError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from services.cli.client.jobs import QueryOrder
    from shared.contract.criteria import Criteria
    from shared.contract.messages import JobPriority
    from shared.settings import Settings

Terms = Annotated[list[str] | None, typer.Option(metavar="T")]
BackgroundOption = Annotated[
    bool, typer.Option("--background", help="Nobody waits for it: others go before, as with a schedule.")
]


#: Stands for standard input in place of a file's name.
STANDARD_INPUT = "-"

#: Bytes of a file of identifiers, one a line: far more than the identifiers that one query takes.
MAX_FILE_BYTES = 1024 * 1024


def query(
    remote: Annotated[str, typer.Option(metavar="N", help="The remote node to query: id or name.")],
    store: Annotated[str, typer.Option(metavar="N", help="The store node to send to: id or name.")],
    ct: CtOption = False,
    mg: MgOption = False,
    fl: FlOption = False,
    dx: DxOption = False,
    nm: NmOption = False,
    include_sr_only: Annotated[
        bool, typer.Option("--include-sr-only", help="Also studies that hold nothing but SR.")
    ] = False,
    date_from: Annotated[
        str | None, typer.Option("--from", metavar="D", help="First day, yyyy-mm-dd.")
    ] = None,
    date_until: Annotated[
        str | None, typer.Option("--until", metavar="D", help="Last day, yyyy-mm-dd.")
    ] = None,
    time_from: Annotated[
        str | None,
        typer.Option(metavar="HHMM", help="First minute; only with --from and --until of one day."),
    ] = None,
    time_until: Annotated[str | None, typer.Option(metavar="HHMM", help="Last minute, likewise.")] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="T", help="Drop studies whose description holds one of these terms."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="T", help="Keep only studies whose description holds one of these terms."),
    ] = None,
    exclude_station: Annotated[
        list[str] | None, typer.Option(metavar="T", help="Drop what comes from these stations.")
    ] = None,
    keep_station: Annotated[
        list[str] | None, typer.Option(metavar="T", help="Keep only what comes from these stations.")
    ] = None,
    station_at_study_level: Annotated[
        bool, typer.Option("--station-at-study-level", help="Station names are those of the study.")
    ] = False,
    include_known: Annotated[
        bool, typer.Option("--include-known", help="Also what is in the database already.")
    ] = False,
    empty_sr: Annotated[
        bool, typer.Option("--empty-sr", help="Also SR series without a match at image level.")
    ] = False,
    toshiba: Annotated[
        bool,
        typer.Option("--toshiba", help="CT without report: first images, secondary captures whole."),
    ] = False,
    accession_number: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A", help="Only the study with this accession number; repeatable; not with dates."
        ),
    ] = None,
    accession_numbers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same for each line of a file; - for standard input."),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="UID", help="Only the study with this UID; repeatable; not with dates."),
    ] = None,
    studies: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same for each line of a file; - for standard input."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print an estimate of studies and time, and send no request.")
    ] = False,
    retrieve: Annotated[bool, typer.Option("--retrieve", help="Retrieve what was kept.")] = False,
    background: BackgroundOption = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the dose objects of a remote node; terms are comma-separated or given several times.

    Examples: doseqr query --remote pacs --store doseqr --ct --dx --from 2026-03-01 --until 2026-03-31;
    doseqr query --remote pacs --store doseqr --ct --accession-numbers list.txt --retrieve
    """
    from shared.contract.criteria import parse_criteria

    types = {"CT": ct, "MG": mg, "FL": fl, "DX": dx, "NM": nm}
    criteria = parse_criteria(
        {
            "types": [name for name, chosen in types.items() if chosen],
            "include_sr_only": include_sr_only,
            "date_from": date_from,
            "date_until": date_until,
            "time_from": time_from,
            "time_until": time_until,
            "exclude_descriptions": exclude,
            "keep_descriptions": keep,
            "exclude_stations": exclude_station,
            "keep_stations": keep_station,
            "station_at_study_level": station_at_study_level,
            "ignore_known": not include_known,
            "empty_sr": empty_sr,
            "toshiba": toshiba,
            "accession_numbers": identifiers("accession_numbers", accession_number or (), accession_numbers),
            "study_instance_uids": identifiers("study_instance_uids", study or (), studies),
        }
    )
    raise typer.Exit(
        _run(
            remote,
            store,
            criteria,
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
    *,
    estimate: bool,
    retrieve: bool,
    background: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    from services.cli.client import jobs
    from services.cli.client.echo import require_echo
    from services.cli.commands.jobs.results import print_query, print_queued
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
            if no_wait:
                query_id, accepted = jobs.query_without_waiting(database, broker, order)
                outcome = jobs.JobOutcome(query_id, None, OK)
            else:
                require_echo(broker, settings, [order.remote], notice)
                outcome, accepted = jobs.query_and_wait(database, broker, order), True
        if accepted:
            print_query(database, outcome, with_retrieve=retrieve and not no_wait, as_json=as_json)
        else:
            print_queued(order, outcome.query_id, as_json=as_json)
    return outcome.exit_code


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
    background: BackgroundOption = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have what a query kept sent to its store node; a second time, only what has not arrived.

    Examples: doseqr retrieve 4f1c2f6e; doseqr retrieve 4f1c2f6e --type CT --no-wait
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
            order = RetrieveOrder(found.id, chosen, uids, priority_of(background=background))
        with opened_broker(settings) as broker:
            require_workers(broker, JOB_QUEUES["retrieve"])
            if no_wait:
                retrieve_id, accepted = retrieve_without_waiting(database, broker, order)
                outcome = JobOutcome(order.query_id, retrieve_id, OK)
            else:
                outcome, accepted = retrieve_and_wait(database, broker, order), True
        print_retrieve(database, outcome, accepted=accepted, as_json=as_json)
    raise typer.Exit(outcome.exit_code)


def identifiers(field: str, given: Sequence[str], file: str | None) -> list[str]:
    """Return the identifiers of the options and of the file of one field of criteria.

    Raises:
        InvalidInputError: the file cannot be read, holds none, or a line is malformed; names the line.
    """
    from shared.contract.identifier_lines import identifier_lines

    if file is None:
        return list(given)
    try:
        found = identifier_lines(field, _file_text(file))
    except OSError as error:
        raise InvalidInputError(field, f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInputError(field, f"{_shown_file(file)} is no text in UTF-8") from None
    except _FileTooLargeError:
        raise InvalidInputError(field, f"{_shown_file(file)} is larger than {MAX_FILE_BYTES} bytes") from None
    if not found:
        raise InvalidInputError(field, f"{_shown_file(file)} holds none")
    return [*given, *found]


class _FileTooLargeError(Exception):
    """A file holds more than is read."""


def _file_text(name: str) -> str:
    """Return what a file holds; a mark of byte order, which some editors write, is no part of it."""
    if name == STANDARD_INPUT:
        return _bounded_file(sys.stdin.buffer).decode("utf-8-sig")
    with Path(name).open("rb") as file:
        return _bounded_file(file).decode("utf-8-sig")


def _bounded_file(file: BinaryIO) -> bytes:
    content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise _FileTooLargeError
    return content


def _shown_file(name: str) -> str:
    return "standard input" if name == STANDARD_INPUT else name
