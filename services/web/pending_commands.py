"""Commands that this process published, until a worker has written their rows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from shared.contract.json_types import JsonObject

#: Most commands kept; the oldest is dropped first.
REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A published command."""

    kind: str
    remote_id: int | None = None
    store_id: int | None = None
    criteria: JsonObject = field(default_factory=dict)
    query_id: str = ""
    #: The ended query that is continued, and its round before.
    again: str = ""
    round: int = 0
    #: Whether the query was to be retrieved at once.
    retrieve: bool = False
    #: Who published it; others who see some groups of nodes alone do not see it.
    person: str = ""
    #: What was ordered of it before a worker had written its row: cancel, pause, raise.
    orders: frozenset[str] = frozenset()


class PendingCommands:
    """The last commands by id; the id becomes that of the job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commands: OrderedDict[str, PendingCommand] = OrderedDict()

    def of_person(self, person: str) -> PendingCommands:
        """Return those of one person alone."""
        return _OwnCommands(self, person)

    def remember(self, command_id: str, command: PendingCommand) -> None:
        """Keep a command."""
        with self._lock:
            self._commands[command_id] = command
            while len(self._commands) > REMEMBERED:
                self._commands.popitem(last=False)

    def get(self, command_id: str) -> PendingCommand | None:
        """Return the command if this process published it lately."""
        with self._lock:
            return self._commands.get(command_id)

    def retrieves_of(self, query_id: str) -> list[str]:
        """Return the ids of the pending retrieves of a query, the newest first."""
        with self._lock:
            return [
                command_id
                for command_id, command in reversed(self._commands.items())
                if command.query_id == query_id
            ]

    def again_of(self, query_id: str, round_: int) -> str | None:
        """Return the newest command that continues a query from this round."""
        with self._lock:
            for command_id, command in reversed(self._commands.items()):
                if (command.again, command.round) == (query_id, round_):
                    return command_id
        return None

    def note_order(self, command_id: str, action: str) -> None:
        """Note an order about the job of a pending command; `resume` takes a pause back."""
        with self._lock:
            command = self._commands.get(command_id)
            if command is not None:
                orders = command.orders - {"pause"} if action == "resume" else command.orders | {action}
                self._commands[command_id] = replace(command, orders=orders)

    def forget(self, command_id: str) -> None:
        """Drop a command that was not published."""
        with self._lock:
            self._commands.pop(command_id, None)


class _OwnCommands(PendingCommands):
    """What one person published."""

    def __init__(self, everything: PendingCommands, person: str) -> None:
        super().__init__()
        self._all, self._person = everything, person

    def remember(self, command_id: str, command: PendingCommand) -> None:
        self._all.remember(command_id, replace(command, person=self._person))

    def get(self, command_id: str) -> PendingCommand | None:
        command = self._all.get(command_id)
        return command if command is not None and command.person == self._person else None

    def retrieves_of(self, query_id: str) -> list[str]:
        return [command_id for command_id in self._all.retrieves_of(query_id) if self.get(command_id)]

    def again_of(self, query_id: str, round_: int) -> str | None:
        command_id = self._all.again_of(query_id, round_)
        return command_id if command_id is not None and self.get(command_id) else None

    def note_order(self, command_id: str, action: str) -> None:
        if self.get(command_id) is not None:
            self._all.note_order(command_id, action)

    def forget(self, command_id: str) -> None:
        self._all.forget(command_id)
