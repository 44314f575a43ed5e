"""What is known of a node as text: each field of its profile, its value, and what it means. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from shared.contract.results import ProfileField
from shared.querying.profile import Profile

NOT_MEASURED = "not measured"

_DEFAULTS = Profile()


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """One field: its name for programs and people, its value, that in words, and what it means."""

    name: str
    label: str
    value: object
    words: str
    meaning: str

    @property
    def measured(self) -> bool:
        """Whether anything is known of it."""
        return self.words != NOT_MEASURED

    def to_json(self) -> ProfileField:
        """Return plain values."""
        return {
            "name": self.name,
            "label": self.label,
            "value": self.value if self.measured else None,
            "measured": self.measured,
            "words": self.words,
            "meaning": self.meaning,
        }


def _yes_no(value: object) -> str:
    return "yes" if value else "no"


def _list(value: object) -> str:
    return f"up to {value}" if value else "none"


def _keys(value: object) -> str:
    assert isinstance(value, tuple)
    return ", ".join(value)


def _unit(unit: str) -> Callable[[object], str]:
    return lambda value: f"{value:g} {unit}"


#: By field: what people call it, what it means, and its value in words.
_FIELDS: dict[str, tuple[str, str, Callable[[object], str]]] = {
    "modalities_matched": (
        "Matches on modalities",
        "A query by modality brings only studies of that modality; otherwise all are requested.",
        _yes_no,
    ),
    "modalities_returned": (
        "Returns modalities",
        "Each study comes with its modalities; otherwise its series have to be requested.",
        _yes_no,
    ),
    "codes_hide": (
        "Misses studies by modality",
        "A query by a modality missed a study that has it; all modalities are requested.",
        _yes_no,
    ),
    "date_ranges": (
        "Matches ranges of dates",
        "A range of dates brings its first and last day; otherwise each day is requested by itself.",
        _yes_no,
    ),
    "dates_matched": (
        "Matches dates",
        "A day long ago brings no study; otherwise studies of other days are left out by the dates returned.",
        _yes_no,
    ),
    "times_matched": (
        "Matches times",
        "A range of times brings a part of a day; otherwise whole days are searched.",
        _yes_no,
    ),
    "single_dates": (
        "Matches single dates",
        "A single date brings the studies of that day; otherwise a range of one day is requested.",
        _yes_no,
    ),
    "code_list": (
        "Modalities in one request",
        "So many modality codes can be in one request; none: each needs its own.",
        _list,
    ),
    "study_list": ("Studies in one list", "UIDs that one request at study level may name.", _list),
    "series_list": (
        "Studies in one list, at series level",
        "The series of so many studies come with one request; none: each study is requested alone.",
        _list,
    ),
    "image_list": (
        "Series in one list, at image level",
        "The objects of so many series come with one request; none: each series is requested alone.",
        _list,
    ),
    "whole_studies": (
        "Objects of whole studies",
        "The objects of many small studies come with one request, and show their series.",
        _yes_no,
    ),
    "relational": (
        "Relational queries",
        "The series of a whole day come with one request that names no study.",
        _yes_no,
    ),
    "study_modality_key": (
        "Needs an empty modality",
        "It finds no study unless an empty Modality is among the keys.",
        _yes_no,
    ),
    "headers": (
        "Sends headers without pixels",
        "Headers come by C-GET or WADO-RS without pixels; otherwise pixels come and are left out.",
        _yes_no,
    ),
    "refused_keys": ("Refuses keys", "Optional keys that have a request refused; they are left out.", _keys),
    "returns_study_descriptions": (
        "Returns study descriptions",
        "Without them, filters by description cannot drop anything.",
        _yes_no,
    ),
    "returns_series_descriptions": (
        "Returns series descriptions",
        "Without them, dose screens are not found by their name.",
        _yes_no,
    ),
    "returns_station_names": (
        "Returns station names",
        "Without them, filters by station cannot drop anything.",
        _yes_no,
    ),
    "returns_sop_classes": (
        "Returns SOP classes",
        "Without them, kinds of reports cannot be distinguished.",
        _yes_no,
    ),
    "returns_series_counts": (
        "Returns numbers of series",
        "A study has the number of its series, so that a cut-off result is noticed.",
        _yes_no,
    ),
    "returns_instance_counts": (
        "Returns numbers of objects",
        "A series has the number of its objects, so that a cut-off result is noticed.",
        _yes_no,
    ),
    "counts_trusted": (
        "Numbers are right",
        "Studies and series had as many series and objects as they announced.",
        _yes_no,
    ),
    "request_ms": (
        "Time of a request",
        "From a request to its last response; a moving average.",
        _unit("ms"),
    ),
    "answers_per_s": (
        "Matches a second",
        "Of requests with many matches; a moving average.",
        _unit("matches a second"),
    ),
    "associations": (
        "Associations side by side",
        "So many stood at once when it was measured, up to the node's limit.",
        str,
    ),
    "proven": (
        "Results that were complete",
        "The largest number of matches of one request that was proven to be all there were.",
        str,
    ),
    "cap": (
        "Stops at",
        "Beyond so many matches it returns nothing, although it reports success; windows are kept smaller.",
        lambda value: f"{value} matches",
    ),
    "widest_days": (
        "Widest window",
        "The widest window of days that had a match; only up to that, nothing means nothing.",
        lambda value: f"{value} days",
    ),
    "busiest": (
        "Busiest day",
        "The most studies of one modality a day; slices are planned by it.",
        lambda value: f"{value:.2g} studies",
    ),
    "measured_at": ("Measured", "When it was last measured by command (UTC).", str),
}

#: Of these a measurement that found nothing shows that there is none.
_NONE_FOUND = frozenset({"refused_keys", "cap"})

#: Of no use to people.
_OMITTED = frozenset({"measured_by", "proven_small", "proven_in_pages", "costly_matches"})


def profile_entries(profile: Profile) -> list[ProfileEntry]:
    """Return every field of a profile, in the order in which people read it."""
    measured = bool(profile.measured_at)
    return [
        _profile_entry(name, getattr(profile, name), measured=measured and name in _NONE_FOUND)
        for name in _FIELDS
    ]


def omitted_fields() -> set[str]:
    """Return the fields that are not shown; a test holds that none is forgotten."""
    return {field.name for field in fields(Profile)} - _FIELDS.keys() - _OMITTED


def _profile_entry(name: str, value: object, *, measured: bool) -> ProfileEntry:
    label, meaning, to_text = _FIELDS[name]
    plain = list(value) if isinstance(value, tuple) else value
    if value != getattr(_DEFAULTS, name):
        return ProfileEntry(name, label, plain, to_text(value), meaning)
    return ProfileEntry(name, label, plain, "none found" if measured else NOT_MEASURED, meaning)
