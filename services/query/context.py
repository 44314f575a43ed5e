"""What the tasks of a query share: its criteria, what each works with, and how decisions are published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import structlog

from services.query.find_scu import FindScu
from services.query.futile_search import FailureLimit
from services.query.profile.learner import Learner
from services.query.rules.model import StudyDecision
from shared.contract.criteria import Criteria
from shared.contract.messages import StudiesDecided, StudySummary
from shared.errors import BrokerAwayError
from shared.jobs.model import Claim
from shared.messaging.publisher import Publisher

log = structlog.get_logger(__name__)

#: Publishes decisions of a job, after they were committed.
PublishDecisions = Callable[[str, Sequence[StudyDecision]], None]


@dataclass(frozen=True, slots=True)
class QueryContext:
    """The criteria of a query and the day on which it began."""

    criteria: Criteria
    today: date
    #: How often the query was run again for what was missing.
    round: int = 0
    #: Whether it is a run of a recurring query.
    of_schedule: bool = False
    #: Whether what is known as a header is not retrieved again: its node is set up for headers.
    headers_count: bool = False


@dataclass(frozen=True, slots=True)
class TaskScope:
    """What one task works with: its claim, its query, and its node."""

    claim: Claim
    context: QueryContext
    scu: FindScu
    learner: Learner
    limit: FailureLimit


#: Decided studies in one event.
_SUMMARIES_AT_ONCE = 200


def publish_decisions(publisher: Publisher, job_id: str, decisions: Sequence[StudyDecision]) -> None:
    """Publish decisions, after they were committed; they are in the ledger even if this fails."""
    try:
        for start in range(0, len(decisions), _SUMMARIES_AT_ONCE):
            studies = [_summary(decision) for decision in decisions[start : start + _SUMMARIES_AT_ONCE]]
            publisher.event(StudiesDecided(job_id=job_id, studies=studies), "query", job_id)
    except BrokerAwayError as error:
        log.warning("decisions not published", job_id=job_id, error=str(error))


def _summary(decision: StudyDecision) -> StudySummary:
    return StudySummary(
        study_instance_uid=decision.study_instance_uid,
        type=decision.type,
        decision=decision.decision.value,
        reason=decision.reason.value,
    )
