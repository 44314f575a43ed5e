"""Profiles in the database: read for each task, changed by what the task learned."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from sqlalchemy.orm import Session

from shared.clock import Clock
from shared.database.session import Database
from shared.dicom.peer import Peer
from shared.dicom.query.matches import FindResult
from shared.node_profiles.ledger import Lesson, change_profile, read_profile
from shared.querying.profile import Profile

T = TypeVar("T")

#: By level: the field of the profile for each attribute of a match.
RETURNED: Mapping[str, Mapping[str, str]] = {
    "STUDY": {
        "modalities_returned": "modalities",
        "returns_study_descriptions": "description",
        "returns_series_counts": "series_count",
    },
    "SERIES": {
        "returns_series_descriptions": "description",
        "returns_station_names": "station_name",
        "returns_instance_counts": "instance_count",
    },
    "IMAGE": {"returns_sop_classes": "sop_class_uid"},
}


class Learner:
    """The profile of one node for the time of one task, and what the task learns of it."""

    def __init__(self, database: Database, node_id: int, peer: Peer, clock: Clock) -> None:
        self._database = database
        self._node_id = node_id
        self._peer = peer
        self._clock = clock
        self._lessons: list[Lesson] = []
        with database.read_outside() as session:
            self.profile = read_profile(session, node_id, peer)

    @property
    def has_lessons(self) -> bool:
        """Whether something was learned that is not written yet."""
        return bool(self._lessons)

    def learn(self, lesson: Lesson) -> None:
        """Apply a lesson: for this task immediately, for others once it is saved."""
        after = lesson(self.profile)
        if after != self.profile:
            self.profile = after
            self._lessons.append(lesson)

    def observe(self, level: str, result: FindResult[T]) -> None:
        """Learn from a result, if it is complete, what the node returns, and how fast."""
        if not result.complete:
            return
        matches = result.matches
        by_dicomweb = self._peer.web is not None
        self.learn(lambda profile: profile.took(result.duration_ms, len(matches), by_dicomweb=by_dicomweb))
        for field, attribute in RETURNED[level].items():
            returned = sum(getattr(match, attribute) is not None for match in matches)
            self.learn(partial(Profile.returns, field=field, returned=returned, requested=len(matches)))

    def save_in(self, session: Session) -> None:
        """Write what was learned into the profile as it is now, which others may have changed."""
        if not self._lessons:
            return
        lessons, self._lessons = self._lessons, []

        def learned(profile: Profile) -> Profile:
            for lesson in lessons:
                profile = lesson(profile)
            return profile

        change_profile(session, self._node_id, self._peer, learned, self._clock())
