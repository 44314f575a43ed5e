"""The port to archives: what is requested of a node, whichever protocol it speaks.

`AssociationPool` is its one implementation. It lends associations to nodes that speak DIMSE
(`FindAssociation`, `GetAssociation`), and to those that speak DICOMweb the sessions of `shared/dicomweb`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from pydicom.dataset import Dataset

from shared.dicom.association.sub_operations import SubOperations
from shared.dicom.cancellation import Cancellation
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.matches import FindResult, Match
from shared.dicom.relay.c_get import Fetched
from shared.dicom.relay.fetched_object import ObjectFile

T = TypeVar("T")


class FindSession(Protocol):
    """Finds studies, series and instances: the level stands in the identifier (PS3.4 C.6.2)."""

    @property
    def alive(self) -> bool:
        """Whether another request can be sent."""
        ...

    def find(
        self, identifier: Dataset, read: Callable[[Match], T], cancellation: Cancellation | None = None
    ) -> FindResult[T]:
        """Return what matches; the result is complete, or holds what went wrong.

        Raises:
            NotNowError: the node's limits do not allow a request now.
            InterruptedWorkError: the work was stopped while it waited for these limits.
        """
        ...


class FetchSession(Protocol):
    """Fetches instances, and hands each on to a store."""

    def fetch(
        self,
        identifier: Dataset,
        store: Peer,
        timeouts: Timeouts,
        on_progress: Callable[[SubOperations], None] | None = None,
        cancellation: Cancellation | None = None,
        *,
        open_file: Callable[[], ObjectFile] = ...,
    ) -> Fetched:
        """Fetch what an identifier names; `open_file` opens a file for each object on its way.

        Raises:
            StoreError: the store accepts no association.
            NotNowError: the node's limits do not allow a request now.
            InterruptedWorkError: the work was stopped.
        """
        ...


class ArchiveAccess(Protocol):
    """Lends sessions with nodes, within what each node allows."""

    @property
    def timeouts(self) -> Timeouts:
        """The time-outs of its sessions."""
        ...

    def find(
        self, peer: Peer, cancellation: Cancellation | None = None
    ) -> AbstractContextManager[FindSession]:
        """Lend a session for the time of the block.

        Raises:
            PeerError: there is none.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: the work was stopped.
        """
        ...

    def get(
        self, peer: Peer, storage_classes: Sequence[str], cancellation: Cancellation | None = None
    ) -> AbstractContextManager[FetchSession]:
        """Lend a session for objects of these classes.

        Raises:
            PeerError: there is none.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: the work was stopped.
        """
        ...

    def headers(
        self, peer: Peer, storage_classes: Sequence[str], cancellation: Cancellation | None = None
    ) -> AbstractContextManager[FetchSession]:
        """Lend a session that fetches objects of these classes without their bulk data.

        Raises:
            PeerError: there is none; `associating` and permanent: the peer does not offer it.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: the work was stopped.
        """
        ...
