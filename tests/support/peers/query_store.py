"""A store node that is not ours and can be queried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AllStoragePresentationContexts, evt
from pynetdicom.ae import ApplicationEntity

from shared.dicom.sop_classes import STUDY_ROOT_FIND


class QueryableStore:
    """A store that keeps UIDs and matches image-level queries against them.

    `status_for` may be replaced: it returns the status of each object.
    """

    def __init__(self) -> None:
        self.ae_title = "ARCHIVE"
        self.held: dict[str, set[str]] = {}
        self.finds = 0
        self.status_for: Callable[[str], int] = lambda _sop_instance_uid: 0x0000
        self._ae = ApplicationEntity(ae_title=self.ae_title)
        self._ae.supported_contexts = AllStoragePresentationContexts
        self._ae.add_supported_context(STUDY_ROOT_FIND)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        server: Any = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = int(server.server_address[1])

    def _store(self, event: evt.Event) -> int:
        ds = event.dataset
        status = self.status_for(str(ds.SOPInstanceUID))
        if status == 0:
            self.held.setdefault(str(ds.SeriesInstanceUID), set()).add(str(ds.SOPInstanceUID))
        return status

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.finds += 1
        for uid in sorted(self.held.get(str(event.identifier.SeriesInstanceUID), ())):
            match = Dataset()
            match.QueryRetrieveLevel = "IMAGE"
            match.SOPInstanceUID = uid
            yield 0xFF00, match

    @property
    def uids(self) -> frozenset[str]:
        """The SOP Instance UIDs that it holds."""
        return frozenset(uid for held in self.held.values() for uid in held)

    def stop(self) -> None:
        """Stop listening."""
        self._ae.shutdown()
