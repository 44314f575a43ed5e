"""The page of the codes in messages and JSON, made from the code that sets them."""

from __future__ import annotations

from shared.contract.reasons import Kind, Reason, kind, sentence
from shared.dicom.errors import Outcome

HEAD = """# Codes

The codes that messages, JSON and exports carry; each keeps its meaning for ever. Programs compare codes;
sentences are for people and may change. This page is written by `make golden`.

## Reasons

In `reason` of studies, series and objects, in `missing`, and in `failure` of jobs.
"""

KINDS = {
    Kind.KEEP: "Kept",
    Kind.DROP: "Dropped",
    Kind.NOTE: "Notes beside a reason",
    Kind.MISSING: "Missing or failed",
    Kind.FAILURE: "Failure of a job",
}

OUTCOMES = """
## Outcomes

In `outcome` of C-ECHOs and profiles. In the errors of tasks, blanks are underscores; a status of the PACS
stands there as `status_` and four hexadecimal digits, an HTTP status of a DICOMweb server as `http_` and its
three digits: `http_503`. 401, 403, 404 and redirections have outcomes of their own.

| outcome |
| --- |
"""


def codes_page() -> str:
    """Return the text of docs/codes.md."""
    parts = [HEAD]
    for of_kind, title in KINDS.items():
        rows = [f"| `{reason.value}` | {sentence(reason)} |" for reason in Reason if kind(reason) is of_kind]
        parts.append("\n".join([f"\n### {title}\n", "| code | meaning |", "| --- | --- |", *rows, ""]))
    return "".join(parts) + OUTCOMES + "".join(f"| `{outcome.value}` |\n" for outcome in Outcome)
