"""`doseqr topology`: what has to stand on a RabbitMQ, for administrators who let no service make it."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import settings_of_command
from services.cli.commands.options.paths import given_path
from services.cli.output.console import JsonOption, notice, print_json, table
from services.cli.output.exit_codes import usage

if TYPE_CHECKING:
    from shared.broker.topology import Names

#: Bytes of a made-up password, before it is encoded.
PASSWORD_BYTES = 24
#: Bytes of the salt of RabbitMQ's password hashes.
SALT_BYTES = 4


def topology(
    as_json: JsonOption = False,
    vhost: Annotated[str, typer.Option(help="The virtual host.")] = "/",
    passwords: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="FOLDER",
            help="Include a user with least rights for each service; FOLDER holds a file with the password "
            "of each, and gets one where it is missing.",
        ),
    ] = None,
) -> None:
    """Print exchanges, queues, bindings, policies and users; --json for rabbitmqctl import_definitions.

    Example: doseqr topology
    """
    from shared.broker.definitions import ROLES, definitions, permissions_of
    from shared.broker.topology import Names

    names = Names(settings_of_command().amqp_prefix)
    hashes = {} if passwords is None else password_hashes(names, passwords)
    if as_json:
        print_json(definitions(names, vhost, hashes))
        return
    table(("exchange",), [(exchange,) for exchange in names.exchanges])
    table(("queue",), [(queue,) for queue in names.queues])
    granted = [permissions_of(names, role) for role in ROLES]
    table(
        ("user", "configure", "write", "read", f"write to {names.commands}", f"write to {names.events}"),
        [
            (given.user, given.configure, given.write, given.read, given.write_commands, given.write_events)
            for given in granted
        ],
    )


def password_hashes(names: Names, folder: Path) -> dict[str, str]:
    """Return the hash of each user's password; it is read from, or put into, a file of that user's name."""
    from shared.broker.definitions import ROLES, user_of
    from shared.private_files import make_private_folder

    try:
        make_private_folder(folder)
        users = [user_of(names, role) for role in ROLES]
        passwords = {user: _password(folder / user) for user in users}
        return {user: password_hash(password, _salt(user, password)) for user, password in passwords.items()}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise usage(f"{folder}: passwords cannot be read or made: {reason}", "passwords") from error


def _password(file: Path) -> str:
    if not file.exists():
        import secrets

        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(secrets.token_urlsafe(PASSWORD_BYTES) + "\n")
        notice(f"made a password in {file}")
    return file.read_text(encoding="utf-8").removesuffix("\n")


def _salt(user: str, password: str) -> bytes:
    """Return a salt that is this user's: definitions change only where there is something to import."""
    import hashlib

    return hashlib.sha256(f"{user}\n{password}".encode()).digest()[:SALT_BYTES]


def password_hash(password: str, salt: bytes) -> str:
    """Return a password as RabbitMQ keeps it (rabbit_password_hashing_sha256)."""
    import hashlib

    digest = hashlib.sha256(salt + password.encode()).digest()
    return base64.b64encode(salt + digest).decode("ascii")
