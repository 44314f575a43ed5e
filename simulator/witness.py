"""What a scripted PACS saw: one record for each request and association, without patient data."""

import datetime as dt
import json
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

#: Keys whose values are recorded; of all others only their presence is.
RECORDED_KEYS = frozenset(
    {
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "SOPClassUID",
        "StudyDate",
        "StudyTime",
        "SeriesDate",
        "SeriesTime",
        "ModalitiesInStudy",
        "Modality",
        "SOPClassesInStudy",
    }
)

#: Requests that are kept in memory; the log file holds all.
_KEPT_REQUESTS = 100_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it was served.

    `keys` holds the matching keys with a value (a value that may speak of a patient is recorded as "…"),
    `asked` every key of the request. `matches` counts the matches of a find and the objects of a move.
    """

    number: int
    time: str
    association: int
    calling_ae_title: str
    operation: str
    level: str | None = None
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    matches: int = 0
    status: int | None = None
    fault: str | None = None
    move_destination: str | None = None
    duration_s: float = 0.0

    def uids(self) -> frozenset[str]:
        """Return every UID among the keys."""
        return frozenset(uid for name, values in self.keys.items() if name.endswith("UID") for uid in values)


class Witness:
    """Records requests and counts associations; safe for all threads of a PACS."""

    def __init__(self, log: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._requests: deque[RecordedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self._log: TextIO | None = log.open("a", encoding="utf-8") if log is not None else None
        self._open: Counter[str] = Counter()
        self._moves = 0
        self._number = 0
        self.associations = 0
        self.associations_rejected = 0
        self.associations_most = 0
        self.moves_most = 0
        self.objects_sent = 0

    # Requests

    def next_number(self) -> int:
        """Return the number of the next request."""
        with self._lock:
            self._number += 1
            return self._number

    def record(self, request: RecordedRequest) -> None:
        """Add a record, and write it to the log file where there is one."""
        with self._lock:
            self._requests.append(request)
            if self._log is not None:
                self._log.write(json.dumps(asdict(request)) + "\n")
                self._log.flush()

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests so far, in the order in which they ended."""
        with self._lock:
            return tuple(self._requests)

    def of(self, operation: str, level: str | None = None) -> tuple[RecordedRequest, ...]:
        """Return the requests of one operation and, if given, one level."""
        return tuple(
            request
            for request in self.requests
            if request.operation == operation and level in {None, request.level}
        )

    def clear(self) -> None:
        """Forget the requests and the highest counts; associations that are open stay counted."""
        with self._lock:
            self._requests.clear()
            self.associations = self.associations_rejected = self.objects_sent = 0
            self.associations_most = sum(self._open.values())
            self.moves_most = self._moves

    # Concurrent associations and moves

    def open_association(self, calling_ae_title: str, limit: int | None, limit_per_ae: int | None) -> bool:
        """Count an association in, unless a limit is reached; return whether it was counted."""
        with self._lock:
            at_limit = limit is not None and sum(self._open.values()) >= limit
            if at_limit or (limit_per_ae is not None and self._open[calling_ae_title] >= limit_per_ae):
                return False
            self.associations += 1
            self._open[calling_ae_title] += 1
            self.associations_most = max(self.associations_most, sum(self._open.values()))
            return True

    def close_association(self, calling_ae_title: str) -> None:
        """Count an association out."""
        with self._lock:
            self._open[calling_ae_title] -= 1

    def reject_association(self) -> None:
        """Count a rejected association."""
        with self._lock:
            self.associations_rejected += 1

    @property
    def associations_open(self) -> int:
        """Associations that are open now."""
        with self._lock:
            return sum(self._open.values())

    def begin_move(self, limit: int | None) -> bool:
        """Count a move in, unless the limit is reached; return whether it was counted."""
        with self._lock:
            if limit is not None and self._moves >= limit:
                return False
            self._moves += 1
            self.moves_most = max(self.moves_most, self._moves)
            return True

    def end_move(self) -> None:
        """Count a move out."""
        with self._lock:
            self._moves -= 1

    def sent(self) -> None:
        """Count an object that was sent and accepted."""
        with self._lock:
            self.objects_sent += 1

    def close(self) -> None:
        """Close the log file."""
        with self._lock:
            if self._log is not None:
                self._log.close()
                self._log = None


def now() -> str:
    """Return the time in UTC as it stands in the records."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
