"""The least that a client has to request by QIDO-RS for the same decisions, in parallel and without proofs.

What a server needs for this is the limit of every plan: all studies once, and all their objects once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from http.client import HTTPConnection
from threading import local
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from tests.bench.classic import Counted

_UID_OF_STUDY = "0020000D"
#: Studies of one search for objects.
_AT_ONCE = 50


def minimum_qido(url: str, first: date, last: date, connections: int) -> Counted:
    """Find the studies of each day, then the objects of many studies at once."""
    began = monotonic()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    with ThreadPoolExecutor(connections) as pool, ExitStack() as opened:
        find = _finder(url, opened)
        of_days = pool.map(find, [f"/studies?StudyDate={day:%Y%m%d}&limit=1000" for day in days])
        uids = [study[_UID_OF_STUDY]["Value"][0] for studies in of_days for study in studies]
        lists = [uids[start : start + _AT_ONCE] for start in range(0, len(uids), _AT_ONCE)]
        targets = [f"/instances?StudyInstanceUID={','.join(part)}&limit=1000" for part in lists]
        objects = [instance for found in pool.map(find, targets) for instance in found]
    matches = len(uids) + len(objects)
    return Counted(len(days) + len(lists), len(uids), matches, monotonic() - began)


def _finder(url: str, opened: ExitStack) -> Callable[[str], Sequence[dict[str, Any]]]:
    address, own = urlsplit(url), local()

    def find(target: str) -> Sequence[dict[str, Any]]:
        if not hasattr(own, "connection"):
            own.connection = HTTPConnection(address.netloc, timeout=600)
            opened.callback(own.connection.close)
        own.connection.request("GET", address.path + target, headers={"Accept": "application/dicom+json"})
        found: Sequence[dict[str, Any]] = json.loads(own.connection.getresponse().read() or b"[]")
        return found

    return find
