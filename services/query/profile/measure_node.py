"""The command that measures a node: sends the requests of the plan within limits, publishes the result."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import structlog
from pydicom.dataset import Dataset

from services.query.profile.learner import Learner
from services.query.profile.measurement_plan import MeasurementPlan
from services.query.profile.refused_keys import find_without_refused_keys, may_be_the_keys
from services.query.profile.sample import MeasurementRequest, MeasurementResponse, SampleEnding
from shared.clock import Clock
from shared.contract.envelope import Envelope, derived_id
from shared.contract.messages import NodeProfiled, ProfileNode
from shared.database.models import Node
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, Outcome, PeerError
from shared.dicom.peer import Peer
from shared.dicom.query.identifiers import (
    image_identifier,
    relational_series_identifier,
    series_identifier,
    study_identifier,
    without,
)
from shared.dicom.query.matches import (
    FindResult,
    Match,
    ObjectMatch,
    SeriesMatch,
    StudyMatch,
    object_match,
    series_match,
    study_match,
)
from shared.dicom.sop_classes import IMAGE_CLASSES
from shared.errors import DoseQRError, RetriableError
from shared.messaging.publisher import Publisher
from shared.node_access.pool import AssociationPool
from shared.node_profiles.ledger import forget_profile
from shared.nodes.nodes import find_node
from shared.nodes.peers import peer_of
from shared.querying.slices import Slice
from shared.reading.profiles import known_profile
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: C-FINDs of one measurement, and seconds after which it sends no more.
MAX_REQUESTS = 30
LONGEST_S = 180.0
#: Failed requests in a row after which the node is left alone.
_BROKEN_IN_ROW = 2

AnyMatch = StudyMatch | SeriesMatch | ObjectMatch

_READERS: Mapping[str, Callable[[Match], AnyMatch]] = {
    "STUDY": study_match,
    "SERIES": series_match,
    "IMAGE": object_match,
}


class StoppingError(RetriableError):
    """This process ends; another one measures."""


class _EnoughError(DoseQRError):
    """The measurement has reached its limit of requests or time."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How a measurement ended."""

    outcome: str
    detail: str = ""
    requests: int = 0

    @property
    def ok(self) -> bool:
        """Whether the node responded."""
        return self.outcome == Outcome.RESPONDS


