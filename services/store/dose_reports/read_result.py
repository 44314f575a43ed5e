"""What the process that reads dose reports gives back; the store itself does without what reads them."""

from __future__ import annotations

from typing import TypedDict

from shared.dose.summary import SummaryJson


class ReadResult(TypedDict):
    """The result of reading one report."""

    summary: SummaryJson | None
    #: Why there is none, in one word.
    unreadable: str
    #: Class of an unexpected exception.
    error: str
