"""`doseqr support-bundle`: what a report of a fault needs, in one file, without patient data and secrets."""

from __future__ import annotations

import json
import os
import platform
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.commands.options.paths import given_path
from services.cli.output.console import JsonOption, line, print_json
from services.cli.output.exit_codes import usage
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.settings import Settings

_README = """\
Made by `doseqr support-bundle`. Holds versions, settings without secrets, the results of `doseqr check`,
and of one job its states, errors and times. It holds no UIDs, descriptions, accession numbers, station
names or persons. Look into it before you send it: host names and AE titles may be in settings and profile.
"""


def support_bundle(
    job_id: Annotated[str, typer.Argument(metavar="[JOB_ID]", help="A job that went wrong.")] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="FILE", help="The zip file to make; default: one of this folder."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Collect versions, settings, checks and a job's states and errors in a zip file to send to support.

    Examples: doseqr support-bundle; doseqr support-bundle 4f1c2f6e
    """
    from services.cli.commands.operation.check import results_of
    from services.cli.commands.settings import rows
    from shared.versions import versions

    settings = settings_of_command()
    now = utc_now()
    parts: dict[str, object] = {
        "about.json": {"made_at": now.isoformat(), "versions": versions(), "platform": platform.platform()},
        "settings.json": [
            {"name": row.name, "value": row.value, "source": row.source} for row in rows(settings)
        ],
        "check.json": [asdict(result) for result in results_of(settings, "", with_nodes=False)],
    }
    if job_id:
        parts |= _job(settings, job_id)
    file = output or Path(f"doseqr-support-{now:%Y%m%dT%H%M%SZ}.zip")
    _write(file, parts)
    if as_json:
        print_json({"file": str(file), "parts": list(parts)})
    else:
        line(str(file))


def _job(settings: Settings, job_id: str) -> dict[str, object]:
    from shared.database.models.web import Node
    from shared.reading.exports.support import job_support
    from shared.reading.jobs import find_job
    from shared.reading.profiles import profile_json

    with opened_database(settings) as database, database.read() as session:
        job = find_job(session, job_id)
        parts: dict[str, object] = {"job.json": job_support(session, job)}
        # Of a node that was removed since, nothing is known any more.
        if (node := session.get(Node, job.remote_id)) is not None:
            parts["profile.json"] = profile_json(session, node, settings)
        return parts


def _write(file: Path, parts: dict[str, object]) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise usage(f"{file} cannot be made: {error.strerror}", "output") from error
    with os.fdopen(descriptor, "wb") as opened, zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("README.txt", _README)
        for name, part in parts.items():
            bundle.writestr(name, json.dumps(part, indent=2))
