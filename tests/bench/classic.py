"""The classic plan, without DoseQR: one association, one C-FIND after the other, at all levels."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association

from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.identifiers import image_identifier, series_identifier, study_identifier
from shared.dicom.sop_classes import STUDY_ROOT_FIND
from tests.support.peers.pynetdicom_association import open_pynetdicom_association

_SUCCESS = 0x0000


@dataclass(frozen=True, slots=True)
class Counted:
    """The result of a plan."""

    finds: int
    studies: int
    matches: int
    seconds: float


def classic(peer: Peer, study_date: str, codes: Sequence[str], *, quick_ack: bool = False) -> Counted:
    """Find studies by code, then the series of each study, and the objects of each SR series.

    The association is pynetdicom's with TCP_NODELAY, and guarded: it might lose the final response. With
    `quick_ack` the kernel acknowledges without delay, for which a PACS with Nagle's algorithm waits.
    """
    began = time.monotonic()
    association = open_pynetdicom_association(peer, [STUDY_ROOT_FIND], Timeouts(10.0, 60.0))
    if quick_ack:
        for event in (evt.EVT_DATA_SENT, evt.EVT_DATA_RECV):
            association.assoc.bind(event, _acknowledge_at_once)
    finds = matches = 0

    def find(identifier: Dataset) -> list[Dataset]:
        nonlocal finds, matches
        found = _find(association.assoc, identifier)
        finds, matches = finds + 1, matches + len(found)
        return found

    studies = [
        study.StudyInstanceUID
        for code in codes
        for study in find(study_identifier(study_date=study_date, modalities_in_study=[code]))
    ]
    studies = list(dict.fromkeys(studies))
    for uid in studies:
        for series in find(series_identifier([uid])):
            if series.Modality == "SR":
                find(image_identifier([uid], [series.SeriesInstanceUID]))
    association.release()
    return Counted(finds, len(studies), matches, time.monotonic() - began)


def _find(assoc: Association, identifier: Dataset) -> list[Dataset]:
    final: int | None = None
    found = []
    for status, match in assoc.send_c_find(identifier, STUDY_ROOT_FIND):
        final = status.get("Status")
        if match is not None:
            found.append(match)
    assert final == _SUCCESS, final
    return found


def _acknowledge_at_once(event: evt.Event) -> None:
    wrapped = event.assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
