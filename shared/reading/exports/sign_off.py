"""The record of a job for signing off: what was requested and decided, what is missing, by which versions."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.database.models.query import Query
from shared.database.models.retrieve import Retrieve
from shared.reading.exports.job_tables import objects_csv, studies_csv
from shared.reading.job_json import summary
from shared.reading.jobs import Job
from shared.reading.query_json import query_head
from shared.reading.retrieve_json import NOT_ARRIVED, retrieve_counts

#: Bytes that are read at once, and that are kept in memory before a file is used.
CHUNK, IN_MEMORY = 65_536, 4 << 20

README = """Record of a DoseQR job.

summary.json    the job: status, nodes, criteria, counts, who and when; its retrieves; versions of all parts
decisions.csv   each study that was found, kept or dropped, and why
missing.csv     studies without a complete response of the PACS, and so without a decision
failures.csv    objects that were requested and did not arrive, and why
SHA256SUMS      checksums of these files, for sha256sum -c
"""


def sign_off(session: Session, job: Job, versions: Mapping[str, str], now: datetime) -> Iterator[bytes]:
    """Yield a ZIP file with the record of a job; that of a retrieve holds its query, and the other way."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            _write(session, archive, job, versions, now)
        file.seek(0)
        while chunk := file.read(CHUNK):
            yield chunk


def _write(
    session: Session, archive: zipfile.ZipFile, job: Job, versions: Mapping[str, str], now: datetime
) -> None:
    query = job if isinstance(job, Query) else session.get(Query, job.query_id)
    retrieves = [job] if isinstance(job, Retrieve) else _retrieves(session, job)
    document = {
        "job": job.id,
        "written_at": iso(now),
        "versions": dict(versions),
        "query": query_head(session, query.id) if query is not None else None,
        "retrieves": [
            {**summary(retrieve), "counts": retrieve_counts(session, retrieve)} for retrieve in retrieves
        ],
    }
    files: dict[str, Iterable[str]] = {
        "README.txt": [README],
        "summary.json": [json.dumps(document, indent=2)],
        "decisions.csv": studies_csv(session, query) if query is not None else [],
        "missing.csv": studies_csv(session, query, "missing") if query is not None else [],
        "failures.csv": _failures(session, retrieves),
    }
    sums = [f"{_add(archive, name, lines)}  {name}\n" for name, lines in files.items()]
    _add(archive, "SHA256SUMS", sums)


def _failures(session: Session, retrieves: Iterable[Retrieve]) -> Iterator[str]:
    for number, retrieve in enumerate(retrieves):
        lines = "".join(objects_csv(session, retrieve, NOT_ARRIVED))
        # One head for all.
        yield lines if number == 0 else lines.partition("\r\n")[2]


def _retrieves(session: Session, query: Query) -> list[Retrieve]:
    wanted = select(Retrieve).where(Retrieve.query_id == query.id).order_by(Retrieve.requested_at)
    return list(session.scalars(wanted))


def _add(archive: zipfile.ZipFile, name: str, lines: Iterable[str]) -> str:
    """Write a file of the archive; returns its checksum."""
    digest = hashlib.sha256()
    with archive.open(name, "w", force_zip64=True) as member:
        for text in lines:
            data = text.encode()
            member.write(data)
            digest.update(data)
    return digest.hexdigest()
