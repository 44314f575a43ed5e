"""Objects as they come, and what became of each on disk."""

from __future__ import annotations

from dataclasses import dataclass

from services.store.objects.identity import Identity
from services.store.objects.temp_file import TempFile
from shared.dicom.upper_layer.data_elements import Buffer


@dataclass(frozen=True, slots=True)
class ReceivedObject:
    """An object as it came: who it is, and its data set byte by byte."""

    identity: Identity
    transfer_syntax_uid: str
    calling_ae_title: str
    data_set: Buffer
    #: The file that holds it already, if it is large.
    temp_file: TempFile | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Where the bytes of a received object lie now; paths are below the folder of objects."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Stored(StoredFile):
    """The object is new on disk."""


@dataclass(frozen=True, slots=True)
class Replaced(StoredFile):
    """The whole object took the place of its header."""


@dataclass(frozen=True, slots=True)
class Duplicate(StoredFile):
    """The same bytes were there already, or `first`: others that are enough, and stay."""

    first: bool = False


@dataclass(frozen=True, slots=True)
class Conflict(StoredFile):
    """Other bytes were there already and stay at `path`; these were kept aside."""

    aside: str
