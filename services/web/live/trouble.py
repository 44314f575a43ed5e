"""What is wrong with the whole installation: the banner of every page."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Collection, Iterable

from services.web.language import gettext, ngettext, number_text, translated
from services.web.live.service_status import Complaint
from shared.clock import utc_now
from shared.contract.text import StoreState
from shared.database.inspection import write_refusal
from shared.database.session import Database
from shared.reading.lists.attention import BlownFuse, WaitingNode, blown_fuses, waiting_nodes
from shared.reading.store.handovers import waiting_objects

#: Seconds for which what the database says is cached: every open page asks for the banner.
MAX_AGE_S = 1.0


class Trouble:
    """Reads at most once a second what the database says about itself and about nodes."""

    def __init__(self, database: Database, backlog: int = 0, max_age_s: float = MAX_AGE_S) -> None:
        """`backlog`: objects that may wait for the importer; 0: any number."""
        self._database = database
        self._backlog = backlog
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._refusal = ""
        self._nodes: list[WaitingNode] = []
        self._fuses: list[BlownFuse] = []
        self._not_taken = 0

    def complaints(self, visible: Collection[str] | None = None) -> list[Complaint]:
        """Return what is wrong, in the language of the page; `visible`: the nodes that may be named.

        Raises:
            DatabaseAwayError: the database cannot be reached.
        """
        with self._lock:
            if time.monotonic() - self._read_at >= self._max_age_s:
                self._refusal = write_refusal(self._database)
                with self._database.read() as session:
                    self._nodes = waiting_nodes(session)
                    self._fuses = blown_fuses(session, utc_now())
                    self._not_taken = waiting_objects(session)
                self._read_at = time.monotonic()
            refusal, nodes, fuses = self._refusal, list(self._nodes), list(self._fuses)
            not_taken = self._not_taken
        found = [_read_only(refusal)] if refusal else []
        if 0 < self._backlog < not_taken:
            found.append(_behind(not_taken))
        found += [_blown(fuse) for fuse in fuses if visible is None or fuse.name in visible]
        return found + [_waiting(node) for node in nodes if visible is None or node.name in visible]


def _read_only(reason: str) -> Complaint:
    text = gettext(
        "The database takes no writes: %(reason)s. Nothing can be ordered, and jobs stand still.",
        reason=reason,
    )
    return Complaint(text, "doseqr check")


def _waiting(node: WaitingNode) -> Complaint:
    text = ngettext(
        "The node %(node)s does not respond; %(num)s job waits for it and tries again by itself.",
        "The node %(node)s does not respond; %(num)s jobs wait for it and try again by themselves.",
        node.jobs,
        node=node.name,
    )
    return Complaint(text, f"doseqr echo {shlex.quote(node.name)}")


def _behind(number: int) -> Complaint:
    text = gettext(
        "The importer is behind: %(number)s objects are to be handed over. New retrieves into DoseQR's own "
        "store wait for it.",
        number=number_text(number),
    )
    return Complaint(text, "doseqr handover list")


def _blown(fuse: BlownFuse) -> Complaint:
    text = gettext(
        "Nothing is sent to the node %(node)s for some minutes: %(reason)s.",
        node=fuse.name,
        reason=translated(fuse.note),
    )
    return Complaint(text, f"doseqr echo {shlex.quote(fuse.name)}")


def low_store(states: Iterable[StoreState], low_bytes: int) -> list[Complaint]:
    """Return that the store is nearly full, while it still takes objects."""
    free = [
        state.objects_free_bytes
        for state in states
        if state.objects_free_bytes is not None and not state.problem
    ]
    if not free or min(free) >= low_bytes:
        return []
    text = gettext(
        "DoseQR's own store is nearly full: %(free)s are left. Make room before it takes no more objects.",
        free=f"{min(free) / (1 << 30):.1f} GiB",
    )
    return [Complaint(text, "")]
