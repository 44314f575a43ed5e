"""Faults of a query: a PACS with its own way to match, return, cap and count, alone and with a fault."""

from __future__ import annotations

from typing import Any

from shared.querying.profile import Profile
from tests.matrix.query.row import KNOWN, NOTHING, WARY, QueryRow, at, of_find, study_missing
from tests.support.jobs.ward import FIRST_DAY, ONE, SPAN, series_of, uid_of

COUNTS = ["NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"]

#: Traits that show where studies are searched: what is known of the node leads past none of it.
_OF_THE_SEARCH = {
    "blank_modalities_for",
    "code_lists",
    "code_matching",
    "date_matching",
    "maximum_associations",
    "maximum_associations_per_ae_title",
    "modalities_in_study",
    "modalities_returned",
    "widest_window_days",
}

#: Traits that make no difference to what is decided.
TRAITS: dict[str, dict[str, Any]] = {
    "codes only returned": {"modalities_in_study": "returned"},
    "codes neither matched nor returned": {"modalities_in_study": "absent"},
    "codes only matched": {"modalities_in_study": "matched_not_returned"},
    "codes blank for one study": {"blank_modalities_for": [uid_of("petct")]},
    "codes only returned, blank for one study": {
        "modalities_in_study": "returned",
        "blank_modalities_for": [uid_of("ct_rdsr")],
    },
    "codes compared with the first of a study": {"code_matching": "first_value"},
    "codes compared with all of a study as one text": {"code_matching": "whole_list"},
    "codes that find nothing": {"code_matching": "empty"},
    "first code of a study returned only": {"modalities_returned": "first"},
    "last code of a study returned only": {"modalities_returned": "last"},
    "ranges of dates without their last day": {"date_matching": "last_day_excluded"},
    "ranges of dates without their first day": {"date_matching": "first_day_excluded"},
    "ranges of dates that find their first day only": {"date_matching": "first_day_only"},
    "single dates that find nothing": {"date_matching": "ranges_only"},
    "lists of codes ignored": {"code_lists": "ignored"},
    "first of a list of codes only": {"code_lists": "first_only"},
    "lists of codes find nothing": {"code_lists": "empty"},
    "lists of codes refused": {"code_lists": "refused"},
    "series lists ignored": {"uid_lists_series": "ignored"},
    "first of a series list only": {"uid_lists_series": "first_only"},
    "series lists find nothing": {"uid_lists_series": "empty"},
    "series lists refused": {"uid_lists_series": "refused"},
    "image lists ignored": {"uid_lists_image": "ignored"},
    "first of an image list only": {"uid_lists_image": "first_only"},
    "image lists find nothing": {"uid_lists_image": "empty"},
    "image lists refused": {"uid_lists_image": "refused"},
    "lists of three at most": {"uid_list_maximum": 3},
    "no lists at all": {"uid_list_maximum": 1, "code_lists": "refused"},
    "lists refused with 0xC001": {"uid_list_maximum": 3, "refusal_status": 0xC001},
    "no relational queries": {"relational": "refused"},
    "relational queries find nothing": {"relational": "empty", "uid_lists_series": "refused"},
    "relational queries always": {"relational": "always", "uid_lists_series": "refused"},
    "relational queries negotiated": {"relational": "negotiated", "uid_lists_series": "refused"},
    "no counts": {"not_returned": COUNTS},
    "no study description": {"not_returned": ["StudyDescription"]},
    "no station names": {"not_returned": ["StationName"]},
    "no date and time": {"not_returned": ["StudyDate", "StudyTime"]},
    "no accession numbers": {"not_returned": ["AccessionNumber"]},
    "series without study UID": {"not_returned": ["SERIES.StudyInstanceUID"]},
    "images without upper UIDs": {"not_returned": ["IMAGE.SeriesInstanceUID", "IMAGE.StudyInstanceUID"]},
    "no series numbers": {"not_returned": ["SeriesNumber"]},
    "ISO_IR 6": {"character_set": "ISO_IR 6"},
    "ISO_IR 100": {"character_set": "ISO_IR 100"},
    "newest first": {"descending": True},
    "everything twice": {"duplicate_every": 1},
    "each third twice": {"duplicate_every": 3},
    "silent cap": {"cap": 5, "cap_levels": ["STUDY"]},
    "silent cap, newest first": {"cap": 3, "cap_levels": ["STUDY"], "descending": True},
    "silent cap at series level": {"cap": 9, "cap_levels": ["SERIES"]},
    "refuses beyond a number": {"cap": 3, "cap_effect": "refuse_after", "cap_levels": ["STUDY"]},
    "refuses at once beyond a number": {"cap": 3, "cap_effect": "refuse_at_once", "cap_levels": ["STUDY"]},
    "0xA701 beyond a number": {
        "cap": 3,
        "cap_effect": "refuse_after",
        "cap_status": 0xA701,
        "cap_levels": ["STUDY"],
    },
    "0xB001 beyond a number": {"cap": 3, "cap_effect": "warn", "cap_levels": ["STUDY"]},
    "aborts beyond a number": {"cap": 3, "cap_effect": "abort", "cap_levels": ["STUDY"]},
    "aborts long series answers": {"cap": 12, "cap_effect": "abort", "cap_levels": ["SERIES"]},
    "refuses long image answers": {"cap": 100, "cap_effect": "refuse_after", "cap_levels": ["IMAGE"]},
    "windows of two days at most": {"widest_window_days": 2},
    "windows of one day at most": {"widest_window_days": 1},
    "a pause before each request": {"request_delay_s": 0.01},
    "a pause before each answer": {"answer_delay_s": 0.002},
    "small PDUs": {"maximum_pdu_bytes": 4096},
    "one association at a time": {"maximum_associations": 1},
    "one association, congestion": {"maximum_associations": 1, "limit_rejection": "temporary_congestion"},
    "one association for each caller": {"maximum_associations_per_ae_title": 1},
    "too few announced": {"count_error": -1},
    "nothing announced": {"count_error": -1000},
}

