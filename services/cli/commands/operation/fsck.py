"""`doseqr fsck`: whether stored files are still what was received."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, notice, print_json, table
from services.cli.output.exit_codes import FAILED, INCOMPLETE, OK, CommandError

if TYPE_CHECKING:
    from shared.reading.store.stored_files import CheckedFile

COLUMNS = ("sop_instance_uid", "path", "fault", "detail")
#: Faults that are listed one by one; all are counted.
LISTED = 1000


def fsck(
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=1, help="Number of files, chosen by chance.")
    ] = 1000,
    every: Annotated[bool, typer.Option("--all", help="Read every file, however long that takes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read stored files again and compare them with what was received; change nothing.

    Exit code 0 if all are as they were, 1 if one is not, 5 if the folder of objects is not there.

    Examples: doseqr fsck; doseqr fsck --all --json
    """
    from shared.reading.store.stored_files import check_files, number_of_files, sample_of

    settings = settings_of_command()
    root = settings.objects_dir
    with opened_database(settings) as database:
        stored = number_of_files(database)
        if stored and not root.is_dir():
            sentence = f"{root}: the folder of objects is not there; run it where the store runs."
            raise CommandError(FAILED, "no_objects", sentence)
        uids = None if every or stored <= sample else sample_of(database, sample)
        counts = {"stored": stored, "checked": 0, "bytes": 0, "faulty": 0, "headers": 0}
        faults: list[CheckedFile] = []
        for file in check_files(database, root, uids):
            counts["checked"] += 1
            counts["bytes"] += file.size_bytes
            counts["headers"] += file.content == "headers"
            if file.fault is not None:
                counts["faulty"] += 1
                faults += [file] if counts["faulty"] <= LISTED else []
    rows = [(file.sop_instance_uid, file.path, str(file.fault), file.detail) for file in faults]
    if as_json:
        listed = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        print_json(counts | {"faults": listed})
    else:
        _print(rows, counts)
    raise typer.Exit(INCOMPLETE if faults else OK)


def _print(rows: Sequence[Sequence[object]], counts: Mapping[str, int]) -> None:
    checked, stored, faulty = counts["checked"], counts["stored"], counts["faulty"]
    if counts["headers"]:
        line(f"{counts['headers']} of the files read are headers without pixels")
    if not faulty:
        line(f"{checked} of {stored} files are well")
        return
    table(COLUMNS, rows)
    line(f"{checked} of {stored} files read: {faulty} faulty")
    notice(
        "Restore these files from a backup. Without one, move them out of the folder of objects, start the "
        "store again, which then forgets them, and retrieve their studies once more."
    )
