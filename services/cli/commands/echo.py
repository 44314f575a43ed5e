"""`doseqr echo`: test nodes with C-ECHO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_broker, opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, print_json
from services.cli.output.exit_codes import UNREACHABLE

if TYPE_CHECKING:
    from shared.contract.messages import NodeStatus


def echo(
    nodes: Annotated[
        list[str] | None, typer.Argument(metavar="[NODE]...", help="Ids or names; none: every node.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Test nodes with C-ECHO, side by side; the exit code is 0 if all of them respond.

    Examples: doseqr echo; doseqr echo pacs doseqr --json
    """
    from services.cli.client.echo import echo as test_nodes
    from shared.nodes.nodes import find_node, list_nodes

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        chosen = [find_node(session, node, field="node") for node in nodes or ()] or list_nodes(session)
    with opened_broker(settings) as broker:
        results = test_nodes(
            broker, settings, chosen, on_result=lambda _: None if as_json else line(status_line(_))
        )
    if as_json:
        print_json([status.shown() for status in results])
    if not all(status.ok for status in results):
        raise typer.Exit(UNREACHABLE)


def status_line(status: NodeStatus) -> str:
    """Return how a node responded."""
    time = f" in {status.rtt_ms:.1f} ms" if status.ok and status.rtt_ms is not None else ""
    detail = f" ({status.detail})" if status.detail else ""
    sign = "ok  " if status.ok else "FAIL"
    return f"{sign}  {status.kind:<6}  {status.node}: {status.outcome}{time}{detail}"