#: Two traits at once.
TRAIT_PAIRS: dict[str, dict[str, Any]] = {
    f"{first}; {second}": {**TRAITS[first], **TRAITS[second]}
    for first, second in [
        ("codes only returned", "silent cap"),
        ("codes neither matched nor returned", "refuses beyond a number"),
        ("codes only matched", "no counts"),
        ("codes neither matched nor returned", "each third twice"),
        ("codes neither matched nor returned", "series lists refused"),
        ("lists of codes ignored", "silent cap"),
        ("first of a list of codes only", "windows of one day at most"),
        ("silent cap, newest first", "everything twice"),
        ("silent cap", "windows of two days at most"),
        ("silent cap", "one association at a time"),
        ("refuses at once beyond a number", "windows of one day at most"),
        ("refuses at once beyond a number", "no date and time"),
        ("aborts beyond a number", "lists of codes refused"),
        ("series lists ignored", "image lists find nothing"),
        ("first of a series list only", "no counts"),
        ("series lists find nothing", "series without study UID"),
        ("image lists refused", "no counts"),
        ("image lists ignored", "images without upper UIDs"),
        ("series without study UID", "no counts"),
        ("lists of three at most", "everything twice"),
        ("relational queries always", "no counts"),
        ("relational queries always", "silent cap at series level"),
        ("no lists at all", "one association at a time"),
    ]
}

_ON_TOP = {
    "abort": (of_find("STUDY", kind="abort", after_responses=1), at("STUDY", "after one match")),
    "0xC001": (of_find("SERIES", kind="status", status=0xC001), at("SERIES", "before the first match")),
    "broken match": (of_find("IMAGE", kind="bad_data_set"), at("IMAGE", "before the first match")),
    "lost match": (of_find("SERIES", kind="drop_answer", after_responses=1), at("SERIES", "after one match")),
}


def _learned(traits: dict[str, Any]) -> Profile:
    """Return what is known of a node with these traits."""
    caps_studies = "STUDY" in traits.get("cap_levels", ())
    return WARY if caps_studies or not _OF_THE_SEARCH.isdisjoint(traits) else KNOWN


_STRUCK_ON_TOP = (
    "codes neither matched nor returned",
    "first of a list of codes only",
    "series lists ignored",
    "no lists at all",
    "silent cap",
    "refuses beyond a number",
    "relational queries always",
)

#: What is announced and not returned: traits, the studies that are missing, and why.
_ANNOUNCED: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "an SR series hidden": (
        {"hidden": [series_of("ct_esr", "SR")]},
        ("ct_esr",),
        "fewer_series_than_announced",
    ),
    "a series hidden that is not needed": ({"hidden": [series_of("mr", "MR")]}, (), ""),
    "an object hidden": (
        {"hidden": [ONE["petct"].series[-3].instances[0].sop_instance_uid]},
        ("petct",),
        "fewer_objects_than_announced",
    ),
    "a series too many announced": (
        {"count_error": 1, "count_error_for": [uid_of("mg_images")]},
        ("mg_images",),
        "fewer_series_than_announced",
    ),
    "a series too many announced for two studies": (
        {"count_error": 1, "count_error_for": [uid_of("mg_images"), uid_of("rf_rdsr")]},
        ("mg_images", "rf_rdsr"),
        "fewer_series_than_announced",
    ),
    "an SR series hidden, series lists refused": (
        {"hidden": [series_of("ct_esr", "SR")], "uid_lists_series": "refused"},
        ("ct_esr",),
        "fewer_series_than_announced",
    ),
    "an SR series hidden, no codes": (
        {"hidden": [series_of("ct_esr", "SR")], "modalities_in_study": "absent"},
        ("ct_esr",),
        "fewer_series_than_announced",
    ),
    "an SR series hidden, silent cap": (
        {"hidden": [series_of("ct_esr", "SR")], "cap": 4, "cap_levels": ["STUDY"]},
        ("ct_esr",),
        "fewer_series_than_announced",
    ),
}

