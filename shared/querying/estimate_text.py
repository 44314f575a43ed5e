"""An estimate as text: approximate numbers, and what is not known. Pure."""

from __future__ import annotations

from shared.querying.estimate import Estimate, RangeJson

_HOUR = 60


def sentence(known: Estimate) -> str:
    """Return one to three sentences for people."""
    sentences = [_begins(known), _comes_to(known)]
    if known.unknown_types and known.studies is not None:
        sentences.append(f"Of {', '.join(known.unknown_types)} nothing is known yet; it comes on top.")
    if known.hours:
        zone = f" ({known.time_zone})" if known.time_zone else ""
        sentences.append(f"The node takes requests only at {known.hours.replace(',', ', ')}{zone}.")
    return " ".join(part for part in sentences if part)


def _begins(known: Estimate) -> str:
    if known.slices is None:
        return "The range of dates is longer than any archive reaches."
    return f"It begins with {known.slices} {'slice' if known.slices == 1 else 'slices'}."


def _comes_to(known: Estimate) -> str:
    plain = known.to_json()
    studies, requests, minutes = plain["studies"], plain["requests"], plain["minutes"]
    if studies is None:
        return _why_unknown(known)
    parts = [_range(studies, "study", "studies")]
    if requests is not None:
        parts.append(_range(requests, "request", "requests"))
    if minutes is not None:
        parts.append(_time(minutes["low"], minutes["high"]))
    basis = f" (judged by {known.queries} earlier {'query' if known.queries == 1 else 'queries'})"
    return f"About {', '.join(parts)}{basis if known.queries else ''}."


def _why_unknown(known: Estimate) -> str:
    if not known.queries:
        return "How many studies that brings is unknown: no earlier query of this node is complete."
    if known.slices is not None and known.days is None:
        return "How many studies the whole archive holds is unknown."
    return (
        "How many studies that brings is unknown: no query of this node requested"
        f" {', '.join(known.unknown_types)} before."
    )


def _range(about: RangeJson, singular: str, plural: str) -> str:
    low, high = about["low"], about["high"]
    if low == high:
        return f"{low:,} {singular if low == 1 else plural}"
    return f"{low:,} to {high:,} {plural}"


def _time(low: float, high: float) -> str:
    """Return minutes in words."""
    if high <= 1:
        return "less than a minute"
    if high < _HOUR:
        first = max(1, round(low))
        return f"{first} to {round(high)} minutes" if first < round(high) else f"{first} minutes"
    return f"{low / _HOUR:.1f} to {high / _HOUR:.1f} hours"
