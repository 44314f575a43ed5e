"""An expect task: the names of the objects of series that are kept whole, by image-level C-FIND."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import keep_unlisted, name_objects
from services.retrieve.planning.moves import MoveCapabilities, split_long
from services.retrieve.planning.payloads import SeriesKey, expect_tasks, move_tasks
from services.retrieve.transfer.node_capabilities import CapabilitiesOf
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, PeerError
from shared.dicom.query.identifiers import image_identifier
from shared.dicom.query.matches import object_match
from shared.jobs.model import Claim, Result
from shared.jobs.new_task import NewTask
from shared.node_access.pool import AssociationPool

#: Series of one task that may go unanswered before the others wait for its next try.
FAILURES_AT_ONCE = 3


@dataclass(slots=True)
class _Named:
    #: SOP Class UIDs by SOP Instance UID.
    names: dict[SeriesKey, dict[str, str]] = field(default_factory=dict)
    left: list[SeriesKey] = field(default_factory=list)
    error: PeerError | None = None


class NameInstancesTask:
    """Performs expect tasks."""

    def __init__(self, pool: AssociationPool, capabilities_of: CapabilitiesOf) -> None:
        self._pool = pool
        self._capabilities_of = capabilities_of

    def perform(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result:
        """Name the objects of some series; what the PACS does not answer is asked again.

        Raises:
            PeerError: it answered for none of them.
            InterruptedWorkError: stopping was asked for.
        """
        keys = series_of(claim)
        # Each try begins elsewhere, so that a few series without an answer do not hide the others.
        first = claim.failures * FAILURES_AT_ONCE % len(keys)
        named = self._ask(context, keys[first:] + keys[:first], cancellation)
        if named.error is not None and not named.names:
            raise named.error

        capabilities = self._capabilities_of(context.remote_id)

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, context.job_id)
            return [*_save(session, context, named.names, capabilities), *expect_tasks(named.left)]

        return Result(write)

    def _ask(self, context: RetrieveContext, keys: Sequence[SeriesKey], cancellation: Cancellation) -> _Named:
        named, failures = _Named(), 0
        for number, key in enumerate(keys):
            try:
                named.names[key] = self._objects(context, key, cancellation)
            except PeerError as error:
                named.left.append(key)
                named.error = error
                failures += 1
                if error.associating or failures >= FAILURES_AT_ONCE:
                    named.left += keys[number + 1 :]
                    break
        return named

    def _objects(
        self, context: RetrieveContext, key: SeriesKey, cancellation: Cancellation
    ) -> dict[str, str]:
        with self._pool.find(context.remote, cancellation) as association:
            result = association.c_find(image_identifier([key[0]], [key[1]]), object_match, cancellation)
        if isinstance(result.error, (PeerError, InterruptedWorkError)):
            raise result.error
        matches = (match for match in result.matches if match.series_instance_uid in (None, key[1]))
        return {match.sop_instance_uid: match.sop_class_uid or "" for match in matches}


def series_of(claim: Claim) -> list[SeriesKey]:
    """Read the payload of an expect task."""
    return [(study, series) for study, series in claim.payload["series"]]


def _save(
    session: Session,
    context: RetrieveContext,
    names: dict[SeriesKey, dict[str, str]],
    capabilities: MoveCapabilities,
) -> list[NewTask]:
    parts = [
        name_objects(session, context, key, objects) if objects else keep_unlisted(session, context, key)
        for key, objects in names.items()
    ]
    return move_tasks(split_long((part for part in parts if part is not None), capabilities))


def give_up_naming(session: Session, context: RetrieveContext, claim: Claim) -> list[NewTask]:
    """Ask for series whole whose objects the PACS does not name."""
    return _save(session, context, {key: {} for key in series_of(claim)}, MoveCapabilities())
