"""A batch as it is handed over, and the outcome of a try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import RetriableError


@dataclass(frozen=True, slots=True)
class BatchObject:
    """One object of a batch; its path is below the folder of objects."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    path: str
    size_bytes: int
    sha256: str
    content: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects that are handed over together; the id stays the same however often it is tried."""

    id: str
    #: The retrieve that requested them; empty for objects that came by themselves.
    job_id: str
    #: The study of objects that came by themselves; empty otherwise.
    study_instance_uid: str
    #: This try, from 1.
    attempt: int
    objects: tuple[BatchObject, ...]

    def paths(self, root: Path) -> list[str]:
        """Return the absolute paths of the files."""
        return [str(root / stored.path) for stored in self.objects]

    def to_json(self, root: Path, store_ae_title: str) -> dict[str, object]:
        """Return what an importer gets by HTTP."""
        objects = [
            {
                "study_instance_uid": stored.study_instance_uid,
                "series_instance_uid": stored.series_instance_uid,
                "sop_instance_uid": stored.sop_instance_uid,
                "sop_class_uid": stored.sop_class_uid,
                "path": str(root / stored.path),
                "size_bytes": stored.size_bytes,
                "sha256": stored.sha256,
                "content": stored.content,
            }
            for stored in self.objects
        ]
        return {
            "batch": self.id,
            "attempt": self.attempt,
            "job": self.job_id or None,
            "study_instance_uid": self.study_instance_uid or None,
            "store_ae_title": store_ae_title,
            "objects": objects,
        }


class HandoverError(RetriableError):
    """The importer did not take a batch; `reason` is a stable word, the text a sentence for people."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class InterruptedHandoverError(RetriableError):
    """The service ends; the try does not count."""


#: Hands a batch over. Raises HandoverError, or InterruptedHandoverError where the service ends.
Send = Callable[[Batch], None]
