"""The answer to "why is study X here, or not?" in lines for people."""

from __future__ import annotations

from typing import Any

from services.cli.output.console import line


def print_why(explanation: dict[str, Any]) -> None:
    """Print the study, its series and objects, the C-FINDs behind them, and what arrived."""
    line(f"Study {explanation['study_instance_uid']}: {_decision(explanation)}")
    if explanation["answered"]:
        returned = {key: value for key, value in explanation["answered"].items() if value is not None}
        line("  the PACS says: " + ", ".join(f"{key} {_text(value)}" for key, value in returned.items()))
    for series in explanation["series"]:
        line(f"  {series['modality'] or '?':<4} series {series['series_instance_uid']}: {_decision(series)}")
        for entry in series["objects"]:
            line(f"       object {entry['sop_instance_uid']}: {_decision(entry)}")
    for find in explanation["finds"]:
        status = "no final answer" if find["status_code"] is None else f"0x{find['status_code']:04X}"
        line(f"  C-FIND {find['level']}: {find['matches']} answers, {status} at {find['asked_at']}")
    for entry in explanation["arrivals"]:
        what = entry["sop_instance_uid"] or f"series {entry['series_instance_uid']}"
        line(f"  retrieve {entry['retrieve']}: {what} {entry['state']} {entry['sentence']}".rstrip())


def _decision(entry: dict[str, Any]) -> str:
    decision = entry["decision"] or entry.get("state", "")
    kind = f" as {entry['type']}" if entry.get("type") and entry["decision"] == "keep" else ""
    reason = f" ({entry['reason']})" if entry["reason"] else ""
    return f"{decision}{kind}{reason}. {entry['sentence']}"


def _text(value: object) -> str:
    return "/".join(str(entry) for entry in value) if isinstance(value, list) else str(value)
