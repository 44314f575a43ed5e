"""`doseqr reconcile`: a list from the RIS against what is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.commands.evidence.calendar import NodeOption
from services.cli.commands.options.paths import given_path
from services.cli.output.console import JsonOption, block, line, notice, print_json, table
from services.cli.output.exit_codes import INCOMPLETE
from shared.clock import utc_now
from shared.errors import InvalidInputError

if TYPE_CHECKING:
    from shared.evidence.results import LineCounts, ReconciliationResult

_STATES = ("has_dose", "not_retrieved", "no_dose_object", "not_asked", "not_in_pacs")
#: States in which something is left to do.
_OPEN = ("not_retrieved", "not_asked", "not_in_pacs")
_ERRORS_SHOWN = 20


def reconcile(
    file: Annotated[
        Path,
        typer.Argument(
            parser=given_path, metavar="FILE", help="CSV or XLSX; its first row names the columns."
        ),
    ],
    node: NodeOption,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write a line of CSV for each line.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is known of each examination of a list from the RIS.

    Columns, in English or German: accession number or study instance UID; date, room, procedure, modality.
    Exit code 0: each line has its dose, or nothing with dose; 1: something is open, or a line is not usable.

    Examples: doseqr reconcile list.csv --node pacs; doseqr reconcile list.xlsx --node pacs --csv > result.csv
    """
    from shared.evidence.ris_file import FILE_BYTES
    from shared.evidence.ris_list import read_list
    from shared.nodes.nodes import find_node
    from shared.reading.evidence import reconciliation

    if as_csv and as_json:
        raise InvalidInputError("csv", "and --json exclude each other")
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInputError("file", f"{file} cannot be read: {error.strerror}") from error
    found = read_list(content)
    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        remote = find_node(session, node, "remote", "node")
        shown = reconciliation.reconcile(session, remote, found, settings, utc_now())
    if as_json:
        print_json(shown)
    elif as_csv:
        for lines in reconciliation.csv_of(shown):
            block(lines)
    else:
        _print(shown)
    if shown["number_of_errors"] or any(_numbers(shown["totals"])[state] for state in _OPEN):
        raise typer.Exit(INCOMPLETE)


def _numbers(counts: LineCounts) -> dict[str, int]:
    return {state: number for state, number in counts.items() if isinstance(number, int)}


def _print(shown: ReconciliationResult) -> None:
    line(f"{shown['node']}: {len(shown['lines'])} lines")
    rows = [("all", shown["totals"])]
    rows += [(f"room {room}", counts) for room, counts in shown["by_room"].items() if room]
    rows += [(f"week {week}", counts) for week, counts in shown["by_week"].items() if week]
    table(
        ("", "has dose", "not retrieved", "no dose object", "not asked", "not in the PACS"),
        [(name, *(_numbers(counts)[state] for state in _STATES)) for name, counts in rows],
    )
    if shown["header_lines"]:
        line(f"Of {shown['header_lines']} lines headers are stored, without pixels.")
    for error in shown["errors"][:_ERRORS_SHOWN]:
        notice(f"Line {error['line']}, {error['field']}: {error['problem']}")
    if shown["number_of_errors"] > _ERRORS_SHOWN:
        notice(f"{shown['number_of_errors']} lines cannot be used in all; --csv names more of them.")
