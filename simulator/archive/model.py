"""What a scripted PACS holds: studies, series and instances, described and not stored.

Data sets are made from these descriptions when they are sent, so an archive of any size costs little memory.
"""

import bisect
import datetime as dt
import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, overload

_T = TypeVar("_T")


class Lazy(Sequence[_T]):
    """A sequence whose length is known in advance and whose items are made on first use."""

    __slots__ = ("_items", "_length", "_make")

    def __init__(self, length: int, make: Callable[[], tuple[_T, ...]]) -> None:
        self._length = length
        self._make = make
        self._items: tuple[_T, ...] | None = None

    def _made(self) -> tuple[_T, ...]:
        # Two threads may both make the items; both make the same ones, so no lock is needed.
        items = self._items
        if items is None:
            items = self._items = self._make()
        return items

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[_T, ...]: ...
    def __getitem__(self, index: int | slice) -> _T | tuple[_T, ...]:
        return self._made()[index]

    def __iter__(self) -> Iterator[_T]:
        return iter(self._made())


@dataclass(frozen=True, slots=True)
class Instance:
    """One object: its identity and the name of the content that its data set is made with.

    `path` names a DICOM file that is sent instead of made content; `transfer_syntax_uid` is that of a file
    that cannot be encoded anew, as compressed ones cannot.
    """

    sop_instance_uid: str
    sop_class_uid: str
    content: str
    instance_number: int | None = 1
    path: Path | None = None
    transfer_syntax_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One series. A description or station name of None is absent, an empty one has no value."""

    series_instance_uid: str
    modality: str
    instances: Sequence[Instance]
    series_number: int | None = 1
    description: str | None = ""
    station_name: str | None = "STATION1"
    time: dt.time | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """One study. `kind` is the name of the blueprint it was made with, empty where there was none."""

    study_instance_uid: str
    date: dt.date | None
    time: dt.time | None
    series: Sequence[Series]
    description: str | None = ""
    accession_number: str = ""
    study_id: str = "1"
    patient_id: str = "SIM0000001"
    patient_name: str = "Sample^Patient"
    kind: str = ""
    modalities: tuple[str, ...] = ()
    instance_count: int | None = None

    @property
    def modalities_in_study(self) -> tuple[str, ...]:
        """The modality codes of the study, each once: as described, or else those of its series."""
        return self.modalities or tuple(dict.fromkeys(series.modality for series in self.series))

    @property
    def number_of_instances(self) -> int:
        """The number of objects of the study."""
        if self.instance_count is not None:
            return self.instance_count
        return sum(len(series.instances) for series in self.series)


class Archive(Protocol):
    """The studies as the services of a scripted PACS read them."""

    def __len__(self) -> int:
        """Return the number of studies."""
        ...

    def studies(self, first: dt.date | None = None, last: dt.date | None = None) -> Iterator[Study]:
        """Yield the studies from `first` until `last`, both inclusive, in the order of their dates."""
        ...

    def study(self, study_instance_uid: str) -> Study | None:
        """Return the study with this UID."""
        ...

    def study_of_series(self, series_instance_uid: str) -> Study | None:
        """Return the study that holds this series."""
        ...

    def study_of_instance(self, sop_instance_uid: str) -> Study | None:
        """Return the study that holds this object."""
        ...


def _sort_key(study: Study) -> tuple[dt.date, dt.time, str]:
    return study.date or dt.date.min, study.time or dt.time.min, study.study_instance_uid


class StudyList:
    """An archive of given studies; studies can be added and removed while it is being queried.

    A study without a date is found only by a query without dates.
    """

    def __init__(self, studies: Iterable[Study] = ()) -> None:
        self._lock = threading.RLock()
        self._studies: list[Study] = []
        self._by_study: dict[str, Study] = {}
        self._by_series: dict[str, Study] = {}
        self._by_instance: dict[str, Study] = {}
        self.add(*studies)

    def add(self, *studies: Study) -> None:
        """Add studies; one with a UID that is already there takes its place."""
        with self._lock:
            self.remove(*(study.study_instance_uid for study in studies))
            for study in studies:
                self._by_study[study.study_instance_uid] = study
                for series in study.series:
                    self._by_series[series.series_instance_uid] = study
                    for instance in series.instances:
                        self._by_instance[instance.sop_instance_uid] = study
            self._studies = sorted([*self._studies, *studies], key=_sort_key)

    def remove(self, *study_instance_uids: str) -> None:
        """Remove the studies with these UIDs; unknown ones are no error."""
        gone = set(study_instance_uids)
        with self._lock:
            if not gone & self._by_study.keys():
                return
            self._studies = [study for study in self._studies if study.study_instance_uid not in gone]
            for index in (self._by_study, self._by_series, self._by_instance):
                for uid in [uid for uid, study in index.items() if study.study_instance_uid in gone]:
                    del index[uid]

    def __len__(self) -> int:
        return len(self._studies)

    def studies(self, first: dt.date | None = None, last: dt.date | None = None) -> Iterator[Study]:
        """Yield the studies from `first` until `last`, both inclusive, in the order of their dates."""
        # The list is replaced, never changed, so what was taken here stays as it is.
        studies = self._studies
        begin, end = 0, len(studies)
        if first is not None or last is not None:
            begin = bisect.bisect_left(
                studies, (first or dt.date(1, 1, 2),), key=lambda study: _sort_key(study)[:1]
            )
        if last is not None:
            end = bisect.bisect_right(studies, (last,), key=lambda study: _sort_key(study)[:1])
        yield from studies[begin:end]

    def study(self, study_instance_uid: str) -> Study | None:
        """Return the study with this UID."""
        return self._by_study.get(study_instance_uid)

    def study_of_series(self, series_instance_uid: str) -> Study | None:
        """Return the study that holds this series."""
        return self._by_series.get(series_instance_uid)

    def study_of_instance(self, sop_instance_uid: str) -> Study | None:
        """Return the study that holds this object."""
        return self._by_instance.get(sop_instance_uid)


@dataclass(frozen=True, slots=True)
class ArchiveMatch:
    """One entity of a match: a study, and, at the lower levels, its series and instance."""

    study: Study
    series: Series | None = None
    instance: Instance | None = None

    @property
    def uid(self) -> str:
        """The UID of the entity at its own level."""
        if self.instance is not None:
            return self.instance.sop_instance_uid
        return self.series.series_instance_uid if self.series is not None else self.study.study_instance_uid


def objects_of(study: Study) -> Iterator[ArchiveMatch]:
    """Yield every object of a study."""
    for series in study.series:
        for instance in series.instances:
            yield ArchiveMatch(study, series, instance)


def format_time(time: dt.time | None) -> str:
    """Return a TM value, with the fraction only where there is one."""
    if time is None:
        return ""
    return time.strftime("%H%M%S.%f") if time.microsecond else time.strftime("%H%M%S")


class UnitedArchive:
    """The studies of several archives; where two hold the same UID the first has its way."""

    def __init__(self, *archives: Archive) -> None:
        self._archives = archives

    def __len__(self) -> int:
        return sum(len(archive) for archive in self._archives)

    def studies(self, first: dt.date | None = None, last: dt.date | None = None) -> Iterator[Study]:
        """Yield the studies from `first` until `last`, both inclusive, in the order of dates."""
        return heapq.merge(
            *(archive.studies(first, last) for archive in self._archives),
            key=lambda study: study.date or dt.date.min,
        )

    def _first(self, lookup: Callable[[Archive], Study | None]) -> Study | None:
        return next((study for study in map(lookup, self._archives) if study is not None), None)

    def study(self, study_instance_uid: str) -> Study | None:
        """Return the study with this UID."""
        return self._first(lambda archive: archive.study(study_instance_uid))

    def study_of_series(self, series_instance_uid: str) -> Study | None:
        """Return the study that holds this series."""
        return self._first(lambda archive: archive.study_of_series(series_instance_uid))

    def study_of_instance(self, sop_instance_uid: str) -> Study | None:
        """Return the study that holds this object."""
        return self._first(lambda archive: archive.study_of_instance(sop_instance_uid))
