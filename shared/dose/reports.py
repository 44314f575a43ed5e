"""From the file of a dose report to its summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from shared.dose.ct import is_ct, summarize_ct
from shared.dose.projection import is_projection, summarize_projection
from shared.dose.radiopharmaceutical import is_radiopharmaceutical, summarize_radiopharmaceutical
from shared.dose.summary import MOST_FIGURES, Summary
from shared.dose.tree import UNREADABLE, UnreadableReportError, content_of

#: X-Ray Radiation Dose SR, Radiopharmaceutical Radiation Dose SR and Enhanced SR (PS3.4 B.5).
REPORT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.88.68",
    "1.2.840.10008.5.1.4.1.1.88.22",
)

#: No dose report is larger; GE's largest has some 10 MB.
MOST_BYTES = 64 * 1024 * 1024


def read_summary(path: Path) -> Summary:
    """Read a report and say what is in it.

    Raises:
        UnreadableReportError: it is no report that can be read, in one word.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableReportError("too_large")
    try:
        return summary_of(dcmread(path))
    except InvalidDicomError as error:
        raise UnreadableReportError("malformed") from error
    except (*UNREADABLE, EOFError, RecursionError) as error:
        raise UnreadableReportError("malformed") from error


def summary_of(ds: Dataset) -> Summary:
    """Say what is in a report; one that holds several kinds (a PET-CT's) is told by its first.

    Raises:
        UnreadableReportError: its content cannot be read.
    """
    report = content_of(ds)
    for is_kind, summarize in (
        (is_ct, summarize_ct),
        (is_projection, summarize_projection),
        (is_radiopharmaceutical, summarize_radiopharmaceutical),
    ):
        if is_kind(report):
            summary = summarize(report)
            return replace(summary, figures=summary.figures[:MOST_FIGURES])
    return Summary("other", 0)
