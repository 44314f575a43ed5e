"""One part of a WADO-RS response: a DICOM file, of which the data set goes on, if it is whole.

Whether it is shows as its bytes go by (PS3.5 7): nothing of its values is kept here.
"""

from __future__ import annotations

from shared.dicom.header_objects.element_stream import ElementStream
from shared.dicom.part10 import MAX_HEAD_BYTES, read_head
from shared.dicom.relay.fetched_object import FetchedObject
from shared.dicom.transfer_syntaxes import BIG_ENDIAN, DEFLATED
from shared.dicomweb.wado.multipart import MultipartPart
from shared.errors import InvalidInputError

#: What our reader of data sets does not take.
_UNREADABLE = frozenset({BIG_ENDIAN, DEFLATED})


class ReceivedPart:
    """Takes the bytes of a part, and finds out whether they are a whole DICOM file (PS3.10 7)."""

    def __init__(self, received: FetchedObject) -> None:
        """`received` takes the data set."""
        self._received = received
        self._begin = bytearray()
        self._end: ElementStream | None = None
        self.transfer_syntax_uid = ""
        #: What is wrong with it; empty if nothing is.
        self.problem = ""

    def read(self, part: MultipartPart) -> None:
        """Read a part to its end.

        Raises:
            PeerError: the response ends within it, or it is too large.
            InterruptedWorkError: the work was stopped.
        """
        size_bytes = 0
        for chunk in part.chunks():
            size_bytes += len(chunk)
            self._add(chunk)
        if self._end is None and not self.problem:
            self._begin_data_set()
        self.problem = self.problem or self._problem_of_end(part, size_bytes)

    def _add(self, chunk: bytes) -> None:
        if self.problem:
            return  # the rest of it is of no interest
        if self._end is not None:
            self._end.add(chunk)
            self._received.add(chunk)
            return
        self._begin += chunk
        if len(self._begin) >= MAX_HEAD_BYTES:
            self._begin_data_set()

    def _begin_data_set(self) -> None:
        begin = bytes(self._begin)
        self._begin.clear()
        try:
            head = read_head(begin)
        except InvalidInputError as error:
            self.problem = error.problem
            return
        self.transfer_syntax_uid = str(head.transfer_syntax_uid)
        self._end = ElementStream(self.transfer_syntax_uid)
        self._add(begin[head.data_set_offset :])

    def _problem_of_end(self, part: MultipartPart, size_bytes: int) -> str:
        if part.announced_bytes not in (None, size_bytes):
            return "is not as long as it announces"
        if self.transfer_syntax_uid in _UNREADABLE:
            return f"has a transfer syntax that is not taken ({self.transfer_syntax_uid})"
        if self._end is None or not self._end.whole:
            return "holds an object that is cut off"
        return ""
