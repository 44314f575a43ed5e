"""C-ECHO results of the nodes, for the query page and the list of nodes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.web.language import gettext, ngettext, translated
from services.web.live.event_results import Echo
from shared.database.models import Node, NodeCheck
from shared.nodes.nodes import list_nodes

#: Nodes that do not respond and are named in the sentence about all.
NAMED = 4

#: Those that need somebody come first.
_ORDER = {"bad": 0, "testing": 1, "unknown": 2, "ok": 3}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node and its last C-ECHO result; state: testing, ok, bad or unknown."""

    node: Node
    state: str
    text: str
    detail: str = ""
    rtt_ms: float | None = None
    #: Time of the test, if it was not started by this page.
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NodePanel:
    """All nodes of a panel."""

    rows: list[NodeRow]
    testing: bool

    @property
    def by_state(self) -> list[NodeRow]:
        """The rows, those first that do not respond."""
        return sorted(self.rows, key=lambda row: _ORDER[row.state])

    @property
    def summary(self) -> str:
        """One sentence for all nodes."""
        tested = [row for row in self.rows if row.state in ("ok", "bad")]
        responding = sum(row.state == "ok" for row in tested)
        if not self.rows:
            return gettext("No nodes yet.")
        if self.testing:
            return gettext(
                "Testing: %(tested)s of %(nodes)s nodes tested so far.",
                tested=len(tested),
                nodes=len(self.rows),
            )
        if not tested:
            return gettext("Not tested yet.")
        silent = [row.node.name for row in tested if row.state == "bad"]
        if not silent:
            return gettext(
                "%(responding)s of %(nodes)s nodes respond.", responding=responding, nodes=len(tested)
            )
        names = ", ".join(silent[:NAMED])
        if len(silent) > NAMED:
            names = gettext("%(names)s and %(number)s more", names=names, number=len(silent) - NAMED)
        return ngettext(
            "%(responding)s of %(nodes)s nodes respond; %(names)s does not.",
            "%(responding)s of %(nodes)s nodes respond; %(names)s do not.",
            len(silent),
            responding=responding,
            nodes=len(tested),
            names=names,
        )


def node_panel(session: Session, echo: Echo | None, only: frozenset[int] = frozenset()) -> NodePanel:
    """Return the results of the echo of this page if there is one, otherwise the last known ones.

    `only` holds the ids of the nodes that the echo tests; empty: all.
    """
    checks = {check.node_id: check for check in session.scalars(select(NodeCheck))}
    rows = [_row(node, echo, checks.get(node.id), only) for node in list_nodes(session)]
    return NodePanel(rows, testing=any(row.state == "testing" for row in rows))


def _row(node: Node, echo: Echo | None, check: NodeCheck | None, only: frozenset[int]) -> NodeRow:
    if echo is not None and (not only or node.id in only):
        result = echo.results.get(node.id)
        if result is not None:
            state = "ok" if result.ok else "bad"
            return NodeRow(
                node, state, _sentence_case(result.outcome), translated(result.detail), result.rtt_ms
            )
        if not echo.completed:
            return NodeRow(node, "testing", gettext("Testing…"))
    if check is None:
        return NodeRow(node, "unknown", gettext("Not tested yet"))
    state = "ok" if check.ok else "bad"
    return NodeRow(
        node, state, _sentence_case(check.outcome), translated(check.detail), check.rtt_ms, check.checked_at
    )


def _sentence_case(outcome: str) -> str:
    text = translated(outcome)
    return text[:1].upper() + text[1:]
