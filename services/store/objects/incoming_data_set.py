"""The data set of an object as it arrives: small ones in memory, larger ones in a file."""

from __future__ import annotations

from collections.abc import Callable

from services.store.objects.errors import ObjectWriteError
from services.store.objects.temp_file import TempFile
from shared.dicom.upper_layer.data_elements import Buffer
from shared.errors import InvalidInputError

#: A larger data set is written as it comes.
MEMORY_BYTES = 1 << 20


class TooLargeError(InvalidInputError):
    """The object has more bytes than is allowed."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__("data_set", f"has more than {limit_bytes} bytes")


class IncomingDataSet:
    """Collects fragments; a problem is kept until the response is due."""

    def __init__(self, open_temp_file: Callable[[], TempFile] | None, limit_bytes: int) -> None:
        """`open_part` makes the file for a large one; without it all is held in memory."""
        self._open_temp_file = open_temp_file
        self._limit_bytes = limit_bytes
        self._memory = bytearray()
        self.size_bytes = 0
        self.temp_file: TempFile | None = None
        self.problem: ObjectWriteError | InvalidInputError | None = None

    def add(self, fragment: bytes) -> None:
        """Append the next fragment."""
        self.size_bytes += len(fragment)
        if self.problem is not None:
            return
        try:
            self._add(fragment)
        except OSError as error:
            self._give_up(ObjectWriteError.of(error))
        except (ObjectWriteError, InvalidInputError) as error:
            self._give_up(error)

    def data(self) -> Buffer:
        """Return what came; empty if there is a problem."""
        return self._memory if self.temp_file is None else self.temp_file.data_set()

    def discard(self) -> None:
        """Remove what was written."""
        self._memory = bytearray()
        if self.temp_file is not None:
            self.temp_file.discard()
            self.temp_file = None

    def _add(self, fragment: bytes) -> None:
        if self.size_bytes > self._limit_bytes:
            raise TooLargeError(self._limit_bytes)
        if self.temp_file is not None:
            self.temp_file.write(fragment)
            return
        self._memory += fragment
        if self._open_temp_file is not None and self.size_bytes > MEMORY_BYTES:
            self.temp_file = self._open_temp_file()
            self.temp_file.write(self._memory)
            self._memory = bytearray()

    def _give_up(self, problem: ObjectWriteError | InvalidInputError) -> None:
        self.problem = problem
        self.discard()
