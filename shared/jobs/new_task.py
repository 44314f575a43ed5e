"""A task to be added to a job. Pure, so that what plans tasks can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.contract.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be added to a job."""

    kind: str
    payload: JsonObject = field(default_factory=dict)
    #: Columns of the service's own task table.
    extra: Mapping[str, object] = field(default_factory=dict)
    #: Seconds before which it is not begun.
    delay_s: float = 0.0
    #: When it was due, in place of now: what was due earlier is begun earlier.
    due_at: datetime | None = None
