"""An object of a C-GET as it comes: its data set goes to a file, and what is read of it is little."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from shared.dicom.data_set_end import check_end
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.upper_layer.data_elements import ElementWalker
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.identifiers import UID_MAX_LENGTH

#: Bytes of one object that a peer sends.
MAX_OBJECT_BYTES = 4 << 30
#: Bytes of an object that are searched for its UIDs.
_BEGIN_BYTES = 1 << 20

SOP_CLASS_UID, SOP_INSTANCE_UID = 0x0008_0016, 0x0008_0018
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020_000D, 0x0020_000E
_UIDS = (SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)


class ObjectFile(Protocol):
    """A file without a name, or memory, for one object."""

    def write(self, data: bytes, /) -> int:
        """Append bytes.

        Raises:
            OSError: there is no space for them.
        """
        ...

    def seek(self, offset: int, /) -> int:
        """Go to a place."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        ...

    def getbuffer(self) -> memoryview:
        """Return a view of all that was written, to be released before it is closed."""
        ...

    def close(self) -> None:
        """Give it up."""
        ...


class FetchedObject:
    """Takes the data set of one object; without a file it only counts what comes."""

    def __init__(
        self, open_file: Callable[[], ObjectFile] | None, on_bytes: Callable[[int], None], max_bytes: int
    ) -> None:
        """`on_bytes` is called with the length of each fragment."""
        self._on_bytes = on_bytes
        self._max_bytes = max_bytes
        self.size_bytes = 0
        #: What kept it from being written.
        self.error: OSError | None = None
        self.file: ObjectFile | None = None
        try:
            self.file = None if open_file is None else open_file()
        except OSError as error:
            self.error = error

    def add(self, fragment: bytes) -> None:
        """Take the next fragment.

        Raises:
            PeerError: the object has too many bytes.
        """
        self.size_bytes += len(fragment)
        if self.size_bytes > self._max_bytes:
            self.close()
            detail = f"the peer sent an object of more than {self._max_bytes >> 20} MiB"
            raise PeerError(Outcome.BAD_RESPONSE, detail)
        self._on_bytes(len(fragment))
        if self.file is None:
            return
        try:
            self.file.write(fragment)
        except OSError as error:
            self.error = error
            self.close()

    def uids(self) -> dict[int, str]:
        """Return the UIDs of the object, study and series by tag, as far as they can be read."""
        if self.file is None:
            return {}
        self.file.seek(0)
        return _uids_in(self.file.read(_BEGIN_BYTES))

    def check_end(self, transfer_syntax_uid: str) -> None:
        """Check that the data set does not stop within an element.

        Raises:
            InvalidInputError: it does.
        """
        if self.file is not None:
            with self.file.getbuffer() as data_set:
                check_end(data_set, transfer_syntax_uid)

    def close(self) -> None:
        """Give up the file."""
        if self.file is not None:
            with suppress(OSError):
                self.file.close()
            self.file = None


def _uids_in(begin: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    with suppress(MalformedDataSetError):
        for tag, _, start, stop in ElementWalker(begin, max_depth=None).walk():
            if tag > SERIES_INSTANCE_UID:
                break
            if tag in _UIDS:
                value = begin[start : min(stop, start + UID_MAX_LENGTH + 1)]
                found[tag] = value.decode("latin-1").strip("\0 ")
    return found
