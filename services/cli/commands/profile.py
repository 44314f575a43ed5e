"""`doseqr profile`: what is known of a remote node, and measuring it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import (
    opened_broker,
    opened_database,
    require_workers,
    settings_of_command,
    who,
)
from services.cli.output.console import JsonOption, line, notice, print_json, table
from services.cli.output.exit_codes import CANCELLED, CommandError, away, unreachable

if TYPE_CHECKING:
    from shared.broker.port import Broker
    from shared.contract.messages import NodeProfiled
    from shared.contract.results import ProfileResult
    from shared.database.models import Node

#: The queue of the service that measures.
QUEUE = "query-profile"
#: Seconds that a measurement may take with others before it.
LONGEST_S = 900.0
#: Seconds between two checks whether a worker still listens.
CHECK_INTERVAL_S = 2.0


def profile(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The remote node: id or name.")],
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the node: at most 30 C-FINDs within its limits.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget what is known; with --measure, before measuring.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is known of a remote node: what it matches, returns and takes, its limits and its speed.

    Examples: doseqr profile pacs; doseqr profile pacs --measure
    """
    from shared.nodes.nodes import find_node
    from shared.reading.profiles import profile_json

    settings = settings_of_command()
    with opened_database(settings) as database:
        with database.read() as session:
            remote = find_node(session, node, "remote", "node")
        if measure or forget:
            with opened_broker(settings) as broker:
                event = _order(broker, remote, measure=measure, forget=forget)
            if not event.ok:
                raise unreachable("remote_unreachable", remote.name, event.outcome, event.detail)
            if measure:
                notice(f"{remote.name} got {event.requests} requests. {event.detail}".strip())
        with database.read() as session:
            known = profile_json(session, remote, settings)
    if as_json:
        print_json(known)
    else:
        _print(known)


def _order(broker: Broker, node: Node, *, measure: bool, forget: bool) -> NodeProfiled:
    from services.cli.client.events import listening, refuse_rejected
    from shared.contract.envelope import new_id
    from shared.contract.messages import NodeProfiled, ProfileNode
    from shared.messaging.publisher import Publisher

    require_workers(broker, [QUEUE])
    command_id = new_id()
    command = ProfileNode(node=node.id, measure=measure, forget=forget, requested_by=who())
    with listening(broker, [f"profile.*.{command_id}", f"command.rejected.{command_id}"]) as event_queue:
        Publisher(broker, "cli").command(command, command_id=command_id)
        deadline = time.monotonic() + LONGEST_S
        try:
            while time.monotonic() < deadline:
                for event in event_queue.until(min(deadline, time.monotonic() + CHECK_INTERVAL_S)):
                    refuse_rejected(event, [command_id])
                    if isinstance(event, NodeProfiled) and event.command_id == command_id:
                        return event
                require_workers(broker, [QUEUE])
        except KeyboardInterrupt:
            raise CommandError(
                CANCELLED, "interrupted", "The measurement goes on without this command, and ends by itself."
            ) from None
    raise away("The query worker did not respond in time. Look at its log.")


def _print(known: ProfileResult) -> None:
    line(f"{known['node']} ({known['node_id']}) at {known['address']}")
    if known["changed_at"] is None:
        line("Nothing is known of it yet: query it, or measure it with --measure.")
    else:
        line(f"Changed last {known['changed_at']}; measured {known['measured_at'] or 'never'}.")
    table(
        ("field", "value", "means"),
        [(field["label"], field["words"], field["meaning"]) for field in known["fields"]],
    )
