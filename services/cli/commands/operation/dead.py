"""`doseqr dead`: messages that nobody could handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_broker, settings_of_command
from services.cli.output.console import JsonOption, line, notice, print_json, table
from services.cli.output.exit_codes import usage

if TYPE_CHECKING:
    from shared.broker.port import Broker, DeadLetter

app = typer.Typer(help="See the messages that nobody could handle, publish them again, or drop them.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The id from the list, or its beginning.")]


@app.command("list")
def list_all(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the oldest first.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the dead letters, the oldest first; they stay where they are.

    Examples: doseqr dead list; doseqr dead list --json
    """
    from shared.broker.dead_letter_json import dead_letter_entry

    with opened_broker(settings_of_command()) as broker:
        entries = [dead_letter_entry(letter) for letter in broker.dead_letters(limit)]
    if as_json:
        print_json(entries)
        return
    if not entries:
        notice("There are no dead letters.")
    columns = ("id", "at", "queue", "worker", "type", "reason")
    rows = [dict(entry) for entry in entries]
    table(columns, [[str(row[column])[:120] for column in columns] for row in rows])


@app.command("show")
def show(dead_letter: IdArgument, as_json: JsonOption = False) -> None:
    """Explain a dead letter: what it was, why nobody could handle it, and what may be done with it.

    Example: doseqr dead show 4f1c2f6e
    """
    from shared.broker.dead_letter_json import dead_letter_explained

    with opened_broker(settings_of_command()) as broker:
        explained = dead_letter_explained(_find(broker, dead_letter))
    if as_json:
        print_json(explained)
        return
    for name, value in explained.items():
        line(f"{name}: {value}")


@app.command("replay")
def replay(dead_letter: IdArgument, as_json: JsonOption = False) -> None:
    """Publish a dead letter again as it was, and remove it from the dead letters.

    Example: doseqr dead replay 4f1c2f6e
    """
    with opened_broker(settings_of_command()) as broker:
        letter = _find(broker, dead_letter)
        replayed = broker.replay_dead_letter(letter.id)
    _print(letter, "replayed", done=replayed, as_json=as_json)


@app.command("drop")
def drop(dead_letter: IdArgument, as_json: JsonOption = False) -> None:
    """Remove a dead letter for ever.

    Example: doseqr dead drop 4f1c2f6e
    """
    with opened_broker(settings_of_command()) as broker:
        letter = _find(broker, dead_letter)
        dropped = broker.drop_dead_letter(letter.id)
    _print(letter, "dropped", done=dropped, as_json=as_json)


def _find(broker: Broker, prefix: str) -> DeadLetter:
    from shared.broker.dead_letter_json import EXPLAINED, found_dead_letters

    if not prefix.strip():
        raise usage("No dead letter is meant by an empty id.", "dead_letter")
    found = found_dead_letters(broker.dead_letters(EXPLAINED), prefix)
    if len(found) != 1:
        many = "several have an id that begins so" if found else "there is none whose id begins so"
        raise usage(f"No dead letter is meant by {prefix[:64]}: {many}.", "dead_letter")
    return found[0]


def _print(letter: DeadLetter, what: str, *, done: bool, as_json: bool) -> None:
    if not done:
        raise usage(f"Dead letter {letter.id} is gone: it was replayed or dropped meanwhile.", "dead_letter")
    if as_json:
        print_json({"id": letter.id, "outcome": what})
    else:
        line(f"{what} {letter.id}: {letter.message.routing_key}")
