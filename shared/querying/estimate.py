"""An estimate of a query, from the profile of the node and its earlier queries. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import median
from typing import Self, TypedDict

from shared.contract.criteria import Criteria, DateWindow, window
from shared.querying.initial_tasks import first_tasks
from shared.querying.profile import Profile

#: A range of more days than this stresses the remote server.
WIDE_DAYS = 31

#: Days that slices are counted for; no archive reaches further back.
_MOST_DAYS = 36600

#: How far an estimate may be off, as a part of it: at least; and at least where only a few days are known.
_LEAST_SPREAD, _FEW_DAYS_SPREAD = 0.15, 0.5
_FEW_DAYS = 7
#: How far the time of a request differs from query to query.
_TIME_SPREAD = 0.3

#: In `Past.studies`: studies that were found and are of none of the requested types.
OTHERS = ""


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier query of the node came to."""

    #: The requested types, and days searched; 0: it named its studies.
    types: tuple[str, ...]
    days: int
    #: Studies found, by type.
    studies: Mapping[str, int]
    slices: int
    requests: int
    #: From its start to its end.
    seconds: float

    @property
    def found(self) -> int:
        """Return how many studies it found."""
        return sum(self.studies.values())


@dataclass(frozen=True, slots=True)
class About:
    """A number that is known from a low to a high one."""

    low: float
    high: float

    @classmethod
    def of(cls, value: float, spread: float) -> Self:
        """Return a number that may be off by a part of it."""
        return cls(value * max(0.0, 1 - spread), value * (1 + spread))


class RangeJson(TypedDict):
    """A number that is known from a low to a high one, rounded to what is known of it."""

    low: float
    high: float


