"""The answer to "why is study X here, or not?" in lines for people."""

from __future__ import annotations

from typing import Any

from services.cli.output.console import line


def print_why(answer: dict[str, Any]) -> None:
    """Print the study, its series and objects, the C-FINDs behind them, and what arrived."""
    line(f"Study {answer['study_instance_uid']}: {_verdict(answer)}")
    if answer["answered"]:
        told = {key: value for key, value in answer["answered"].items() if value is not None}
        line("  the PACS says: " + ", ".join(f"{key} {_words(value)}" for key, value in told.items()))
    for series in answer["series"]:
        line(f"  {series['modality'] or '?':<4} series {series['series_instance_uid']}: {_verdict(series)}")
        for entry in series["objects"]:
            line(f"       object {entry['sop_instance_uid']}: {_verdict(entry)}")
    for find in answer["finds"]:
        status = "no final answer" if find["status_code"] is None else f"0x{find['status_code']:04X}"
        line(f"  C-FIND {find['level']}: {find['matches']} answers, {status} at {find['asked_at']}")
    for one in answer["arrivals"]:
        what = one["sop_instance_uid"] or f"series {one['series_instance_uid']}"
        line(f"  retrieve {one['retrieve']}: {what} {one['state']} {one['sentence']}".rstrip())


def _verdict(told: dict[str, Any]) -> str:
    decision = told["decision"] or told.get("state", "")
    kind = f" as {told['type']}" if told.get("type") and told["decision"] == "keep" else ""
    reason = f" ({told['reason']})" if told["reason"] else ""
    return f"{decision}{kind}{reason}. {told['sentence']}"


def _words(value: object) -> str:
    return "/".join(str(one) for one in value) if isinstance(value, list) else str(value)
