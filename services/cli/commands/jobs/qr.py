"""`doseqr qr`: query and retrieve with the flags that cron lines of dose tracking sites already have."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Never

from services.cli.client.session import opened_broker, opened_database, settings_of_command
from services.cli.output.console import block, print_json_chunks
from services.cli.output.exit_codes import usage

if TYPE_CHECKING:
    from services.cli.client.jobs import JobOutcome
    from shared.contract.criteria import Criteria
    from shared.database.session import Database

_TYPES = ("ct", "mg", "fl", "dx", "nm")
#: Flags of which a blank one would leave out a limit.
_DATES_AND_TIMES = ("dfrom", "duntil", "single_date", "tfrom", "tuntil")


class _Parser(argparse.ArgumentParser):
    """Raises our error for wrong usage, so that all commands end alike."""

    def error(self, message: str) -> Never:
        """Refuse the arguments.

        Raises:
            CommandError: always.
        """
        raise usage(f"{message} (doseqr qr -h shows how)")


def parser() -> argparse.ArgumentParser:
    """Return the parser; the short flags with one dash and several letters are no habit of Typer's."""
    made = _Parser(
        prog="doseqr qr",
        allow_abbrev=False,
        description="Test both nodes, query, and retrieve what was kept. The exit code shows what happened: "
        "0 completed, 1 incomplete, 2 wrong usage, 3 a node cannot be reached, 4 broker, database or "
        "workers away, 5 failed, 130 cancelled.",
    )
    made.add_argument("qr_id", metavar="QR_ID", help="the remote node: id or name")
    made.add_argument("store_id", metavar="STORE_ID", help="the store node: id or name")
    for name, what in zip(
        _TYPES, ("CT", "mammography", "fluoroscopy", "radiography", "nuclear"), strict=True
    ):
        made.add_argument(f"-{name}", action="store_true", help=f"{what} studies")
    made.add_argument("-sr", action="store_true", help="studies that hold nothing but SR; stands alone")
    made.add_argument("-f", "--dfrom", metavar="DATE", help="first day, yyyy-mm-dd")
    made.add_argument("-t", "--duntil", metavar="DATE", help="last day, yyyy-mm-dd")
    made.add_argument("-sd", "--single_date", metavar="DATE", help="one day; not with -f or -t")
    made.add_argument("-tf", "--tfrom", metavar="HHMM", help="first minute; only with -sd")
    made.add_argument("-tt", "--tuntil", metavar="HHMM", help="last minute; only with -sd")
    made.add_argument("-e", "--desc_exclude", metavar="TERMS", help="drop studies described so")
    made.add_argument("-i", "--desc_include", metavar="TERMS", help="keep only studies described so")
    made.add_argument("-sne", "--stationname_exclude", metavar="TERMS", help="drop what comes from these")
    made.add_argument(
        "-sni", "--stationname_include", metavar="TERMS", help="keep only what comes from these"
    )
    made.add_argument("--stationname_study_level", action="store_true", help="station names of the study")
    made.add_argument("-toshiba", action="store_true", help="CT without report: first images, captures whole")
    made.add_argument("-dup", action="store_true", help="also what is in the database already")
    made.add_argument("-emptysr", action="store_true", help="also SR series without a match at image level")
    made.add_argument(
        "--background", action="store_true", help="nobody waits for it: others go before, as with a schedule"
    )
    made.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    return made


def criteria_of(given: argparse.Namespace) -> Criteria:
    """Return the criteria that the flags stand for.

    Raises:
        CommandError: flags that do not go together.
        InvalidInputError: a value is malformed; names the field.
    """
    from services.cli.commands.options.query import refuse_blank
    from shared.contract.criteria import parse_criteria

    refuse_blank({name: getattr(given, name) for name in _DATES_AND_TIMES})
    types = [name.upper() for name in _TYPES if getattr(given, name)]
    if given.sr and types:
        raise usage("-sr stands alone: it cannot be given with another type", "sr")
    if given.single_date and (given.dfrom or given.duntil):
        raise usage("-sd cannot be given with -f or -t", "single_date")
    return parse_criteria(
        {
            "types": types,
            "include_sr_only": given.sr,
            "date_from": given.single_date or given.dfrom,
            "date_until": given.single_date or given.duntil,
            "time_from": given.tfrom,
            "time_until": given.tuntil,
            "exclude_descriptions": given.desc_exclude,
            "keep_descriptions": given.desc_include,
            "exclude_stations": given.stationname_exclude,
            "keep_stations": given.stationname_include,
            "station_at_study_level": given.stationname_study_level,
            "ignore_known": not given.dup,
            "empty_sr": given.emptysr,
            "toshiba": given.toshiba,
        }
    )


def run(arguments: Sequence[str]) -> int:
    """Query and retrieve as the flags have it; return the exit code.

    Raises:
        CommandError: wrong usage, a node that does not respond, or something that is away.
    """
    made = parser()
    if {"-h", "--help"} & set(arguments):
        text = io.StringIO()
        made.print_help(text)
        block(text.getvalue())
        return 0
    given = made.parse_args(list(arguments))
    return _query_and_retrieve(given, criteria_of(given))


def _query_and_retrieve(given: argparse.Namespace, criteria: Criteria) -> int:
    from services.cli.client.echo import require_echo
    from services.cli.client.jobs import QueryOrder, query_and_wait, require_query_workers
    from services.cli.commands.jobs.query import priority_of
    from services.cli.commands.jobs.results import print_query
    from shared.nodes.nodes import find_node

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            order = QueryOrder(
                find_node(session, given.qr_id, "remote", "qr_id"),
                find_node(session, given.store_id, "store", "store_id"),
                criteria,
                retrieve=True,
                priority=priority_of(background=given.background),
            )
        with opened_broker(settings) as broker:
            require_query_workers(broker, order)
            require_echo(broker, settings, [order.remote, order.store])
            outcome = query_and_wait(database, broker, order)
        if given.json:
            _print_json(database, outcome)
        else:
            print_query(database, outcome, with_retrieve=True, as_json=False)
    return outcome.exit_code


def _print_json(database: Database, outcome: JobOutcome) -> None:
    from shared.reading.query_json import query_json_chunks
    from shared.reading.retrieve_json import retrieve_json

    with database.read() as session:
        retrieve = retrieve_json(session, outcome.retrieve_id) if outcome.retrieve_id else None
        chunks = query_json_chunks(session, outcome.query_id)
        print_json_chunks(chain(['{"query": '], chunks, [f', "retrieve": {json.dumps(retrieve)}}}']))