class EstimateJson(TypedDict):
    """An estimate as JSON; None where nothing is known."""

    slices: int | None
    days: int | None
    studies: RangeJson | None
    requests: RangeJson | None
    minutes: RangeJson | None
    unknown_types: list[str]
    queries: int
    known_days: int
    warning: str
    hours: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a query will come to; None where nothing is known of it."""

    #: Slices that it begins with; None: the range of dates is longer than any archive.
    slices: int | None
    days: int | None
    studies: About | None = None
    requests: About | None = None
    minutes: About | None = None
    #: Types that no earlier query of the node requested; their studies are not among the number.
    unknown_types: tuple[str, ...] = ()
    #: What it is based on.
    queries: int = 0
    known_days: int = 0
    #: Why it should not be run like this; empty: nothing against it.
    warning: str = ""
    #: The hours in which the node may be queried, and their time zone; empty: always, the server's.
    hours: str = ""
    time_zone: str = ""

    def to_json(self) -> EstimateJson:
        """Return plain values, numbers rounded to what is known of them."""
        return {
            "slices": self.slices,
            "days": self.days,
            "studies": _range_json(self.studies),
            "requests": _range_json(self.requests),
            "minutes": _range_json(self.minutes, digits=1),
            "unknown_types": list(self.unknown_types),
            "queries": self.queries,
            "known_days": self.known_days,
            "warning": self.warning,
            "hours": self.hours,
            "time_zone": self.time_zone,
        }


def estimate(
    criteria: Criteria,
    today: date,
    profile: Profile,
    past: Sequence[Past],
    requests_per_minute: int | None = None,
) -> Estimate:
    """Return what a query with these criteria will come to; `past` begins with the newest.

    Raises:
        InvalidInputError: the criteria begin after today.
    """
    days = window(criteria, today)
    number = _days(days)
    slices = None
    if number is None or number <= _MOST_DAYS:
        slices = len(first_tasks(criteria, today, profile))
    known = Estimate(slices, number, queries=len(past), warning=warning(criteria, days))
    studies, unknown = _studies(criteria, number, past)
    known = replace(known, known_days=sum(query.days for query in past), unknown_types=unknown)
    if studies is None or slices is None:
        return known
    requests = _requests(slices, studies, past)
    minutes = _minutes(requests, profile, past, requests_per_minute) if requests is not None else None
    return replace(known, studies=studies, requests=requests, minutes=minutes)


def warning(criteria: Criteria, days: DateWindow) -> str:
    """Return why a range of dates should be narrowed; empty: it need not."""
    if criteria.accession_numbers or criteria.study_instance_uids:
        return ""
    stress = "A wide range stresses the remote server and takes long; narrow it if you can."
    if days.date_from is None or days.date_until is None:
        return f"Without a first day the whole archive is searched. {stress}"
    return stress if (days.date_until - days.date_from).days + 1 > WIDE_DAYS else ""


def _days(days: DateWindow) -> int | None:
    if days.date_from is None or days.date_until is None:
        return None
    return (days.date_until - days.date_from).days + 1


# Studies


def _studies(
    criteria: Criteria, days: int | None, past: Sequence[Past]
) -> tuple[About | None, tuple[str, ...]]:
    """Return the studies that will be found, and the types of which nothing is known."""
    named = criteria.accession_numbers or criteria.study_instance_uids
    if named:
        return About(len(named), len(named)), ()
    types = criteria.requested_types()
    dated = [query for query in past if query.days]
    unknown = tuple(name for name in types if not any(name in query.types for query in dated))
    if days is None or len(unknown) == len(types):
        return None, unknown
    rates = [_rate(name, dated) for name in types if name not in unknown]
    rates.append(_rate(OTHERS, [query for query in dated if set(query.types) & set(types)]))
    low, high = (sum(getattr(rate, end) for rate in rates) * days for end in ("low", "high"))
    return _within_a_day(criteria, About(low, high)), unknown


def _rate(name: str, past: Sequence[Past]) -> About:
    """Return studies a day of a type, from the queries that requested it, and how much they differ."""
    queries_of_type = [query for query in past if name == OTHERS or name in query.types]
    days = sum(query.days for query in queries_of_type)
    mean = sum(query.studies.get(name, 0) for query in queries_of_type) / days
    if not mean:
        return About(0, 0)
    deviation = (
        sum(abs(query.studies.get(name, 0) - mean * query.days) for query in queries_of_type) / days / mean
    )
    least = _FEW_DAYS_SPREAD if days < _FEW_DAYS else _LEAST_SPREAD
    return About.of(mean, min(max(deviation, least), 1.0))


def _within_a_day(criteria: Criteria, studies: About) -> About:
    """Return what remains of a day's studies where only some hours are requested."""
    if criteria.time_from is None and criteria.time_until is None:
        return studies
    return About(0, studies.high)


# Requests and time


def _requests(slices: int, studies: About, past: Sequence[Past]) -> About | None:
    found = sum(query.found for query in past)
    if not found:
        return None
    per_study = sum(max(query.requests - query.slices, 0) for query in past) / found
    return About(slices + per_study * studies.low, slices + per_study * studies.high)


def _minutes(
    requests: About, profile: Profile, past: Sequence[Past], requests_per_minute: int | None
) -> About | None:
    times = [query.seconds / query.requests for query in past if query.requests and query.seconds > 0]
    if times:
        request_s = median(times)
    elif profile.request_ms is not None:
        request_s = profile.request_ms / 1000
    else:
        return None
    low, high = requests.low * request_s * (1 - _TIME_SPREAD), requests.high * request_s * (1 + _TIME_SPREAD)
    allowed = requests_per_minute or math.inf
    return About(max(low / 60, requests.low / allowed), max(high / 60, requests.high / allowed))


def _range_json(about: About | None, digits: int = 0) -> RangeJson | None:
    if about is None:
        return None
    return {"low": _rounded(about.low, digits), "high": _rounded(about.high, digits)}


def _rounded(value: float, digits: int) -> float | int:
    """Return a number with two figures; more are not known."""
    figures = digits if value < 10 else min(digits, 1 - math.floor(math.log10(value)))  # noqa: PLR2004
    return round(value, figures) if digits else int(round(value, figures))
