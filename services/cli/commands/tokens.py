"""`doseqr tokens`: bearer tokens of the HTTP API."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, notice, print_json, table
from shared.clock import utc_now

app = typer.Typer(help="Tokens of the HTTP API; scopes: read, import, admin.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the token is for.")]

COLUMNS = ("name", "owner", "scope", "created_at", "expires_at", "last_used_at", "revoked_at")


class ScopeOption(StrEnum):
    """What a token may do."""

    READ = "read"
    IMPORT = "import"
    ADMIN = "admin"


@app.command("add")
def add(
    name: NameArgument,
    owner: Annotated[str, typer.Option(metavar="USER", help="The user in whose name it acts.")],
    scope: Annotated[ScopeOption, typer.Option(help="Each scope includes those before it.")],
    days: Annotated[
        int | None, typer.Option(min=0, help="Days until it expires, at most 3650; 0: never; default: 365.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a token and print it; it cannot be shown again.

    Example: doseqr tokens add nightly --owner ada --scope import
    """
    from shared.clock import iso
    from shared.users.accounts import find_user
    from shared.users.api_tokens import DAYS_DEFAULT, create_token

    settings = settings_of_command()
    with opened_database(settings) as database, database.write() as session:
        user = find_user(session, owner)
        row, token = create_token(
            session, name, user, scope.value, utc_now(), days=DAYS_DEFAULT if days is None else days or None
        )
        about = {"name": row.name, "owner": user.name, "scope": row.scope, "expires_at": iso(row.expires_at)}
    if as_json:
        print_json(about | {"token": token})
        return
    notice(f"added token {about['name']} ({about['scope']}) of {about['owner']}; it is not shown again:")
    line(token)


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List the tokens.

    Examples: doseqr tokens list; doseqr tokens list --json
    """
    from shared.users.api_tokens import list_tokens

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        tokens = list_tokens(session)
    if as_json:
        print_json(tokens)
        return
    table(COLUMNS, [[token[column] for column in COLUMNS] for token in tokens])


@app.command("revoke")
def revoke(name: NameArgument, as_json: JsonOption = False) -> None:
    """End a token at once.

    Example: doseqr tokens revoke nightly
    """
    from shared.clock import iso
    from shared.users.api_tokens import revoke_token

    settings = settings_of_command()
    with opened_database(settings) as database, database.write() as session:
        token = revoke_token(session, name, utc_now())
        about = {"name": token.name, "scope": token.scope, "revoked_at": iso(token.revoked_at)}
    if as_json:
        print_json(about)
    else:
        line(f"revoked token {about['name']}")
