"""QIDO-RS (PS3.18 10.6): from path and query to a page of matches."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from pydicom.datadict import keyword_for_tag

from simulator.archive.model import Archive, ArchiveMatch
from simulator.behaviour import Behaviour
from simulator.dicomweb.behaviour import WebBehaviour
from simulator.dicomweb.reply import JSON_TYPE, Reply, json_reply
from simulator.query.keys import ATTRIBUTES, LEVELS, belongs
from simulator.query.search import Search, find

RESOURCES = {"studies": "STUDY", "series": "SERIES", "instances": "IMAGE"}
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_BAD_REQUEST = 400

#: What is returned though nobody requests it, where it belongs to the level (PS3.18 10.6.3.3.2 has more).
_RETURNED_ANYWAY = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "Modality",
    "SeriesDescription",
    "SeriesNumber",
    "SOPClassUID",
    "InstanceNumber",
)


@dataclass(frozen=True)
class WebSearch:
    """A search, taken apart."""

    search: Search
    included: tuple[str, ...]
    limit: int | None
    offset: int


def parse_search(path: Sequence[str], query: str) -> WebSearch:
    """Take path and query of a search apart.

    Raises:
        ValueError: `limit` or `offset` is no number.
    """
    keys = keys_of(path[:-1])
    included: list[str] = []
    numbers: dict[str, int] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "includefield":
            included += [_keyword(part) for part in value.split(",")]
        elif name in ("limit", "offset"):
            numbers[name] = int(value)
        elif value:
            keys[_keyword(name)] = tuple(value.replace("\\", ",").split(","))
    known = {name: values for name, values in keys.items() if name in ATTRIBUTES}
    search = Search(RESOURCES[path[-1]], known, tuple(dict.fromkeys([*keys, *included])))
    return WebSearch(search, tuple(included), numbers.get("limit"), max(numbers.get("offset", 0), 0))


def keys_of(path: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the UIDs of a path as keys."""
    return {keyword: (uid,) for keyword, uid in zip(UIDS, path[1::2], strict=False)}


def _keyword(name: str) -> str:
    """Return the keyword of an attribute that is named by keyword or tag."""
    try:
        return (keyword_for_tag(int(name, 16)) or name) if len(name) == 8 else name  # noqa: PLR2004 - ggggeeee
    except ValueError:
        return name


def page(wanted: WebSearch, archive: Archive, behaviour: WebBehaviour, url: str) -> tuple[Reply, int]:
    """Return a page, and the number of its matches."""
    too_many = behaviour.limit_maximum is not None and (wanted.limit or 0) > behaviour.limit_maximum
    if _is_refused(wanted.search, behaviour):
        return Reply(behaviour.refusal_status), 0
    if too_many or (behaviour.offset == "refused" and wanted.offset):
        return Reply(_BAD_REQUEST), 0
    found: Iterable[ArchiveMatch] = find(wanted.search, archive, Behaviour(not_matched=behaviour.not_matched))
    if behaviour.twice:
        found = itertools.chain.from_iterable((match, match) for match in found)
    found = itertools.islice(found, behaviour.total_maximum)
    begin = 0 if behaviour.offset == "ignored" else wanted.offset
    if begin and behaviour.offset == "empty_by_modality" and "ModalitiesInStudy" in wanted.search.keys:
        found = ()
    size = _page_size(wanted, behaviour)
    matches = list(itertools.islice(found, begin, None if size is None else begin + size + 1))
    more = size is not None and len(matches) > size
    matches = matches[:size]
    return _reply(matches, wanted, behaviour, url, more=more), len(matches)


def _is_refused(search: Search, behaviour: WebBehaviour) -> bool:
    ranges = {name for name in behaviour.refused_ranges if "-" in search.keys.get(name, ("",))[0]}
    refused = {*behaviour.refused_keys.intersection(search.keywords), *ranges}
    return bool(refused or behaviour.refused_values.intersection(search.keys))


def _page_size(wanted: WebSearch, behaviour: WebBehaviour) -> int | None:
    limit = wanted.limit if behaviour.limit == "accepted" else None
    sizes = [behaviour.default_limit if limit is None else limit, behaviour.page_maximum]
    return min((size for size in sizes if size is not None), default=None)


def _reply(
    matches: Sequence[ArchiveMatch], wanted: WebSearch, behaviour: WebBehaviour, url: str, *, more: bool
) -> Reply:
    if not matches and behaviour.empty != "list":
        status = 204 if behaviour.empty == "no_content" else 200
        return Reply(status, {"Content-Type": JSON_TYPE} if behaviour.empty == "no_body" else {})
    entries = [_entry(match, wanted, behaviour, url) for match in matches]
    if entries and wanted.search.level == "STUDY":
        for keyword in behaviour.not_returned_once:
            entries[0].pop(f"{ATTRIBUTES[keyword].tag:08X}", None)
    headers: Mapping[str, str] = {}
    if more and behaviour.more == "warning":
        headers = {"Warning": '299 simulator "There are more matches"'}
    return json_reply(entries, 206 if more and behaviour.more == "partial_content" else 200, headers)


def _entry(match: ArchiveMatch, wanted: WebSearch, behaviour: WebBehaviour, url: str) -> dict[str, object]:
    level = wanted.search.level
    requested = wanted.included if behaviour.includefield == "accepted" else ()
    if "all" in requested:
        requested = tuple(ATTRIBUTES)
    entry: dict[str, object] = {}
    for keyword in dict.fromkeys([*UIDS[: LEVELS.index(level)], *_RETURNED_ANYWAY, *requested]):
        attribute = ATTRIBUTES.get(keyword)
        if attribute is None or keyword in behaviour.not_returned or not belongs(attribute, level):
            continue
        element: dict[str, object] = {"vr": attribute.vr}
        if keyword in behaviour.as_bulk_data:
            element["BulkDataURI"] = f"{url}/studies/{match.study.study_instance_uid}/bulkdata/{keyword}"
        else:
            values = list(attribute.get(match) or ())
            element |= {"Value": [_json_value(attribute.vr, value) for value in values]} if values else {}
        entry[f"{attribute.tag:08X}"] = element
    return entry


def _json_value(vr: str, value: str) -> object:
    if vr == "PN":
        return {"Alphabetic": value}
    return int(value) if vr == "IS" else value
