"""What `doseqr query` is to find, from its options and the files that they name."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from services.cli.output.console import notice
from services.cli.output.exit_codes import USAGE, CommandError, usage
from shared.errors import InvalidInputError

if TYPE_CHECKING:
    from shared.contract.criteria import Criteria
    from shared.study_lists.upload import UploadedList, WrongLinesError

#: Stands for standard input in place of a file's name.
STANDARD_INPUT = "-"

#: Bytes of a file of identifiers, one a line: far more than the identifiers that one query takes.
MAX_FILE_BYTES = 1024 * 1024

#: Wrong lines that are named in words; --json names more of them.
_ERRORS_SHOWN = 20

CtOption = Annotated[bool, typer.Option("--ct", help="CT studies.")]
MgOption = Annotated[bool, typer.Option("--mg", help="Mammography studies.")]
FlOption = Annotated[bool, typer.Option("--fl", help="Fluoroscopy and angiography studies (RF, XA).")]
DxOption = Annotated[bool, typer.Option("--dx", help="Radiography studies (DX, CR, PX).")]
NmOption = Annotated[bool, typer.Option("--nm", help="Nuclear medicine studies (NM, PT).")]


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What a query is to find, as it is given on the command line."""

    ct: CtOption = False
    mg: MgOption = False
    fl: FlOption = False
    dx: DxOption = False
    nm: NmOption = False
    include_sr_only: Annotated[
        bool, typer.Option("--include-sr-only", help="Also studies that hold nothing but SR.")
    ] = False
    date_from: Annotated[str | None, typer.Option("--from", metavar="D", help="First day, yyyy-mm-dd.")] = (
        None
    )
    date_until: Annotated[str | None, typer.Option("--until", metavar="D", help="Last day, yyyy-mm-dd.")] = (
        None
    )
    time_from: Annotated[
        str | None,
        typer.Option(metavar="HHMM", help="First minute; only with --from and --until of one day."),
    ] = None
    time_until: Annotated[str | None, typer.Option(metavar="HHMM", help="Last minute, likewise.")] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="T", help="Drop studies whose description holds one of these terms."),
    ] = None
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="T", help="Keep only studies whose description holds one of these terms."),
    ] = None
    exclude_station: Annotated[
        list[str] | None, typer.Option(metavar="T", help="Drop what comes from these stations.")
    ] = None
    keep_station: Annotated[
        list[str] | None, typer.Option(metavar="T", help="Keep only what comes from these stations.")
    ] = None
    station_at_study_level: Annotated[
        bool, typer.Option("--station-at-study-level", help="Station names are those of the study.")
    ] = False
    include_known: Annotated[
        bool, typer.Option("--include-known", help="Also what is in the database already.")
    ] = False
    empty_sr: Annotated[
        bool, typer.Option("--empty-sr", help="Also SR series without a match at image level.")
    ] = False
    toshiba: Annotated[
        bool,
        typer.Option("--toshiba", help="CT without report: first images, secondary captures whole."),
    ] = False
    accession_number: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A", help="Only the study with this accession number; repeatable; not with dates."
        ),
    ] = None
    accession_numbers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same for each line of a file; - for standard input."),
    ] = None
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="UID", help="Only the study with this UID; repeatable; not with dates."),
    ] = None
    studies: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same for each line of a file; - for standard input."),
    ] = None
    list_file: Annotated[
        str | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="Only the studies of a list, CSV or XLSX with up to 100,000 lines; - for standard input.",
        ),
    ] = None
    column: Annotated[
        str, typer.Option(metavar="LETTER", help="Column of the list; default: by its name or content.")
    ] = ""
    leave_out_errors: Annotated[
        bool, typer.Option("--leave-out-errors", help="Leave out lines of the list that are wrong.")
    ] = False


