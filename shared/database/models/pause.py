"""Pauses of jobs and nodes, and raises of priority: who, since when, by which command; their columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from shared.contract.json_types import JsonDocument

#: Commands that are remembered for each job and node, so that one that comes again changes nothing.
REMEMBERED_COMMANDS = 50


@dataclass(frozen=True, slots=True)
class Pause:
    """Who paused something, when, and by which command."""

    by: str
    at: datetime
    command_id: str

    def __str__(self) -> str:
        """Return it as a part of a sentence."""
        who = f" by {self.by}" if self.by else ""
        return f"paused{who} since {self.since}"

    @property
    def since(self) -> str:
        """When it began, in RFC 3339."""
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    def to_json(self) -> dict[str, str]:
        """Return it as a column keeps it."""
        return {"by": self.by, "at": self.at.isoformat(), "command_id": self.command_id}


def read_pause(kept: JsonDocument | None) -> Pause | None:
    """Return the pause that a column keeps."""
    if kept is None:
        return None
    return Pause(str(kept["by"]), datetime.fromisoformat(kept["at"]), str(kept["command_id"]))


@dataclass(frozen=True, slots=True)
class PriorityRaise:
    """Who raised the priority of a job, when, and by which command."""

    by: str
    at: datetime
    command_id: str

    @property
    def since(self) -> str:
        """When it was raised, in RFC 3339."""
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    def to_json(self) -> dict[str, str]:
        """Return it as a column keeps it."""
        return {"by": self.by, "at": self.at.isoformat(), "command_id": self.command_id}


def read_raise(kept: JsonDocument | None) -> PriorityRaise | None:
    """Return the raise that a column keeps."""
    if kept is None:
        return None
    return PriorityRaise(str(kept["by"]), datetime.fromisoformat(kept["at"]), str(kept["command_id"]))


def time_held(ended: Pause, others: Iterable[Pause], now: datetime) -> timedelta:
    """Return the time to be taken off the limits of a job now that one of its pauses has ended.

    `others` still hold it: what they cover is taken off at their end, so that no moment counts twice.
    """
    until = min((other.at for other in others), default=now)
    return max(until - ended.at, timedelta())


class Pausable:
    """The columns of what can be paused."""

    #: The pause (`by`, `at`, `command_id`); none if it is not paused.
    paused: Mapped[JsonDocument | None] = mapped_column(JSON(none_as_null=True))
    #: The last commands that paused or resumed it.
    pause_commands: Mapped[list[str] | None]

    @property
    def pause(self) -> Pause | None:
        """The pause of its own; none if it is not paused."""
        return read_pause(self.paused)

    def begin_pause(self, pause: Pause) -> bool:
        """Pause it; False if it is paused already, or this command has had its effect before."""
        if not self._is_new(pause.command_id) or self.paused is not None:
            return False
        self.paused = pause.to_json()
        return True

    def end_pause(self, command_id: str) -> Pause | None:
        """End its pause, and return it; none if it is not paused, or this command has had its effect."""
        ended = self.pause
        if not self._is_new(command_id) or ended is None:
            return None
        self.paused = None
        return ended

    def _is_new(self, command_id: str) -> bool:
        known = self.pause_commands or []
        if command_id in known:
            return False
        self.pause_commands = [*known, command_id][-REMEMBERED_COMMANDS:]
        return True
