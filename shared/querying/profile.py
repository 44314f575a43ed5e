"""What was learned of a node, and what follows from it for the next request. Pure.

Defaults are careful; what was measured is used. Each method that learns returns a new profile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from typing import Literal, Self

from shared.contract.json_types import JsonDocument, JsonObject

#: What a node makes of the keys of a window (codes, ranges of days, single dates), or that it has a cap.
Habit = Literal["codes", "ranges", "dates", "cap"]

#: Hardly any archive stops at fewer matches: once it returned more, fewer are believed to be all of them.
UNPROVEN = 9

#: The same for what cannot be compared with its parts: lists of UIDs, and dates that a node does not match.
FEW = 20

#: The widest window of days for a node of which nothing is known.
CAREFUL_DAYS = 7

#: No window is planned wider.
WIDEST_DAYS = 366

#: Matches that a planned window should bring at most, as long as no cap is known.
COMFORTABLE = 500

#: UIDs in one list: beyond this, fewer requests gain little and a lost one costs much (SERIES level returns
#: several series a study).
LIST_LENGTH = 50
SHORT_LIST_LENGTH = 10

#: Matches from which something is learned about all matches.
_MANY = 20

#: Matches a second by DICOMweb below which to compare windows costs more than wider ones save.
_COSTLY_BELOW = 500
#: Part of the proven number that windows of such a node may bring: some days have more than others.
_FITTING = 0.8

#: A moving average is written if it moves by this part.
_WORTH_WRITING = 0.2


class CodeStrategy(Enum):
    """How several codes of ModalitiesInStudy (0008,0061) are requested."""

    LIST = "all codes in one list"
    ANY = "one request without a code"
    EACH = "one request for each code"


_LISTS = {"STUDY": "study_list", "SERIES": "series_list", "IMAGE": "image_list"}


@dataclass(frozen=True, slots=True)
class Profile:
    """What was learned of a node; None: not measured."""

    #: UIDs that it takes in one list at STUDY, SERIES and IMAGE level; 0: it takes none.
    study_list: int | None = None
    series_list: int | None = None
    image_list: int | None = None
    #: Whether a search for the objects of studies shows all that a search for their series shows (DICOMweb).
    whole_studies: bool | None = None
    #: Codes in one list of ModalitiesInStudy (0008,0061) that were proven to be matched as "any of"; 0: none.
    code_list: int | None = None
    #: Whether it matches on ModalitiesInStudy, and whether it returns it.
    modalities_matched: bool | None = None
    modalities_returned: bool | None = None
    #: Whether a study was missed by a code that it has.
    codes_hide: bool | None = None
    #: Whether a range of dates finds the studies of its first and last day, and a date those of that day.
    date_ranges: bool | None = None
    single_dates: bool | None = None
    #: Whether it matches on dates at all: a day long ago brings nothing.
    dates_matched: bool | None = None
    #: Whether ranges of times cut a day in parts: they are neither refused nor ignored.
    times_matched: bool | None = None
    #: Whether it supports a SERIES query by date without a study (relational queries, PS3.4 C.4.1.2.2.2).
    relational: bool | None = None
    #: Whether no study matches unless an empty Modality (0008,0060) is among the keys.
    study_modality_key: bool | None = None
    #: Optional keys that have a request refused, by level (`STUDY.StationName`).
    refused_keys: tuple[str, ...] = ()
    #: Whether it sends headers without bulk data: by C-GET, or as metadata by WADO-RS.
    headers: bool | None = None
    #: What it returns if requested.
    returns_study_descriptions: bool | None = None
    returns_series_descriptions: bool | None = None
    returns_station_names: bool | None = None
    returns_sop_classes: bool | None = None
    returns_series_counts: bool | None = None
    returns_instance_counts: bool | None = None
    #: Whether studies had as many series as announced, as often as this was compared.
    counts_trusted: bool | None = None
    #: Milliseconds from request to final response, matches a second of requests with many; moving averages.
    request_ms: float | None = None
    answers_per_s: float | None = None
    #: Whether a match takes a DICOMweb server so long that it is requested as seldom as possible.
    costly_matches: bool | None = None
    #: Associations that stood side by side when it was measured.
    associations: int | None = None
    #: It returned this number of matches and more: fewer are no cap. As many may be one by chance.
    proven: int = UNPROVEN + 1
    #: So many matches are believed before it returned more than nine.
    proven_small: int = 0
    #: So many came in all pages of one request without a code; of each code, fewer may come all the same.
    proven_in_pages: int = 0
    #: The number of matches at which it stops with success.
    cap: int | None = None
    #: Days of the widest window with a match.
    widest_days: int = 1
    #: The most studies of one code a day.
    busiest: float = 0.0
    #: When it was last measured by a command (ISO 8601, UTC), and by which; empty: only as queries went.
    measured_at: str = ""
    measured_by: str = ""

    @classmethod
    def from_json(cls, data: JsonDocument) -> Self:
        """Read stored values; what this version does not know is left out."""
        names = {field.name for field in fields(cls)}
        values = {name: value for name, value in data.items() if name in names}
        return cls(**values | {"refused_keys": tuple(values.get("refused_keys", ()))})

    def to_json(self) -> JsonObject:
        """Return plain values."""
        return asdict(self) | {"refused_keys": list(self.refused_keys)}

    def window_days(self) -> int:
        """Return how many days a query's slices begin with."""
        if self.date_ranges is False:
            return 1
        if not self.busiest:
            return CAREFUL_DAYS
        comfortable = min(COMFORTABLE, max(self.proven, 50) * 2, (self.cap or 2 * COMFORTABLE) // 2)
        if self.costly_matches and self.proven * _FITTING >= self.busiest:
            comfortable = min(comfortable, int(self.proven * _FITTING))
        fitting = int(comfortable / self.busiest)
        return max(1, min(fitting, max(self.widest_days * 4, CAREFUL_DAYS), WIDEST_DAYS))

    def believes_empty(self, days: int) -> bool:
        """Return whether no match in a window of this many days means that there is nothing.

        A range of which it is not known whether it reaches to its ends proves nothing.
        """
        return days <= (1 if self.date_ranges is None else self.widest_days)

    def believes_all(self, matches: int) -> bool:
        """Return whether this number of matches is all there are, as far as is known."""
        small = self.proven > UNPROVEN + 1 or matches <= self.proven_small
        return small and matches < self.proven and (self.cap is None or matches < self.cap)

    def matched(self, days: int, matches: int) -> Self:
        """Learn from a window with matches."""
        return replace(
            self, widest_days=max(self.widest_days, days), busiest=max(self.busiest, matches / days)
        )

    def proved(self, matches: int) -> Self:
        """Learn that this number of matches is no cap."""
        cap = None if self.cap is not None and self.cap < matches else self.cap
        return replace(self.proved_small(matches - 1), proven=max(self.proven, matches), cap=cap)

    def proved_small(self, matches: int) -> Self:
        """Learn that so few matches are believed, whether or not it ever returns many."""
        return replace(self, proven_small=max(self.proven_small, matches))

    def proved_in_pages(self, matches: int) -> Self:
        """Learn that so many matches come in all pages of one request without a code."""
        return replace(self, proven_in_pages=max(self.proven_in_pages, matches))

    def compared(self, whole: int, parts: Collection[int]) -> Self:
        """Learn from the matches of a window and of its parts, of which none has as many as the whole."""
        if max(parts) >= whole:
            return self
        return self.capped(whole) if sum(parts) > whole else self.proved(whole)

    def capped(self, matches: int) -> Self:
        """Learn that it stops at this number of matches."""
        in_pages = min(self.proven_in_pages, matches)
        return replace(self, cap=matches, proven=min(self.proven, matches), proven_in_pages=in_pages)

    def believes_few(self, matches: int) -> bool:
        """Return whether this number of matches is believed where no part of the request can be compared."""
        return self.believes_all(matches) or (self.cap is None and matches <= FEW)

    def list_length(self, level: str) -> int:
        """Return the number of UIDs in one list; unknown: try."""
        known: int | None = getattr(self, _LISTS[level])
        length = LIST_LENGTH if known is None else known
        return length if self.cap is None else min(length, max(self.cap // 10, 1))

    def habits_that_hide(self) -> frozenset[Habit]:
        """Return what studies of this node are missed by: kinds of keys, and a number at which it stops."""
        habits: dict[Habit, bool] = {
            "codes": bool(self.codes_hide),
            "ranges": self.date_ranges is False,
            "dates": self.single_dates is False,
            "cap": self.cap is not None,
        }
        return frozenset(habit for habit, hides in habits.items() if hides)

    def code_strategy(self, codes: int) -> CodeStrategy:
        """Return how to request this number of codes."""
        if self.modalities_matched is False:
            return CodeStrategy.ANY
        return CodeStrategy.LIST if codes > 1 and (self.code_list or 0) >= codes else CodeStrategy.EACH

    def takes_lists(self, level: str, length: int) -> Self:
        """Learn how many UIDs in a list it takes; 0: none."""
        return self._with(_LISTS[level], length)

    def refused(self, level: str) -> frozenset[str]:
        """Return the keywords of optional keys that a request of this level must do without."""
        return frozenset(name.partition(".")[2] for name in self.refused_keys if name.startswith(f"{level}."))

    def refuses(self, level: str, keywords: Iterable[str]) -> Self:
        """Learn which optional keys have a request of this level refused."""
        names = {f"{level}.{keyword}" for keyword in keywords}
        return replace(self, refused_keys=tuple(sorted({*self.refused_keys, *names})))

    def took(self, duration_ms: int, matches: int, *, by_dicomweb: bool = False) -> Self:
        """Learn from the time of a request; small changes are not worth writing."""
        changed = replace(self, request_ms=_moved(self.request_ms, float(max(duration_ms, 1))))
        if matches >= _MANY and duration_ms:
            rate = _moved(self.answers_per_s, matches * 1000 / duration_ms)
            changed = replace(changed, answers_per_s=rate)
            if by_dicomweb:
                changed = replace(changed, costly_matches=rate < _COSTLY_BELOW)
        return changed

    def returns(self, field: str, returned: int, requested: int) -> Self:
        """Learn whether an attribute is returned, from matches of requests for it (`returns_...`)."""
        value = True if returned else (False if requested >= _MANY else None)
        known = getattr(self, field)
        if value is None or known is True or known == value:
            return self
        return self._with(field, value)

    def tried_headers(self, offered: bool | None) -> Self:
        """Learn from a measurement whether it sends headers; unclear: what it refused is tried again."""
        if offered is None and self.headers is not False:
            return self
        return replace(self, headers=offered)

    def _with(self, field: str, value: int) -> Self:
        return self.from_json(self.to_json() | {field: value})


def _moved(before: float | None, now: float) -> float:
    """Return a moving average, as it was where it would hardly change."""
    if before is None:
        return round(now, 1)
    after = before + (now - before) / 5
    return before if abs(after - before) < before * _WORTH_WRITING else round(after, 1)
