"""Examine one study: series and image level, as far as the rules need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from services.query.find_scu import FindScu
from services.query.rules.decide import (
    KnownObjects,
    Needs,
    ObjectAnswer,
    SeriesAnswer,
    StudyAnswer,
    StudyDecision,
    decide,
    object_shortfalls,
    series_shortfall,
)
from shared.contract.criteria import Criteria
from shared.contract.reasons import Reason
from shared.dicom.query.matches import ObjectMatch, SeriesMatch

T = TypeVar("T")

#: Rounds of questions that a study can need: its series, its reports, first images or counts, known objects.
_MOST_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Decided:
    """A study that was decided, with what its series answered."""

    decision: StudyDecision
    series: Sequence[SeriesAnswer] = ()

    @property
    def study_instance_uid(self) -> str:
        """The study."""
        return self.decision.study_instance_uid


@dataclass(frozen=True, slots=True)
class Missing:
    """A study that could not be examined, and why."""

    study_instance_uid: str
    reason: Reason
    detail: str


@dataclass(slots=True)
class _Answers:
    """What a study has answered so far."""

    series: list[SeriesAnswer] | None = None
    objects: dict[str, list[ObjectAnswer]] = field(default_factory=dict)


def examine(criteria: Criteria, study: StudyAnswer, known: KnownObjects, scu: FindScu) -> Decided | Missing:
    """Ask until the rules can decide.

    Raises:
        PeerError: an answer is not complete.
        InterruptedWorkError: stopping was asked for.
    """
    answers = _Answers()
    for _ in range(_MOST_ROUNDS):
        verdict = decide(criteria, study, answers.series, answers.objects, known)
        if isinstance(verdict, StudyDecision):
            return Decided(verdict, answers.series or [])
        missing = _ask(study, verdict, answers, scu)
        if missing is not None:
            return missing
    raise AssertionError("the rules ask without end")


def _ask(study: StudyAnswer, needs: Needs, answers: _Answers, scu: FindScu) -> Missing | None:
    if needs.series:
        return _ask_series(study, answers, scu)
    for series_instance_uid in sorted(needs.images):
        missing = _ask_objects(study, series_instance_uid, answers, scu)
        if missing is not None:
            return missing
    return None


def _ask_series(study: StudyAnswer, answers: _Answers, scu: FindScu) -> Missing | None:
    uid = study.study_instance_uid
    answers.series = _twice_if_short(
        lambda: [series_answer(entry) for entry in scu.series(uid)],
        lambda series: series_shortfall(study, series) > 0,
    )
    short = series_shortfall(study, answers.series)
    if not short:
        return None
    announced = max(study.series_count or 0, 1)
    detail = f"The PACS announces {announced} series and answered {announced - short}."
    return Missing(uid, Reason.FEWER_SERIES_THAN_ANNOUNCED, detail)


def _ask_objects(
    study: StudyAnswer, series_instance_uid: str, answers: _Answers, scu: FindScu
) -> Missing | None:
    uid = study.study_instance_uid
    series = answers.series or []
    answers.objects[series_instance_uid] = _twice_if_short(
        lambda: [object_answer(one) for one in scu.objects(uid, series_instance_uid)],
        lambda objects: bool(object_shortfalls(series, {series_instance_uid: objects})),
    )
    own = {series_instance_uid: answers.objects[series_instance_uid]}
    for short in object_shortfalls(series, own):
        if not short.unknown:
            detail = f"A series announces {short.announced} objects and answered {short.answered}."
            return Missing(uid, Reason.FEWER_OBJECTS_THAN_ANNOUNCED, detail)
    return None


def _twice_if_short(ask: Callable[[], list[T]], short: Callable[[list[T]], bool]) -> list[T]:
    """Ask, and once more if the answer falls short of what was announced."""
    answer = ask()
    return ask() if short(answer) else answer


def series_answer(match: SeriesMatch) -> SeriesAnswer:
    """Return what the rules need of a match."""
    return SeriesAnswer(
        series_instance_uid=match.series_instance_uid,
        modality=match.modality,
        description=match.description,
        station_name=match.station_name,
        instance_count=match.instance_count,
        series_number=match.series_number,
    )


def object_answer(match: ObjectMatch) -> ObjectAnswer:
    """Return what the rules need of a match."""
    return ObjectAnswer(
        sop_instance_uid=match.sop_instance_uid,
        sop_class_uid=match.sop_class_uid,
        instance_number=match.instance_number,
    )
