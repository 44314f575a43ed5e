"""QIDO-RS requests (PS3.18 10.6): the identifier of a C-FIND as a resource and a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from urllib.parse import quote

from pydicom.dataset import Dataset

_RESOURCES: Mapping[str, str] = MappingProxyType(
    {"STUDY": "studies", "SERIES": "series", "IMAGE": "instances"}
)
#: What a server returns below a level is no longer in the path, where the path does not name it.
_PARENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "STUDY": (),
        "SERIES": ("StudyInstanceUID",),
        "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID"),
    }
)
#: Own UID of each level.
OWN_UID: Mapping[str, int] = MappingProxyType(
    {"STUDY": 0x0020000D, "SERIES": 0x0020000E, "IMAGE": 0x00080018}
)
_SAFE = "-._~:,*"


#: What separates values of a list: that of DICOM, and that of lists of UIDs, which some servers have for all.
SEPARATORS = ("\\", ",")


def qido_target(identifier: Dataset, separator: str = SEPARATORS[0]) -> str:
    """Return path and query, without limit and offset, that request the matches of an identifier.

    A single parent stands in the path; lists of UIDs are separated by commas (PS3.18 8.3.4.1), other lists by
    `separator`.
    """
    level = str(identifier.QueryRetrieveLevel)
    path, in_path = _path(identifier, level)
    parameters = [*_keys(identifier, in_path, separator), *_included(identifier, level, in_path)]
    query = "&".join(f"{name}={quote(value, safe=_SAFE)}" for name, value in parameters)
    return f"{path}?{query}"


def _path(identifier: Dataset, level: str) -> tuple[str, frozenset[str]]:
    """Return the path, and the keys that it holds."""
    named: list[str] = []
    parts: list[str] = []
    for keyword, resource in zip(_PARENTS[level], ("studies", "series"), strict=False):
        values = _values(identifier, keyword)
        if len(values) != 1:
            break
        named.append(keyword)
        parts += [resource, quote(values[0], safe=_SAFE)]
    return "/" + "/".join([*parts, _RESOURCES[level]]), frozenset(named)


def has_list(identifier: Dataset) -> bool:
    """Return whether a key other than a UID has several values."""
    return any(element.VM > 1 and element.VR != "UI" for element in identifier)


def _keys(identifier: Dataset, in_path: frozenset[str], separator: str) -> Iterator[tuple[str, str]]:
    for element in identifier:
        if element.keyword in in_path or element.keyword in ("QueryRetrieveLevel", "SpecificCharacterSet"):
            continue
        values = _values(identifier, element.keyword)
        if values:
            yield element.keyword, ("," if element.VR == "UI" else separator).join(values)


def _included(identifier: Dataset, level: str, in_path: frozenset[str]) -> Iterator[tuple[str, str]]:
    left_out = ("QueryRetrieveLevel", "SpecificCharacterSet")
    keywords = dict.fromkeys((*_PARENTS[level], *(element.keyword for element in identifier)))
    for keyword in keywords:
        if keyword and keyword not in in_path and keyword not in left_out:
            yield "includefield", keyword


def _values(identifier: Dataset, keyword: str) -> list[str]:
    value = identifier.get(keyword)
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value]
