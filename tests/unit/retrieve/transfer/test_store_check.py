"""Whether DoseQR's own store is there: it responds to a C-ECHO, or sends heartbeats."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from services.retrieve.context import RetrieveContext
from services.retrieve.transfer.own_store import OwnStore
from services.retrieve.transfer.store_check import AGAIN_AFTER, StoreCheck
from shared.contract.text import StoreState
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import NotNowError, Outcome, PeerError, StoreError
from shared.dicom.peer import Peer

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=4)


@dataclass
class Pool:
    """Responds to a C-ECHO, or does not."""

    error: PeerError | None = None
    node_ids: list[int | None] = field(default_factory=list)

    def echo(self, peer: Peer, _cancellation: Cancellation) -> None:
        self.node_ids.append(peer.node_id)
        if self.error is not None:
            raise self.error


class Store:
    """What is known of a store, at a time in seconds."""

    def __init__(self, error: PeerError | None) -> None:
        self.now_s = 100.0
        self.pool = Pool(error)
        self.own_store = OwnStore(lambda: self.now_s)
        self.check = StoreCheck(cast("Any", self.pool), self.own_store, lambda: NOW, lambda: self.now_s)

    def beat(self) -> None:
        self.own_store.note(StoreState())


def context(*, own_store: bool = True, away: bool = False, fetch: bool = False) -> RetrieveContext:
    store = Peer("127.0.0.1", 104, "DOSEQR", "DOSEQR")
    remote = Peer("127.0.0.1", 105, "PACS", "DOSEQR")
    return RetrieveContext(
        "job",
        "query",
        1,
        remote,
        7,
        store,
        own_store=own_store,
        store_away=away,
        ignore_known=True,
        since=NOW,
        fetch=fetch,
    )


def refused() -> PeerError:
    error = PeerError(Outcome.CONNECTION_REFUSED, "nobody listens", associating=True)
    error.retry_at = SOON
    return error


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (None, False),
        (refused(), True),
        (PeerError(Outcome.TIMED_OUT, "", associating=True), True),
        (PeerError(Outcome.TIMED_OUT, "no response"), True),
        (PeerError(Outcome.ABORTED, ""), True),
        (PeerError(Outcome.REJECTED, "", associating=True), False),
        (PeerError(Outcome.NOT_SUPPORTED, "", permanent=True, associating=True), False),
    ],
)
def test_moves_wait_for_a_store_that_is_not_there(error, waits):
    # Given
    store = Store(error)
    held: NotNowError | None = None
    # When
    try:
        store.check.check(context(), Cancellation())
    except NotNowError as wait:
        held = wait
    # Then
    assert (held is not None) is waits
    assert store.pool.node_ids == [7]
    assert held is None or held.note.startswith("new moves wait until DoseQR's own store responds again: ")


def test_a_held_move_is_tried_anew_every_few_seconds():
    # Given
    store = Store(refused())
    # When
    with pytest.raises(NotNowError) as caught:
        store.check.check(context(), Cancellation())
    # Then
    assert (caught.value.until, caught.value.whole_node) == (NOW + AGAIN_AFTER, True)


@pytest.mark.parametrize(
    ("of_job", "error"),
    [
        (context(), None),
        (context(away=True), NotNowError),
        (context(own_store=False, away=True), None),
        (context(own_store=False, fetch=True), None),
        (context(own_store=False, fetch=True, away=True), StoreError),
    ],
)
def test_a_store_is_only_tried_first_if_it_was_away(of_job, error):
    # Given
    store = Store(refused())
    # When
    with nullcontext() if error is None else pytest.raises(error):
        store.check.admit(of_job, Cancellation())
    # Then
    assert store.pool.node_ids == ([7] if error else [])


@pytest.mark.parametrize(
    ("beats_after_s", "checked_after_s", "waits"),
    [(None, 5, True), (-5, 5, True), (5, 6, False), (5, 29, False), (5, 31, True)],
)
def test_heartbeats_after_the_failure_show_that_the_store_is_there(beats_after_s, checked_after_s, waits):
    # Given
    store, began_s = Store(refused()), 100.0
    store.now_s = began_s + (beats_after_s or 0)
    if beats_after_s is not None and beats_after_s < 0:
        store.beat()
    store.now_s = began_s
    with pytest.raises(NotNowError):
        store.check.check(context(), Cancellation())
    if beats_after_s is not None and beats_after_s > 0:
        store.now_s = began_s + beats_after_s
        store.beat()
    # When
    store.now_s = began_s + checked_after_s
    try:
        store.check.admit(context(), Cancellation())
    except NotNowError:
        held = True
    else:
        held = False
    # Then
    assert held is waits


def test_moves_go_on_once_the_store_responds_again():
    # Given
    store = Store(refused())
    with pytest.raises(NotNowError):
        store.check.check(context(), Cancellation())
    # When
    store.pool.error = None
    for _ in range(3):
        store.check.admit(context(), Cancellation())
    # Then
    assert len(store.pool.node_ids) == 2


@pytest.mark.parametrize(
    ("error", "retry_at"),
    [
        (StoreError(refused()), SOON),
        (PeerError(Outcome.ABORTED, "of the PACS"), None),
    ],
)
def test_another_store_that_is_away_is_tried_when_the_pool_allows(error, retry_at):
    # Given
    store = Store(refused())
    # When
    again = store.check.retry(context(own_store=False), error, Cancellation())
    # Then
    assert again is error
    assert again.retry_at == retry_at
