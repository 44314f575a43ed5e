"""`doseqr users`: who may log in to the page."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, print_json, table
from shared.clock import utc_now

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from shared.database.models import User

app = typer.Typer(help="Users of the page; roles: viewer, importer, admin.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, not from a prompt.")
]


class RoleOption(StrEnum):
    """What a user may do."""

    VIEWER = "viewer"
    IMPORTER = "importer"
    ADMIN = "admin"


@app.command("add")
def add(
    name: NameArgument,
    role: Annotated[RoleOption, typer.Option(help="viewer looks, importer queries, admin manages.")],
    password_stdin: StdinOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add a user; the password is read from the terminal.

    Example: doseqr users add ada --role importer
    """
    from shared.users.accounts import create_user

    settings = settings_of_command()
    password = _password(from_stdin=password_stdin)
    with opened_database(settings, create=True) as database, database.write() as session:
        user = create_user(session, name, role.value, password, utc_now())
        _audit(session, "user added", user.name, role=user.role)
        about = _about(user)
    _print(about, f"added user {about['name']} ({about['role']})", as_json=as_json)


@app.command("set-password")
def set_password(
    name: NameArgument, password_stdin: StdinOption = False, as_json: JsonOption = False
) -> None:
    """Give a user another password; where they are logged in, they are logged out.

    Example: doseqr users set-password ada
    """
    from shared.users.accounts import find_user
    from shared.users.accounts import set_password as give_password

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            find_user(session, name)
        password = _password(from_stdin=password_stdin)
        with database.write() as session:
            user = find_user(session, name)
            give_password(session, user, password, utc_now())
            _audit(session, "password reset", user.name)
            about = _about(user)
    _print(about, f"changed the password of {about['name']}", as_json=as_json)


@app.command("edit")
def edit(
    name: NameArgument,
    groups: Annotated[
        str,
        typer.Option(metavar="G", help='Groups of nodes, as "Hospital A,Hospital B"; empty: all nodes.'),
    ],
    as_json: JsonOption = False,
) -> None:
    """Limit a viewer or importer to groups of nodes; where they are logged in, they are logged out.

    Example: doseqr users edit ada --groups "Hospital A"
    """
    from shared.users.accounts import find_user
    from shared.users.node_groups import set_groups

    settings = settings_of_command()
    with opened_database(settings) as database, database.write() as session:
        user = find_user(session, name)
        limited = set_groups(session, user, groups)
        _audit(session, "groups changed", user.name, groups=", ".join(limited or ["all"]))
        about = _about(user)
    nodes = f"nodes of {', '.join(limited)}" if limited else "all nodes"
    _print(about, f"{about['name']} may use {nodes}", as_json=as_json)


@app.command("reset-second-factor")
def reset_second_factor(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let a user who lost phone and recovery codes log in by password alone; their sessions end.

    Example: doseqr users reset-second-factor ada
    """
    from shared.users.accounts import find_user
    from shared.users.second_factor import remove

    settings = settings_of_command()
    with opened_database(settings) as database, database.write() as session:
        user = find_user(session, name)
        had = remove(session, user)
        if had:
            _audit(session, "second factor reset", user.name)
        about = _about(user)
    sentence = (
        f"reset the second factor of {about['name']}" if had else f"{about['name']} has no second factor"
    )
    _print(about, sentence, as_json=as_json)


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List the users.

    Examples: doseqr users list; doseqr users list --json
    """
    from shared.users.accounts import list_users

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        users = [_about(user) for user in list_users(session)]
    if as_json:
        print_json(users)
        return
    columns = ("name", "role", "groups", "disabled", "second_factor", "last_login_at")
    rows = [user | {"groups": _shown_groups(user["groups"])} for user in users]
    table(columns, [[row[column] for column in columns] for row in rows])


def _about(user: User) -> dict[str, object]:
    from shared.clock import iso

    return {
        "name": user.name,
        "role": user.role,
        "disabled": user.disabled_at is not None,
        "groups": user.node_groups,
        "second_factor": user.second_factor_since is not None,
        "last_login_at": iso(user.last_login_at),
    }


def _print(about: dict[str, object], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(about)
    else:
        line(sentence)


def _shown_groups(groups: object) -> str:
    return (", ".join(map(str, groups)) or "none") if isinstance(groups, list) else "all"


def _audit(session: Session, action: str, about: str, **details: str) -> None:
    """Write who was changed to the audit trail; who sits at the terminal is not known."""
    from shared.database.models import AuditEntry

    details = {"about": about, **details}
    session.add(AuditEntry(at=utc_now(), action=action, user="command line", details=details))


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