class NodeMeasurement:
    """Does `ProfileNode` commands."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        publisher: Publisher,
        pool: AssociationPool,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._publisher = publisher
        self._pool = pool
        self._clock = clock
        self._stopping = Cancellation()

    def stop(self) -> None:
        """End what is being measured: it begins anew elsewhere."""
        self._stopping.cancel("stopping")

    def __call__(self, envelope: Envelope, command: ProfileNode) -> None:
        """Forget what is known of a node, measure it, or both; the same command again publishes the result.

        Raises:
            InvalidInputError: there is no such remote node.
            RetriableError: broker or database away, or this process ends.
        """
        with self._database.read() as session:
            node = find_node(session, command.node, "remote", "data.node")
            done = known_profile(session, node, self._settings).profile.measured_by == envelope.id
        if command.forget and not done:
            with self._database.write() as session:
                forget_profile(session, node.id)
        ended = Measured(Outcome.RESPONDS.value)
        if command.measure and not done:
            ended = self._measure(envelope.id, node)
        log.info(
            "node profiled",
            command_id=envelope.id,
            node_id=node.id,
            requested_by=command.requested_by,
            forgotten=command.forget,
            outcome=ended.outcome,
            requests=ended.requests,
        )
        self._publish_result(envelope.id, node, ended)

    def _publish_result(self, command_id: str, node: Node, ended: Measured) -> None:
        with self._database.read() as session:
            known = known_profile(session, node, self._settings)
        event = NodeProfiled(
            command_id=command_id,
            node_id=node.id,
            node=node.name,
            ok=ended.ok,
            outcome=ended.outcome,
            detail=ended.detail[:1000],
            requests=ended.requests,
            profile=known.profile.to_json(),
        )
        self._publisher.event(event, "profile", command_id, event_id=derived_id(command_id, "-profiled"))

    def _measure(self, command_id: str, node: Node) -> Measured:
        peer = peer_of(node, self._settings)
        learner = Learner(self._database, node.id, peer, self._clock)
        measurement = MeasurementSession(self._pool, peer, learner, self._stopping)
        now = self._clock()
        try:
            # First, while no other association of ours stands.
            associations = measurement.standing(node.max_associations)
            if associations is not None:
                learner.learn(lambda known: replace(known, associations=associations))
            ended = measured_everything(
                measurement, MeasurementPlan(self._settings.day_of(now), learner.learn)
            )
            offered = measurement.offers_headers()
            learner.learn(lambda known: known.tried_headers(offered))
        except PeerError as error:
            ended = Measured(error.outcome.value, error.detail, measurement.sent)
        except InterruptedWorkError as error:
            raise StoppingError("the measurement was interrupted") from error
        if ended.ok:
            at = now.isoformat(timespec="seconds")
            learner.learn(lambda known: replace(known, measured_at=at, measured_by=command_id))
        with self._database.write() as session:
            learner.save_in(session)
        return ended


def measured_everything(measurement: MeasurementSession, plan_to_follow: MeasurementPlan) -> Measured:
    """Send the requests of the plan until there are no more, or a limit is reached.

    Raises:
        PeerError: the node cannot be reached, or fails several requests in a row.
        InterruptedWorkError: stopping was requested.
    """
    plan = plan_to_follow.plan()
    try:
        request = next(plan)
        while True:
            request = plan.send(measurement.send(request))
    except StopIteration:
        measurement.require_response()
        return Measured(Outcome.RESPONDS.value, "", measurement.sent)
    except _EnoughError as error:
        return Measured(Outcome.RESPONDS.value, str(error), measurement.sent)


class _Bounded(Cancellation):
    """Ends one request once there are enough matches, or when the measurement stops."""

    def __init__(self, outer: Cancellation) -> None:
        super().__init__()
        self._outer = outer

    @property
    def requested(self) -> bool:
        """Whether the request should end."""
        return self._outer.requested or super().requested


class MeasurementSession:
    """Sends the requests of one measurement to one node; used by one thread."""

    def __init__(self, pool: AssociationPool, peer: Peer, learner: Learner, stopping: Cancellation) -> None:
        self._pool = pool
        self._peer = peer
        self._learner = learner
        self._stopping = stopping
        #: Known to the node's budget as one piece of work.
        self._turn = _Bounded(stopping)
        self._until = time.monotonic() + LONGEST_S
        self._broken = 0
        self._refusal: PeerError | None = None
        self._has_response = False
        self.sent = 0

    def require_response(self) -> None:
        """Make sure that some request succeeded.

        Raises:
            PeerError: none did; the error of the last one.
        """
        if not self._has_response and self._refusal is not None:
            raise self._refusal

    def send(self, request: MeasurementRequest) -> MeasurementResponse:
        """Send one request; keys for which it is refused are found and left out from then on.

        Raises:
            PeerError: there is no association, or several requests in a row failed.
            InterruptedWorkError: stopping was requested.
        """
        learner, level = self._learner, request.level
        find = partial(self._find, request)
        identifier = without(_identifier(request), learner.profile.refused(level))
        result = find(identifier)
        # Another request may be refused for what it measures: that is no reason to find out for which key.
        if _is_plain(request) and may_be_the_keys(result):
            result = find_without_refused_keys(learner, level, identifier, result, find)
        learner.observe(level, result)
        return MeasurementResponse(self._ending(result), result.matches, result.largest_page)

    def _find(self, request: MeasurementRequest, identifier: Dataset) -> FindResult[AnyMatch]:
        if self.sent >= MAX_REQUESTS or time.monotonic() > self._until:
            raise _EnoughError(f"not everything was requested: it ends after {self.sent} requests")
        self.sent += 1
        enough, read = _Bounded(self._stopping), _READERS[request.level]
        taken = 0

        def take(match: Match) -> AnyMatch:
            nonlocal taken
            taken += 1
            if taken > request.most:
                enough.cancel("enough")
            return read(match)

        peer = replace(self._peer, relational_queries=request.relational)
        with self._pool.find(peer, self._turn) as association:
            result = association.find(identifier, take, enough)
        log.debug("question", level=request.level, matches=taken, duration_ms=result.duration_ms)
        if self._stopping.requested:
            raise InterruptedWorkError(self._stopping.reason)
        return result

    def _ending(self, result: FindResult[AnyMatch]) -> SampleEnding:
        error = result.error
        if error is None or not isinstance(error, PeerError):
            self._broken, self._has_response = 0, True
            return SampleEnding.COMPLETE if error is None else SampleEnding.CUT
        self._refusal = error
        self._broken = self._broken + 1 if result.status_code is None else 0
        if self._broken >= _BROKEN_IN_ROW:
            raise error
        return SampleEnding.REFUSED

    def offers_headers(self) -> bool | None:
        """Return whether the node accepts C-GET without bulk data; None: that shows only in a retrieve.

        Raises:
            InterruptedWorkError: stopping was requested.
        """
        if self._peer.web is not None:
            return None
        try:
            with self._pool.headers(self._peer, IMAGE_CLASSES, _Bounded(self._stopping)):
                return True
        except PeerError as error:
            return False if error.outcome is Outcome.NOT_SUPPORTED and error.permanent else None

    def standing(self, most: int) -> int | None:
        """Return how many associations stand at once, up to `most`; None: others use the node just now.

        Raises:
            PeerError: not even one stands.
            InterruptedWorkError: stopping was requested.
        """
        with ExitStack() as standing:
            for number in range(most):
                try:
                    standing.enter_context(self._pool.find(self._peer, _Bounded(self._stopping)))
                except NotNowError:
                    if number == 0:
                        raise
                    return None
                except PeerError:
                    if number == 0:
                        raise
                    return number
        return most


def _is_plain(request: MeasurementRequest) -> bool:
    """Return whether a refusal can only be for an optional key, not for a list or another form of request."""
    lists = request.codes or len(request.studies) > 1 or len(request.series) > 1
    return not (lists or request.relational or request.with_modality)


def _identifier(request: MeasurementRequest) -> Dataset:
    times = (None, None) if request.minutes is None else map(_time, request.minutes)
    window = Slice(request.first, request.last, *times)
    if request.level == "STUDY":
        return study_identifier(
            study_date=window.study_date_key() if request.first else "",
            study_time=window.study_time_key(),
            modalities_in_study=request.codes,
            study_instance_uids=request.studies,
            with_modality=request.with_modality,
        )
    if request.relational:
        return relational_series_identifier(window.study_date_key())
    if request.level == "SERIES":
        return series_identifier(request.studies)
    return image_identifier(request.studies, request.series)


def _time(minute: int) -> dt.time:
    return dt.time(*divmod(minute, 60))
