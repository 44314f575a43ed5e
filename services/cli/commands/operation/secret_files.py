"""`doseqr secrets`: the secrets of an installation in containers, made once, a file for each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

from services.cli.client.session import settings_of_command
from services.cli.commands.operation.topology import password_hashes
from services.cli.commands.options.paths import given_path
from services.cli.output.console import JsonOption, line, print_json
from services.cli.output.exit_codes import usage

#: Bytes of a made-up secret; encoded it has the 64 characters that DOSEQR_SESSION_KEY needs.
SECRET_BYTES = 48

#: Our own user alone; and others, in a folder that only their container has.
_OURS, _OTHERS = 0o400, 0o444


def _folder(text: str) -> OptionInfo:
    option: OptionInfo = typer.Option(parser=given_path, metavar="FOLDER", help=text)
    return option


def secret_files(
    folder: Annotated[
        Path,
        typer.Argument(parser=given_path, metavar="FOLDER", help="For the services, which alone read it."),
    ],
    postgres: Annotated[Path | None, _folder("For PostgreSQL: database_password.")] = None,
    rabbitmq: Annotated[Path | None, _folder("For RabbitMQ: definitions.json.")] = None,
    grafana: Annotated[Path | None, _folder("For Grafana: admin_password.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the secrets of an installation where they are missing; what is there stays.

    FOLDER gets database_password, session_key, admin_password, and in broker/ a file for each user. What
    DOSEQR_DATABASE_PASSWORD, DOSEQR_SESSION_KEY and DOSEQR_ADMIN_PASSWORD give is written, the rest made up.

    Example: doseqr secrets /etc/doseqr/secrets
    """
    from secrets import token_urlsafe

    from shared.broker.definitions import definitions
    from shared.broker.topology import Names

    settings = settings_of_command()
    names = Names(settings.amqp_prefix)
    made: list[Path] = []
    try:
        for name in ("database_password", "session_key", "admin_password"):
            secret = getattr(settings, name) or token_urlsafe(SECRET_BYTES)
            made += _write_once(folder / name, secret, _OURS)
        if postgres is not None:
            password = (folder / "database_password").read_text(encoding="utf-8")
            made += _write_once(postgres / "database_password", password.rstrip("\n"), _OTHERS)
        if grafana is not None:
            made += _write_once(grafana / "admin_password", token_urlsafe(SECRET_BYTES), _OTHERS)
        hashes = password_hashes(names, folder / "broker")
        if rabbitmq is not None:
            # Again each time: a later version may need another queue.
            text = json.dumps(definitions(names, "/", hashes), indent=2)
            _replace_if_other(rabbitmq / "definitions.json", text)
    except OSError as error:
        raise usage(f"{error.filename}: {error.strerror}", "folder") from error
    _print(folder, made, as_json=as_json)


def _print(folder: Path, made: list[Path], *, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), "made": [str(file) for file in made]})
        return
    for file in made:
        line(f"made {file}")
    line(f"The secrets are in {folder}.")


def _write_once(file: Path, text: str, mode: int) -> list[Path]:
    """Write a secret that is not there yet; return the files that were made."""
    if file.exists():
        return []
    _replace(file, text, mode)
    return [file]


def _replace_if_other(file: Path, text: str) -> None:
    """Write a file unless it holds that already: its time tells the broker whether there is something new."""
    if not file.exists() or file.read_text(encoding="utf-8") != f"{text}\n":
        _replace(file, text)


def _replace(file: Path, text: str, mode: int = _OTHERS) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text + "\n")
            opened.flush()
            os.fsync(opened.fileno())
            os.fchmod(opened.fileno(), mode)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
