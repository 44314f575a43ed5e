"""One stored object handed over on request, and what the importer responded; no batch is kept of it."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.store.handover.command_sender import CommandSender
from services.store.handover.http_sender import HttpSender
from services.store.handover.model import Batch, BatchObject, HandoverError
from shared.clock import utc_now
from shared.database.models.store import StoredObject
from shared.errors import InvalidInputError
from shared.settings import Settings

#: Bytes of an importer's output or response that are shown; it may hold more.
SHOWN_BYTES = 4096
#: Seconds in which output that is still on its way comes after the program has ended.
_REST_S = 1.0


@dataclass(frozen=True, slots=True)
class ImporterTrial:
    """How one object was handed over; `output` is the importer's own, which may name patients."""

    batch: str
    importer: str
    sop_instance_uid: str
    path: str
    taken: bool
    detail: str
    output: str
    duration_s: float


def try_importer(settings: Settings, stored: StoredObject) -> ImporterTrial:
    """Hand one object over as the store service would.

    Raises:
        InvalidInputError: no importer is set.
    """
    if not settings.handover_enabled:
        problem = "no importer is set: DOSEQR_HANDOVER_COMMAND or DOSEQR_HANDOVER_URL"
        raise InvalidInputError("importer", problem)
    root, began = settings.objects_dir.absolute(), time.monotonic()
    batch = _batch_of(stored)
    hand_over = _by_command if settings.handover_command else _by_http
    taken, detail, output = hand_over(settings, root, batch)
    return ImporterTrial(
        batch=batch.id,
        importer="command" if settings.handover_command else "url",
        sop_instance_uid=stored.sop_instance_uid,
        path=batch.paths(root)[0],
        taken=taken,
        detail=detail,
        output=output,
        duration_s=round(time.monotonic() - began, 3),
    )


def _batch_of(stored: StoredObject) -> Batch:
    handed_over = BatchObject(
        stored.study_instance_uid,
        stored.series_instance_uid,
        stored.sop_instance_uid,
        stored.sop_class_uid,
        stored.path,
        stored.size_bytes,
        stored.sha256,
        stored.content,
    )
    # Another id each time: an importer that remembers ids must not take it for one that it has seen.
    return Batch(f"test-{utc_now():%Y%m%d%H%M%S%f}", "", stored.study_instance_uid, 1, (handed_over,))


def _by_command(settings: Settings, root: Path, batch: Batch) -> tuple[bool, str, str]:
    with _ProgramOutput() as output:
        send = CommandSender(
            settings.handover_command,
            root,
            timeout_s=settings.handover_timeout,
            stopping=threading.Event(),
            output=output.descriptor,
        )
        try:
            send(batch)
        except HandoverError as error:
            return False, str(error), output.text()
        return True, "The program ended with exit code 0.", output.text()


def _by_http(settings: Settings, root: Path, batch: Batch) -> tuple[bool, str, str]:
    send = HttpSender(
        settings.handover_url,
        root,
        timeout_s=settings.handover_timeout,
        store_ae_title=settings.store_ae_title,
    )
    text = ""
    try:
        response = send.post(batch, SHOWN_BYTES)
        text = response.excerpt.decode("utf-8", "replace")
        response.raise_unless_taken()
    except HandoverError as error:
        return False, str(error), text
    return True, f"The importer responded with HTTP status {response.status}.", text


class _ProgramOutput:
    """A pipe whose beginning is kept, and whose rest is read and dropped: no program waits for us."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._close()

    def text(self) -> str:
        """Return what came."""
        self._close()
        # What the program has left behind may hold its end open.
        self._thread.join(_REST_S)
        return bytes(self._kept[:SHOWN_BYTES]).decode("utf-8", "replace")

    def _close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _read(self) -> None:
        with os.fdopen(self._reading, "rb", buffering=0) as pipe:
            while chunk := pipe.read(SHOWN_BYTES):
                self._kept += chunk[: SHOWN_BYTES - len(self._kept)]
