"""The classic plan over QIDO-RS, without DoseQR: one connection, one request after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.bench.classic import Counted

_PAGE = 1000
_UID_OF_STUDY, _UID_OF_SERIES, _MODALITY = "0020000D", "0020000E", "00080060"


def classic_qido(url: str, study_date: str, codes: Sequence[str]) -> Counted:
    """Find studies by code, then the series of each study, and the objects of each SR series.

    `finds` of the result is the number of HTTP requests; a page that is not full ends a search.
    """
    began = time.monotonic()
    address = urlsplit(url)
    connection = HTTPConnection(address.netloc, timeout=60)
    requests = matches = 0

    def find(path: str, **keys: str) -> list[dict[str, Any]]:
        nonlocal requests, matches
        found: list[dict[str, Any]] = []
        while True:
            query = urlencode(keys | {"limit": str(_PAGE), "offset": str(len(found))})
            page = _page(connection, f"{address.path}{path}?{query}")
            found += page
            requests, matches = requests + 1, matches + len(page)
            if len(page) < _PAGE:
                return found

    studies = [
        _value(study, _UID_OF_STUDY)
        for code in codes
        for study in find("/studies", StudyDate=study_date, ModalitiesInStudy=code)
    ]
    studies = list(dict.fromkeys(studies))
    for uid in studies:
        for series in find(f"/studies/{uid}/series"):
            if _value(series, _MODALITY) == "SR":
                find(f"/studies/{uid}/series/{_value(series, _UID_OF_SERIES)}/instances")
    connection.close()
    return Counted(requests, len(studies), matches, time.monotonic() - began)


def _page(connection: HTTPConnection, target: str) -> list[dict[str, Any]]:
    connection.request("GET", target, headers={"Accept": "application/dicom+json"})
    response = connection.getresponse()
    body = response.read()
    assert response.status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT), (target, response.status)
    page: list[dict[str, Any]] = json.loads(body) if body else []
    return page


def _value(match: dict[str, Any], tag: str) -> str:
    return str(match[tag]["Value"][0])
