"""`doseqr notifications`: addresses of notifications."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, notice, print_json, table
from services.cli.output.exit_codes import FAILED
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.database.models import User
    from shared.database.session import Database, Session
    from shared.settings import Settings

app = typer.Typer(
    help="Addresses of notifications: where people are notified, and of what. Without --user they are of the "
    "installation.",
    epilog="Example: doseqr notifications add --name mail --kind schedule --kind store me@example.org",
)

COLUMNS = ("id", "name", "address", "kinds", "digest_at", "paused", "sent_at", "problem")

UserOption = Annotated[str, typer.Option("--user", metavar="NAME", help="The user whose address it is.")]
AddressArgument = Annotated[str, typer.Argument(metavar="ID", help="Id or name of an address.")]


class KindOption(StrEnum):
    """Of what it is notified."""

    SCHEDULE = "schedule"
    COVERAGE = "coverage"
    STORE = "store"
    DEAD_LETTERS = "dead_letters"
    NODE = "node"
    JOB = "job"


class OutcomeOption(StrEnum):
    """Of which ends of jobs."""

    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


AddressOption = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="An e-mail address, or a URL of apprise; - reads it from standard input, so that no list of "
        "processes shows it.",
    ),
]
NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="A name of its own.")]
KindsOption = Annotated[list[KindOption], typer.Option(help="Of what it is notified; may be repeated.")]
OutcomesOption = Annotated[
    list[OutcomeOption] | None,
    typer.Option(help="Of which ends of jobs; may be repeated; default: incomplete and failed."),
]
DigestOption = Annotated[
    str, typer.Option(metavar="HH:MM", help="Send a daily digest at this time; default: at once.")
]
ZoneOption = Annotated[
    str, typer.Option(metavar="ZONE", help="Time zone of the digest; default: the site's.")
]


class LanguageOption(StrEnum):
    """In which the messages are written."""

    EN = "en"
    DE = "de"


LanguageChoice = Annotated[LanguageOption, typer.Option("--language", help="The language of the messages.")]


@app.command("add")
def add(
    address: AddressOption,
    name: NameOption,
    kind: KindsOption,
    outcome: OutcomesOption = None,
    digest_at: DigestOption = "",
    time_zone: ZoneOption = "",
    language: LanguageChoice = LanguageOption.EN,
    user: UserOption = "",
    as_json: JsonOption = False,
) -> None:
    """Add an address; it is encrypted, and cannot be shown again.

    Example: doseqr notifications add --name mail --kind schedule --kind store me@example.org
    """
    import sys

    from shared.notifications.addresses import add_address, address_json, cipher_of
    from shared.notifications.definition import parse_address_input

    given = {
        "name": name,
        "address": sys.stdin.readline().strip() if address == "-" else address,
        "kinds": [str(value) for value in kind],
        "digest_at": digest_at,
        "time_zone": time_zone,
        "language": str(language),
        **({"outcomes": [str(value) for value in outcome]} if outcome else {}),
    }
    parsed = parse_address_input(given)
    with _opened() as (database, settings), database.write() as session:
        owner, cipher = _owner(session, user), cipher_of(settings)
        row = add_address(session, parsed, owner, settings.address_policy, cipher, utc_now())
        added = address_json(row)
    if as_json:
        print_json(added)
        return
    line(f"added address {added['id']} {added['name']}: {added['address']}")
    notice(f"Test it: doseqr notifications test {added['id']}{f' --user {user}' if user else ''}")


@app.command("list")
def list_all(user: UserOption = "", as_json: JsonOption = False) -> None:
    """List addresses; what is secret in them is not shown.

    Examples: doseqr notifications list; doseqr notifications list --json
    """
    from shared.notifications.addresses import address_json, list_addresses

    with _opened() as (database, _), database.read() as session:
        owner = _owner(session, user)
        rows = [address_json(row) for row in list_addresses(session, owner.id if owner else None)]
    if as_json:
        print_json(rows)
        return
    shown: list[dict[str, object]] = [
        {**row, "kinds": ", ".join(row["kinds"]), "digest_at": row["digest_at"] or "at once"} for row in rows
    ]
    table(COLUMNS, [[row[column] for column in COLUMNS] for row in shown])


@app.command("test")
def try_address(address: AddressArgument, user: UserOption = "", as_json: JsonOption = False) -> None:
    """Send a test message now, and print what its server did; exit code 5 if it did not accept it.

    Example: doseqr notifications test 1
    """
    from shared.notifications.addresses import find_address
    from shared.notifications.trial import AddressTrial

    with _opened() as (database, settings):
        with database.read() as session:
            owner = _owner(session, user)
            row = find_address(session, address, owner.id if owner else None)
        result = AddressTrial(database, settings, utc_now).run(row.id)
    if as_json:
        print_json({"sent": result.sent, "detail": result.detail})
    else:
        line(f"{row.name}: {'sent' if result.sent else 'not sent'}. {result.detail}")
    if not result.sent:
        raise typer.Exit(FAILED)


@app.command("remove")
def remove(address: AddressArgument, user: UserOption = "", as_json: JsonOption = False) -> None:
    """Remove an address, with everything that was or would be sent there.

    Example: doseqr notifications remove 1
    """
    from shared.notifications.addresses import find_address, remove_address

    with _opened() as (database, _), database.write() as session:
        owner = _owner(session, user)
        row = find_address(session, address, owner.id if owner else None, lock=True)
        removed = {"id": row.id, "name": row.name}
        remove_address(session, row)
    if as_json:
        print_json(removed)
    else:
        line(f"removed address {removed['id']} {removed['name']}")


@contextmanager
def _opened() -> Iterator[tuple[Database, Settings]]:
    settings = settings_of_command()
    with opened_database(settings) as database:
        yield database, settings


def _owner(session: Session, name: str) -> User | None:
    from shared.users.accounts import find_user

    return find_user(session, name) if name else None
