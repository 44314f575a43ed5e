"""Stored files compared with what the index knows of them, byte by byte; nothing is changed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import func, select

from shared.database.models.store import STORE, WHOLE, StoredObject
from shared.database.session import Database
from shared.dicom.part10 import digest_of

#: Rows that are read at once.
PAGE = 1000


class FileFault(StrEnum):
    """What is wrong with a stored file."""

    GONE = "gone"
    UNREADABLE = "cannot be read"
    SIZE = "another size"
    BYTES = "other bytes"


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """One stored object, and how its file stands; no fault: as it was received."""

    sop_instance_uid: str
    path: str
    size_bytes: int
    fault: FileFault | None
    detail: str = ""
    content: str = WHOLE


@dataclass(frozen=True, slots=True)
class _Known:
    path: str
    size_bytes: int
    sha256: str
    content: str


def number_of_files(database: Database) -> int:
    """Return how many objects are stored here.

    Raises:
        DatabaseAwayError: the database is away.
    """
    with database.read() as session:
        counted = select(func.count()).select_from(StoredObject).where(StoredObject.source == STORE)
        return session.scalar(counted) or 0


def sample_of(database: Database, size: int) -> list[str]:
    """Return the SOP Instance UIDs of stored objects by chance, each as likely as any other.

    Raises:
        DatabaseAwayError: the database is away.
    """
    sample: list[str] = []
    for number, uid in enumerate(_all(database)):
        if len(sample) < size:
            sample.append(uid)
        elif (place := random.randrange(number + 1)) < size:  # noqa: S311 - a sample, no secret
            sample[place] = uid
    return sorted(sample)


def check_files(database: Database, root: Path, uids: Sequence[str] | None = None) -> Iterator[CheckedFile]:
    """Yield how the files of these objects stand, or of all; those that are removed meanwhile are left out.

    Raises:
        DatabaseAwayError: the database is away.
    """
    for uid in uids if uids is not None else _all(database):
        known = _known(database, uid)
        if known is None:
            continue
        fault, detail = _fault(root, known)
        if fault is None or _known(database, uid) == known:
            yield CheckedFile(uid, known.path, known.size_bytes, fault, detail, known.content)


def _fault(root: Path, known: _Known) -> tuple[FileFault | None, str]:
    file = root / known.path
    try:
        digest = digest_of(file)
    except FileNotFoundError:
        return FileFault.GONE, ""
    except OSError as error:
        return FileFault.UNREADABLE, error.strerror or type(error).__name__
    if digest is None:
        return FileFault.BYTES, "it is no DICOM file"
    if digest != known.sha256:
        size_bytes = file.stat().st_size
        if size_bytes != known.size_bytes:
            return FileFault.SIZE, f"{size_bytes} bytes, not {known.size_bytes}"
        return FileFault.BYTES, ""
    return None, ""


def _known(database: Database, uid: str) -> _Known | None:
    columns = StoredObject.path, StoredObject.size_bytes, StoredObject.sha256, StoredObject.content
    which = StoredObject.sop_instance_uid == uid, StoredObject.source == STORE
    with database.read() as session:
        row = session.execute(select(*columns).where(*which)).one_or_none()
    return _Known(*row) if row is not None else None


def _all(database: Database) -> Iterator[str]:
    last = ""
    uid = StoredObject.sop_instance_uid
    while True:
        with database.read() as session:
            page = select(uid).where(StoredObject.source == STORE, uid > last).order_by(uid).limit(PAGE)
            uids = list(session.scalars(page))
        if not uids:
            return
        yield from uids
        last = uids[-1]
