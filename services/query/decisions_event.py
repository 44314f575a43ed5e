"""Publishes decided studies as events."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from services.query.rules.model import StudyDecision
from shared.contract.messages import StudiesDecided, StudySummary
from shared.errors import BrokerAwayError
from shared.messaging.publisher import Publisher

log = structlog.get_logger(__name__)

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
