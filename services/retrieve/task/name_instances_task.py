"""An expect task: list the objects of series that are kept whole, by IMAGE level C-FIND."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import announced_of, keep_unlisted, name_objects
from services.retrieve.planning.moves import MoveCapabilities, SeriesPart, split_long
from services.retrieve.planning.payloads import SeriesKey, expect_tasks, move_tasks
from services.retrieve.transfer.find_objects import find_objects
from shared.database.session import Session
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import PeerError
from shared.jobs.model import Claim, Result
from shared.jobs.new_task import NewTask
from shared.node_access.archive import ArchiveAccess
from shared.querying.silent_caps import may_be_cut

#: Series of one task whose C-FIND may fail before the others wait for its next try.
MAX_FAILED_SERIES = 3

#: SOP Class UIDs by SOP Instance UID; empty where the PACS does not return them.
SopClasses = dict[str, str]


@dataclass(slots=True)
class _Listing:
    objects: dict[SeriesKey, SopClasses] = field(default_factory=dict)
    failed: list[SeriesKey] = field(default_factory=list)
    error: PeerError | None = None


class NameInstancesTask:
    """Performs expect tasks."""

    def __init__(self, pool: ArchiveAccess) -> None:
        self._pool = pool

    def perform(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result:
        """List the objects of some series; series whose C-FIND fails are left to another task.

        Raises:
            PeerError: it failed for all of them.
            InterruptedWorkError: a stop was requested.
        """
        keys = _series_of(claim)
        # Each try begins elsewhere, so that a few series without a response do not hide the others.
        first = claim.failures * MAX_FAILED_SERIES % len(keys)
        listing = self._list(context, keys[first:] + keys[:first], cancellation)
        if listing.error is not None and not listing.objects:
            raise listing.error

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, context.job_id)
            tasks = _save(session, context, listing.objects, context.capabilities)
            return [*tasks, *expect_tasks(listing.failed)]

        return Result(write)

    def _list(
        self, context: RetrieveContext, keys: Sequence[SeriesKey], cancellation: Cancellation
    ) -> _Listing:
        listing, failures = _Listing(), 0
        for number, key in enumerate(keys):
            try:
                listing.objects[key] = self._find_objects(context, key, cancellation)
            except PeerError as error:
                listing.failed.append(key)
                listing.error = error
                failures += 1
                if error.associating or failures >= MAX_FAILED_SERIES:
                    listing.failed += keys[number + 1 :]
                    break
        return listing

    def _find_objects(
        self, context: RetrieveContext, key: SeriesKey, cancellation: Cancellation
    ) -> SopClasses:
        matches = find_objects(self._pool, context.remote, *key, cancellation)
        return {match.sop_instance_uid: match.sop_class_uid or "" for match in matches}


def _series_of(claim: Claim) -> list[SeriesKey]:
    return [(study, series) for study, series in claim.payload["series"]]


def _save(
    session: Session,
    context: RetrieveContext,
    objects: Mapping[SeriesKey, SopClasses],
    capabilities: MoveCapabilities,
) -> list[NewTask]:
    parts = [_part(session, context, key, listed) for key, listed in objects.items()]
    return move_tasks(split_long((part for part in parts if part is not None), capabilities))


def _part(
    session: Session, context: RetrieveContext, key: SeriesKey, listed: SopClasses
) -> SeriesPart | None:
    """Return what of a series is to be requested: by name, or whole where the list of names is not all."""
    announced = announced_of(session, context, key)
    if listed and not may_be_cut(len(listed), announced, context.cap):
        return name_objects(session, context, key, listed)
    return keep_unlisted(session, context, key, announced)


def request_unlisted(session: Session, context: RetrieveContext, claim: Claim) -> list[NewTask]:
    """Request whole the series of an expect task whose objects the PACS does not list."""
    return _save(session, context, {key: {} for key in _series_of(claim)}, MoveCapabilities())
