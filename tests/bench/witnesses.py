"""What an Orthanc was requested, by its own log."""

from __future__ import annotations

import re

from tests.support.archives.orthanc import Orthanc

#: In the log: an association begins, ends; a C-FIND. A connection without an association is "received", too.
_OPENED, _ENDED, _FIND_RECEIVED = (
    b"Association Acknowledged",
    b"Finishing association",
    b"DICOM C-Find request at level",
)


class Witness:
    """The requests within a block, by the PACS's own log."""

    def __init__(self, orthanc: Orthanc) -> None:
        self._log = orthanc.log
        self._start = self._log.stat().st_size

    def read(self) -> tuple[int, int]:
        """Return the number of C-FINDs, and of concurrent associations."""
        text = self._log.read_bytes()
        before, since = text[: self._start], text[self._start :]
        now = most = before.count(_OPENED) - before.count(_ENDED)
        for line in re.findall(_OPENED + b"|" + _ENDED, since):
            now += 1 if line == _OPENED else -1
            most = max(most, now)
        return since.count(_FIND_RECEIVED), most


class WebWitness:
    """The DICOMweb requests within a block, by the server's own log."""

    def __init__(self, orthanc: Orthanc) -> None:
        self._log = orthanc.log
        self._start = self._log.stat().st_size

    def read(self) -> tuple[int, None]:
        """Return the number of requests; its log does not name connections."""
        return self._log.read_bytes()[self._start :].count(b"GET /dicom-web/"), None
