"""The data set of an object as it arrives: small ones in memory, larger ones in a file."""

from __future__ import annotations

from collections.abc import Callable

from services.store.objects.errors import ObjectWriteError
from services.store.objects.temp_file import TempFile
from shared.dicom.data_set_end import CutOffError
from shared.dicom.header_objects.bulk_sieve import BulkSieve
from shared.dicom.header_objects.mark import Origin, Way
from shared.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from shared.dicom.upper_layer.data_elements import Buffer, TruncatedDataSetError
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.errors import InvalidInputError

#: A larger data set is written as it comes.
MEMORY_BYTES = 1 << 20


#: Bytes of an object that are held until it shows whether its bulk data is to be left out.
UNDECIDED_BYTES = 4 << 20


class TooLargeError(InvalidInputError):
    """The object has more bytes than is allowed."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__("data_set", f"has more than {limit_bytes} bytes")


class IncomingDataSet:
    """Collects fragments; a problem is kept until the response is due."""

    def __init__(
        self,
        open_temp_file: Callable[[], TempFile] | None,
        limit_bytes: int,
        transfer_syntax_uid: str = "",
        leave_out: Callable[[bytes], bool] | None = None,
    ) -> None:
        """`open_temp_file` makes the file for a large one; without it all is held in memory.

        `leave_out` is called with the begin of an object, if it has bulk data: whether to keep only the rest.
        """
        self._open_temp_file = open_temp_file
        self.transfer_syntax_uid = transfer_syntax_uid
        self._sieve = None if leave_out is None else BulkSieve(transfer_syntax_uid, leave_out)
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

    def end(self) -> None:
        """Note that all has come: what was kept of an object without its bulk data takes its place."""
        sieve, self._sieve = self._sieve, None
        if sieve is None or not sieve.leaves_out or self.problem is not None:
            return
        try:
            origin = Origin(Way.LEFT_OUT, sieve.absent, self.transfer_syntax_uid, self.size_bytes)
            data_set = sieve.data_set(origin)
        except TruncatedDataSetError as error:
            self._give_up(CutOffError(str(error)))
            return
        except MalformedDataSetError as error:
            self._give_up(InvalidInputError("data_set", str(error)))
            return
        self._memory = bytearray(data_set)
        self.transfer_syntax_uid = EXPLICIT_VR_LITTLE_ENDIAN

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
        if self._sieve is not None and self._is_sieved(self._sieve, fragment):
            return
        if self.temp_file is not None:
            self.temp_file.write(fragment)
            return
        self._memory += fragment
        if self._open_temp_file is not None and self.size_bytes > MEMORY_BYTES:
            self.temp_file = self._open_temp_file()
            self.temp_file.write(self._memory)
            self._memory = bytearray()

    def _is_sieved(self, sieve: BulkSieve, fragment: bytes) -> bool:
        """Return whether bulk data is left out; until that shows, the object is held as it is."""
        sieve.add(fragment)
        if sieve.useless:
            if sieve.leaves_out:
                raise InvalidInputError("data_set", "cannot be read as a header")
            self._sieve = None
            return False
        if sieve.leaves_out:
            self._memory = bytearray()
            return True
        if len(self._memory) > UNDECIDED_BYTES:
            self._sieve = None
            return False
        if self.temp_file is None:
            self._memory += fragment
        return True

    def _give_up(self, problem: ObjectWriteError | InvalidInputError) -> None:
        self.problem = problem
        self.discard()
