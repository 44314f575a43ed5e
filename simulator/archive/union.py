"""Several archives that are queried as one."""

import datetime as dt
import heapq
from collections.abc import Callable, Iterator

from simulator.archive.model import Archive, Study


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
