"""What the tasks of a query need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from services.query.rules.model import StudyDecision
from shared.contract.criteria import Criteria

#: Publishes decisions of a job, after they were committed.
PublishDecisions = Callable[[str, Sequence[StudyDecision]], None]


@dataclass(frozen=True, slots=True)
class QueryContext:
    """The criteria of a query and the day on which it began."""

    criteria: Criteria
    today: date
    #: How often the query was run again for what was missing.
    round: int = 0