#: Objects that come with the UID of another series: nothing follows about their own.
_MISNAMED = {"misnamed_series": [series_of("ct_esr", "SR")]}

#: The same of series, with what is requested in another way or compared with less.
_BESIDE_MISNAMED: dict[str, dict[str, Any]] = {
    "": {},
    ", no counts": {"not_returned": COUNTS},
    ", series lists refused": {"uid_lists_series": "refused"},
}

_ALWAYS = "the whole query"
_CAP_EFFECTS = ("silent", "refuse_after", "refuse_at_once", "warn", "abort")
_KEYS_ARE = {"not_matched": "not matched", "refused_keys": "refused"}
_ONE_DAY = {"date_from": str(FIRST_DAY), "date_until": str(FIRST_DAY)}

#: Caps that a new node would have been believed to be all there is: it never returned more than nine.
_SMALL_CAPS: dict[str, dict[str, Any]] = {
    **{f"silent cap of {cap}": {"cap": cap, "cap_levels": ["STUDY"]} for cap in (3, 4, 5, 7, 9)},
    "silent cap of 3, codes only returned": {
        "cap": 3,
        "cap_levels": ["STUDY"],
        "modalities_in_study": "returned",
    },
    "silent cap of 5, lists refused": {"cap": 5, "cap_levels": ["STUDY"], "code_lists": "refused"},
    "silent cap of 4, newest first, each third twice": {
        "cap": 4,
        "cap_levels": ["STUDY"],
        "descending": True,
        "duplicate_every": 3,
    },
}

HABIT_ROWS = [
    *(
        QueryRow(fault=f"{name}, of a new node", moment=_ALWAYS, traits=traits, missing=NOTHING)
        for name, traits in _SMALL_CAPS.items()
    ),
    QueryRow(
        fault="the objects of an SR series name another series",
        moment=_ALWAYS,
        traits=_MISNAMED,
        statuses=("incomplete",),
        missing=study_missing("ct_esr"),
        reason="study_not_answered",
    ),
    *(
        QueryRow(
            fault=f"the series of a study name another study{beside}",
            moment=_ALWAYS,
            traits={"misnamed_studies": [uid_of("ct_esr")], **traits},
            statuses=("incomplete",),
            missing=study_missing("ct_esr"),
            reason="study_not_answered",
        )
        for beside, traits in _BESIDE_MISNAMED.items()
    ),
    QueryRow(
        fault="silent cap of 1, of a new node",
        moment=_ALWAYS,
        traits={"cap": 1, "cap_levels": ["STUDY"]},
        statuses=("incomplete",),
        finds_below=600,
    ),
    QueryRow(
        fault="silent cap of 2 at all levels, no counts, of a new node",
        moment=_ALWAYS,
        traits={"cap": 2, "not_returned": COUNTS},
        statuses=("incomplete",),
    ),
    *(
        QueryRow(fault=name, moment=_ALWAYS, traits=traits, learned=_learned(traits), missing=NOTHING)
        for name, traits in (TRAITS | TRAIT_PAIRS).items()
    ),
    *(
        QueryRow(
            fault=f"{name}; {struck}, once",
            moment=moment,
            traits=TRAITS[name],
            faults=(fault,),
            learned=WARY if fault.level == "STUDY" else _learned(TRAITS[name]),
            missing=NOTHING,
        )
        for name in _STRUCK_ON_TOP
        for struck, (fault, moment) in _ON_TOP.items()
    ),
    *(
        QueryRow(
            fault=name,
            moment=_ALWAYS,
            traits=traits,
            learned=_learned(traits),
            statuses=("incomplete" if kinds else "completed",),
            missing=study_missing(*kinds) if kinds else NOTHING,
            reason=reason,
        )
        for name, (traits, kinds, reason) in _ANNOUNCED.items()
    ),
    *(
        QueryRow(
            fault=f"a cap ({effect}) that no window avoids: {' and '.join(keys)} {_KEYS_ARE[how]}",
            moment=_ALWAYS,
            traits={"cap": 2, "cap_levels": ["STUDY"], "cap_effect": effect, how: keys},
            criteria={"types": ["CT", "MG"], **days},
            learned=Profile(proven=2, code_list=10),
            statuses=("incomplete", "failed"),
            finds_below=150 if days == _ONE_DAY else 350,
        )
        for how, keys, days, effects in (
            ("not_matched", ["StudyTime"], _ONE_DAY, _CAP_EFFECTS),
            ("not_matched", ["StudyDate", "StudyTime"], SPAN, ("silent", "refuse_at_once")),
            ("refused_keys", ["StudyTime"], _ONE_DAY, ("silent", "refuse_after", "refuse_at_once")),
        )
        for effect in effects
    ),
]
