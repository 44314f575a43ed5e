"""Bringing folder and index together: a SOP Instance UID is known once, where its first bytes lie."""

from __future__ import annotations

import mmap
from dataclasses import replace
from pathlib import PurePosixPath

from services.store.index.group_commit import GroupCommit
from services.store.index.known_objects import Receipt, Recorded
from services.store.objects.durable_folder import ObjectFolder
from services.store.objects.errors import ObjectWriteError
from services.store.objects.identity import Identity, read_identity
from services.store.objects.paths import object_path
from shared.database.models.store import HEADERS, WHOLE
from shared.dicom.data_set_end import check_end
from shared.dicom.part10 import MAX_HEAD_BYTES, digest_of, read_head
from shared.dicom.upper_layer.data_elements import Buffer
from shared.errors import InvalidInputError

#: Others may change the same object meanwhile, but not for ever.
_ATTEMPTS = 5
#: The UIDs are nearly always in the first part of a file.
_FIRST_PART_BYTES = 1 << 18


def reconcile(folder: ObjectFolder, committer: GroupCommit, receipt: Receipt) -> str:
    """Make a receipt known, whatever is known already; returns where its file was put aside, or "".

    Raises:
        IndexAwayError: the database is away; the file stays where it is.
        ObjectWriteError: the file had to be put aside and could not, or its place is taken by no object.
    """
    aside = ""
    for _ in range(_ATTEMPTS):
        outcome = committer.record(receipt)
        if outcome.recorded is Recorded.UNKNOWN:
            # The first bytes were kept, but their process died before they were known.
            first = read_receipt(folder, receipt.path)
            if first is None:
                raise ObjectWriteError("the place of the object is taken by a file that is no such object")
            committer.record(first)
        elif outcome.recorded is not Recorded.ELSEWHERE:
            return aside
        elif receipt.conflict:
            receipt = replace(receipt, path=outcome.path, fresh=False)
        elif folder.has(outcome.path):
            aside = folder.set_aside(receipt.path, receipt.identity.sop_instance_uid, receipt.sha256)
            receipt = replace(receipt, path=outcome.path, conflict=True, fresh=False)
        else:
            receipt = replace(receipt, replace=True, fresh=False)
    raise ObjectWriteError("the object is changed by others again and again")


def read_receipt(folder: ObjectFolder, path: str) -> Receipt | None:
    """Read a kept file as if it had just come; None if it is gone, cut off, or another object."""
    file = folder.root / path
    try:
        size_bytes = file.stat().st_size
        transfer_syntax_uid, identity = _read(folder, path, size_bytes)
        sha256 = digest_of(file)
    except (OSError, InvalidInputError):
        return None
    uids = (identity.study_instance_uid, identity.series_instance_uid, identity.sop_instance_uid)
    if sha256 is None or object_path(*uids) != PurePosixPath(path):
        return None
    return Receipt(
        identity=identity,
        transfer_syntax_uid=transfer_syntax_uid,
        calling_ae_title="",
        path=path,
        sha256=sha256,
        size_bytes=size_bytes,
        found=True,
        content=HEADERS if identity.is_header else WHOLE,
    )


def _read(folder: ObjectFolder, path: str, size_bytes: int) -> tuple[str, Identity]:
    with (folder.root / path).open("rb") as file:
        begin = file.read(_FIRST_PART_BYTES)
        if size_bytes <= len(begin):
            return _checked(begin, begin)
        # Mapped: however large the file is, only the pages that are examined take memory.
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
            return _checked(begin, view)


def _checked(begin: bytes, everything: Buffer) -> tuple[str, Identity]:
    head = read_head(bytes(everything[:MAX_HEAD_BYTES]))
    with memoryview(everything) as view, view[head.data_set_offset :] as data_set:
        try:
            with memoryview(begin) as first, first[head.data_set_offset :] as first_part:
                identity = read_identity(first_part, head.transfer_syntax_uid)
        except InvalidInputError:
            identity = read_identity(data_set, head.transfer_syntax_uid)
        check_end(data_set, head.transfer_syntax_uid)
    return head.transfer_syntax_uid, identity
