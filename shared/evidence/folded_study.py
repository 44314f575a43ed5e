"""What is left of a study once retention has removed the queries that found it. Pure.

Its numbers stand in the columns of `node_studies`. This is the rest: whether the best of the removed
decisions kept something and whether that arrived, and digests of the kept UIDs. By those a later query sees
that nothing has changed since, and a list from the RIS that something arrived later. A digest of 64 bits
takes a sixth of a UID; that two UIDs of one study share one is less likely than 1 in 10**16.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

#: More UIDs than this are not kept: such a study is examined again when a query meets it.
MOST_DIGESTS = 12
_DIGEST_BYTES = 8
_DIGEST_LENGTH = 11


def digest(text: str) -> str:
    """Return 64 bits of a text, as eleven characters."""
    value = hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def terms_digest(kind: Mapping[str, object], rules_version: int) -> str:
    """Return the digest of what decides which objects of a study are kept."""
    return digest(json.dumps([rules_version, kind], sort_keys=True, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class KeptObjects:
    """Digests of what a query kept of a study, or dropped as known."""

    #: Of its criteria and rules.
    terms: str
    #: As the PACS counted the study then.
    series_count: int | None
    instance_count: int | None
    objects: tuple[str, ...] = ()
    #: Series that were kept as a whole, with the number of their objects.
    whole: tuple[tuple[str, int], ...] = ()

    def all_in(self, series_of: Mapping[str, str]) -> bool:
        """Return whether all of it is among these objects: Series Instance UID by SOP Instance UID."""
        have = {digest(uid) for uid in series_of}
        in_series = Counter(series_of.values())
        numbers = {digest(series): number for series, number in in_series.items()}
        return have.issuperset(self.objects) and all(
            numbers.get(series, 0) >= count for series, count in self.whole
        )


def kept_objects(
    terms: str,
    counts: tuple[int | None, int | None],
    objects: Iterable[tuple[str, str]],
    whole: Iterable[tuple[str, int | None]],
) -> KeptObjects | None:
    """Return the digests of objects (series and SOP Instance UID) and of whole series.

    None if there are none, or too many, or if the PACS did not count the objects of a whole series: then
    nobody can say later that all are there.
    """
    named = list(objects)
    named_series = {series for series, _ in named}
    rest = [(series, count) for series, count in whole if series not in named_series]
    if not (named or rest) or len(named) + len(rest) > MOST_DIGESTS:
        return None
    counted = [(digest(series), count) for series, count in rest if count is not None]
    if len(counted) < len(rest):
        return None
    return KeptObjects(terms, *counts, tuple(sorted(digest(uid) for _, uid in named)), tuple(sorted(counted)))


@dataclass(frozen=True, slots=True)
class FoldedStudy:
    """What is left of removed queries beside the numbers."""

    #: Of the best decision: whether something was kept, and whether all of it has arrived.
    keeps: bool = False
    arrived: bool = False
    #: What a query kept: the best one, if `is_of_best`, or else the one that was removed last.
    kept: KeptObjects | None = None
    is_of_best: bool = False

    def with_query(
        self, *, is_best: bool, keeps: bool, arrived: bool, kept: KeptObjects | None
    ) -> FoldedStudy:
        """Return it with one more removed query."""
        if is_best:
            return FoldedStudy(keeps, arrived, kept or self.kept, is_of_best=kept is not None)
        return self if self.is_of_best else replace(self, kept=kept or self.kept)

    def has_arrived(self, series_of: Mapping[str, str]) -> bool:
        """Return whether all that the best decision kept has arrived, then or since, with these objects."""
        return self.arrived or (self.is_of_best and self.kept is not None and self.kept.all_in(series_of))

    def to_text(self) -> str:
        """Return it as the ledger keeps it: every byte of it is there for each study."""
        marks = {"k": self.keeps, "a": self.arrived, "b": self.is_of_best}
        flags = "".join(mark for mark, stands in marks.items() if stands)
        if self.kept is None:
            return flags
        kept = self.kept
        whole = ",".join(f"{series}{count}" for series, count in kept.whole)
        counts = f"{_number(kept.series_count)}/{_number(kept.instance_count)}"
        return f"{flags}:{kept.terms}:{counts}:{''.join(kept.objects)}:{whole}"


def read_folded(text: str) -> FoldedStudy:
    """Return what the ledger holds."""
    flags, _, rest = text.partition(":")
    folded = FoldedStudy("k" in flags, "a" in flags, is_of_best="b" in flags)
    if not rest:
        return folded
    terms, counts, objects, whole = rest.split(":")
    series_count, instance_count = (int(number) if number else None for number in counts.split("/"))
    digests = (objects[at : at + _DIGEST_LENGTH] for at in range(0, len(objects), _DIGEST_LENGTH))
    series = ((part[:_DIGEST_LENGTH], int(part[_DIGEST_LENGTH:])) for part in whole.split(",") if part)
    return replace(
        folded, kept=KeptObjects(terms, series_count, instance_count, tuple(digests), tuple(series))
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