#: Options of the types.
TYPES = ("ct", "mg", "fl", "dx", "nm")
#: Options that are fields of criteria under the same or another name, beside dates and times.
FILTERS = {
    "include_sr_only": "include_sr_only",
    "exclude": "exclude_descriptions",
    "keep": "keep_descriptions",
    "exclude_station": "exclude_stations",
    "keep_station": "keep_stations",
    "station_at_study_level": "station_at_study_level",
    "empty_sr": "empty_sr",
    "toshiba": "toshiba",
}
_DATES_AND_TIMES = ("date_from", "date_until", "time_from", "time_until")


def criteria_of(options: QueryOptions, uploaded: UploadedList | None) -> Criteria:
    """Return the criteria; of a list that is longer than one query, those of its first part.

    Raises:
        InvalidInputError: they are wrong, or a file cannot be read; names the field.
    """
    from shared.contract.criteria import parse_criteria
    from shared.contract.criteria_fields import MAX_IDENTIFIERS

    refuse_blank({name: getattr(options, name) for name in _DATES_AND_TIMES})
    numbers = identifiers("accession_numbers", options.accession_number or (), options.accession_numbers)
    uids = identifiers("study_instance_uids", options.study or (), options.studies)
    given: dict[str, object] = {
        "types": [name.upper() for name in TYPES if getattr(options, name)],
        "ignore_known": not options.include_known,
        "accession_numbers": numbers,
        "study_instance_uids": uids,
        **{name: getattr(options, name) for name in _DATES_AND_TIMES},
        **{field: getattr(options, option) for option, field in FILTERS.items()},
    }
    if uploaded is not None:
        given[uploaded.field] = uploaded.identifiers[:MAX_IDENTIFIERS]
    return parse_criteria(given)


def refuse_blank(values: Mapping[str, str | None]) -> None:
    """Refuse blank values, as of a shell variable that is not set: without a limit all of a PACS is searched.

    Raises:
        InvalidInputError: names the field.
    """
    for field, value in values.items():
        if value is not None and not value.strip():
            raise InvalidInputError(field, "must not be empty")


def is_long(uploaded: UploadedList) -> bool:
    """Return whether a list is longer than one query."""
    from shared.contract.criteria_fields import MAX_IDENTIFIERS

    return len(uploaded.identifiers) > MAX_IDENTIFIERS


def uploaded_of(options: QueryOptions) -> UploadedList | None:
    """Return the list of `--list`, a CSV or XLSX file; `-` is standard input.

    Raises:
        CommandError: lines are wrong, and are not to be left out; each is named.
        InvalidInputError: it cannot be read, or holds nothing.
    """
    from shared.evidence.ris_file import FILE_BYTES
    from shared.study_lists.upload import WrongLinesError, read_list

    name = options.list_file
    if name is None:
        return None
    if any((options.accession_number, options.accession_numbers, options.study, options.studies)):
        raise usage("list: not with --accession-number(s), --study or --studies", "list")
    try:
        if name == STANDARD_INPUT:
            content = sys.stdin.buffer.read(FILE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInputError("list", f"{name} cannot be read: {error.strerror}") from error
    try:
        return read_list(content, options.column, leave_out_errors=options.leave_out_errors)
    except WrongLinesError as error:
        raise _named(error) from None


def _named(error: WrongLinesError) -> CommandError:
    for wrong in error.errors[:_ERRORS_SHOWN]:
        notice(f"Line {wrong.line}: {wrong.problem}")
    return CommandError(
        USAGE,
        "wrong_usage",
        f"{error} (--leave-out-errors)",
        field="list",
        problem=error.problem,
        number_of_errors=error.number_of_errors,
        lines=[{"line": wrong.line, "problem": wrong.problem} for wrong in error.errors],
    )


def identifiers(field: str, given: Sequence[str], file: str | None) -> list[str]:
    """Return the identifiers of the options and of the file of one field of criteria.

    Raises:
        InvalidInputError: an option is blank, the file cannot be read, holds none, or a line is malformed;
            names the line.
    """
    from shared.contract.identifier_lines import identifier_lines

    for identifier in given:
        refuse_blank({field: identifier})
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
