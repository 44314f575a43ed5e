"""Archives of any size that are made while they are queried: deterministic, and small in memory."""

import bisect
import datetime as dt
import functools
import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping

from simulator.archive.model import Study
from simulator.generator.blueprints import KINDS, StudyKind, make_study

_PREFIX_DIGITS = 12
_DAY_DIGITS = 7
_NUMBER_DIGITS = 6
_SERIES_DIGITS = 3
_INSTANCE_DIGITS = 6
#: Studies that are kept once they are made.
_KEPT_STUDIES = 1024
_WORKDAY_SHARE = 10
_WEEKEND_SHARE = 3
_SATURDAY = 5
_FIRST_HOUR_S = 6 * 3600
_OPEN_S = 17 * 3600

_FAMILY_NAMES = (
    "Müller",
    "Schmidt",
    "García",
    "Nguyen",
    "Smith",
    "Kowalski",
    "Øberg",
    "Rossi",
    "Becker",
    "Demir",
)
_GIVEN_NAMES = ("Anna", "Peter", "María", "Jörg", "Lucy", "Jan", "Åse", "Luca", "Elif", "Tom")


class GeneratedArchive:
    """`n` studies from `first_date` until `last_date`, both inclusive; the same for the same arguments.

    A study follows from the seed, its day and its number within the day: two archives with one seed and size
    hold the same studies where their spans overlap. The UID of an entity is its place, so no index is
    kept: 2.25, then twelve digits from the seed, seven for the day and six for the number of the study, three
    for the series, six for the object.
    """

    def __init__(
        self,
        n: int,
        seed: int,
        first_date: dt.date,
        last_date: dt.date,
        kinds: Mapping[str, int] | None = None,
    ) -> None:
        """Make an archive; `kinds` gives other weights to kinds, and those left out do not occur.

        Raises:
            ValueError: the dates or numbers make no archive, or a kind is unknown.
        """
        _check(n, first_date, last_date, kinds)
        self._n = n
        self._seed = seed
        self._first_date = first_date
        days = (last_date - first_date).days + 1
        digest = int.from_bytes(hashlib.sha256(str(seed).encode("ascii")).digest()[:8], "big")
        self._prefix = f"2.25.{10 ** (_PREFIX_DIGITS - 1) + digest % (9 * 10 ** (_PREFIX_DIGITS - 1))}"
        self._starts = _day_starts(n, first_date, days)
        weights = {name: kind.weight for name, kind in KINDS.items()} if kinds is None else kinds
        self._kinds: list[StudyKind] = [KINDS[name] for name in weights]
        self._weights = list(itertools.accumulate(weights.values()))
        self._made = functools.lru_cache(maxsize=_KEPT_STUDIES)(self._make)

    def __len__(self) -> int:
        return self._n

    def _make(self, day: int, number: int) -> Study:
        date = self._first_date + dt.timedelta(days=day)
        place = f"{date.toordinal():0{_DAY_DIGITS}d}{number:0{_NUMBER_DIGITS}d}"
        rng = random.Random(f"{self._seed}/{place}")  # noqa: S311 (lifelike numbers, no secrets)
        kind = self._kinds[bisect.bisect_right(self._weights, rng.random() * self._weights[-1])]
        second = _FIRST_HOUR_S + rng.randrange(_OPEN_S)
        patient = rng.randrange(max(self._n * 2 // 3, 1))
        name = f"{_FAMILY_NAMES[patient % 10]}^{_GIVEN_NAMES[patient // 10 % 10]}"
        return make_study(
            kind,
            f"{self._prefix}{place}",
            date,
            dt.time(second // 3600, second // 60 % 60, second % 60),
            rng,
            accession_number=f"A{int(place) % 10**10:010d}",
            patient_id=f"SIM{patient:07d}",
            patient_name=name,
        )

    def _count(self, day: int) -> int:
        return self._starts[day + 1] - self._starts[day]

    def studies(self, first: dt.date | None = None, last: dt.date | None = None) -> Iterator[Study]:
        """Yield the studies from `first` until `last`, both inclusive, in the order of their dates."""
        days = len(self._starts) - 1
        begin = 0 if first is None else max((first - self._first_date).days, 0)
        end = days if last is None else min((last - self._first_date).days + 1, days)
        for day in range(begin, end):
            for number in range(self._count(day)):
                yield self._made(day, number)

    def _by_uid(self, uid: str, digits: int) -> Study | None:
        tail = uid[len(self._prefix) :]
        place = _DAY_DIGITS + _NUMBER_DIGITS
        if not uid.startswith(self._prefix) or len(tail) != place + digits or not tail.isdecimal():
            return None
        day = int(tail[:_DAY_DIGITS]) - self._first_date.toordinal()
        number = int(tail[_DAY_DIGITS:place])
        is_here = 0 <= day < len(self._starts) - 1 and number < self._count(day)
        return self._made(day, number) if is_here else None

    def study(self, study_instance_uid: str) -> Study | None:
        """Return the study with this UID."""
        return self._by_uid(study_instance_uid, 0)

    def study_of_series(self, series_instance_uid: str) -> Study | None:
        """Return the study that would hold this series."""
        return self._by_uid(series_instance_uid, _SERIES_DIGITS)

    def study_of_instance(self, sop_instance_uid: str) -> Study | None:
        """Return the study that would hold this object."""
        return self._by_uid(sop_instance_uid, _SERIES_DIGITS + _INSTANCE_DIGITS)


def _check(n: int, first_date: dt.date, last_date: dt.date, kinds: Mapping[str, int] | None) -> None:
    if not 0 <= n < 10**_NUMBER_DIGITS:
        raise ValueError(f"studies: {n} is not from 0 to {10**_NUMBER_DIGITS - 1}")
    if last_date < first_date:
        raise ValueError(f"last_date: {last_date} lies before {first_date}")
    for name, weight in (kinds or {}).items():
        if name not in KINDS:
            raise ValueError(f"kinds: {name} is none of {', '.join(KINDS)}")
        if weight < 0:
            raise ValueError(f"kinds: the weight of {name} is negative")
    if kinds is not None and not any(kinds.values()):
        raise ValueError("kinds: at least one weight has to be above zero")


def _day_starts(n: int, first_date: dt.date, days: int) -> list[int]:
    """Return the index of the first study of each day, and `n` at the end; weekends are quieter."""
    shares = (
        _WEEKEND_SHARE if (first_date + dt.timedelta(days=day)).weekday() >= _SATURDAY else _WORKDAY_SHARE
        for day in range(days)
    )
    total = list(itertools.accumulate(shares, initial=0))
    return [n * share // total[-1] for share in total]


def generate(
    n: int,
    seed: int,
    first_date: dt.date,
    last_date: dt.date,
    kinds: Mapping[str, int] | None = None,
) -> GeneratedArchive:
    """Return an archive of `n` studies of all kinds."""
    return GeneratedArchive(n, seed, first_date, last_date, kinds)
