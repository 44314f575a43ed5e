"""What is wrong with bytes that should be DICOM."""

from __future__ import annotations

from shared.errors import DoseQRError


class ProtocolError(DoseQRError):
    """Bytes that break PS3.8 or PS3.7: nothing that follows them on the connection can be trusted."""


class MalformedDataSetError(DoseQRError):
    """A data set whose lengths do not fit its bytes; the message that held it was in order."""
