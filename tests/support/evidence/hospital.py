"""A hospital whose queries begin, end, are rerun and added up, in any order."""

from __future__ import annotations

import datetime as dt
from random import Random

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from services.query.ledger.tally.ended_queries import add_up, due_queries
from shared.contract.reasons import Reason
from shared.database.models import (
    Base,
    Node,
    Query,
    QuerySeries,
    QueryStudy,
    QueryTask,
    StoredObject,
)
from tests.support.jobs.rows import a_query, a_series, a_study, a_task, an_object

FIRST, LAST = dt.date(2026, 11, 2), dt.date(2026, 11, 12)
NOW = dt.datetime(2026, 11, 14, 9, tzinfo=dt.UTC)
PACS = Node(id=1, kind="remote", name="pacs", host="h", port=104, ae_title="P", created_at=NOW)
TYPES = ["CT", "MG", "FL", "SR"]
STATES = ("found", "examining", "decided", "decided", "decided", "decided", "missing")
DECIDED = (
    ("keep", Reason.RDSR),
    ("keep", Reason.ESR),
    ("keep", Reason.IMAGES_NO_REPORT),
    ("drop", Reason.NO_DOSE_OBJECT),
    ("drop", Reason.KNOWN),
    ("drop", Reason.EXCLUDED_DESCRIPTION),
    ("drop", Reason.EXCLUDED_STATION),
)


def clear(session: Session) -> None:
    for table in reversed(Base.metadata.sorted_tables):
        session.execute(delete(table))


class Hospital:
    """Queries that begin, end, are rerun and added up, in any order."""

    def __init__(self, session: Session, random: Random, *, stable: bool = False) -> None:
        """`stable`: what the PACS returns of a study never changes, and what is decided stays so."""
        self.session, self.random, self.stable = session, random, stable
        self.number = 0

    def begin(self) -> None:
        """Add a query of any kind with some studies; most have ended."""
        random, job_id = self.random, f"q{self.number}"
        self.number += 1
        first = FIRST + dt.timedelta(days=random.randrange(8))
        last = first + dt.timedelta(days=random.randrange(4))
        criteria: dict[str, object] = {
            "types": random.sample(["CT", "MG", "FL"], random.randint(1, 3)),
            "include_sr_only": random.random() < 0.3,
        }
        kind = random.choice(["days", "days", "days", "parts", "open", "named"])
        if kind == "named":
            criteria["study_instance_uids"] = ["1.2.1"]
            if self.stable:
                criteria["accession_numbers"] = ["A8", "A9", f"A{self.number}"]
        elif kind == "open":
            criteria["date_until"] = last.isoformat()
        else:
            criteria |= {"date_from": first.isoformat(), "date_until": last.isoformat()}
        if kind == "parts" and last > first:
            criteria["date_ranges"] = [
                {"date_from": day.isoformat(), "date_until": day.isoformat()} for day in (first, last)
            ]
        if random.random() < 0.2:
            criteria["exclude_stations"] = ["X"]
        query = a_query(
            job_id,
            criteria=criteria,
            status=random.choice(["completed", "incomplete", "failed", "running"]),
            requested_at=dt.datetime(2026, 11, random.randint(2, 13), random.randrange(24), tzinfo=dt.UTC),
            today=LAST,
            days_from=None if kind in ("open", "named") else first,
            days_until=None if kind == "named" else last,
            remote_id=random.choice([1, 1, 1, 2]),
        )
        self.session.add(query)
        self.session.flush()
        for uid in random.sample(range(9), random.randint(0, 6)):
            self._add_study(job_id, f"1.2.{uid}")
        if random.random() < 0.3:
            payload = {"date_from": first.isoformat(), "date_until": first.isoformat()}
            if random.random() < 0.5:
                payload |= {"time_from": "10:00", "time_until": "23:59"}
            self.session.add(
                a_task(job_id, payload=payload, state=random.choice(["failed", "pending", "cut"]))
            )
        query.studies_found = self.random.choice([3, 5000])
        self.session.flush()

    def _add_study(self, job_id: str, uid: str) -> None:
        random = self.random
        # A study has the same day in all queries, but for one that the PACS corrects.
        day = dt.date(2026, 11, 2 + int(uid[4:]))
        if uid == "1.2.8" and random.random() < 0.5 and not self.stable:
            day += dt.timedelta(days=1)
        written = random.choice([f"{day:%Y%m%d}"] * 8 + ["", None])
        if self.stable:
            written = "" if uid == "1.2.7" else f"{day:%Y%m%d}"
        state = random.choice(STATES)
        decision, reason = random.choice(DECIDED) if state == "decided" else ("", "")
        settled = state == "decided" and not reason.startswith("excluded")
        self.session.add(
            a_study(
                uid,
                job_id,
                state=state,
                type=random.choice(["CT", "MG", None]) if settled else None,
                decision=decision,
                reason=reason,
                modalities=random.choice([None, ["CT"], ["CT", "SR"], ["MG"]]),
                study_date=written,
                study_time=random.choice([None, "080000", "1200"]),
                station_name=random.choice([None, " CT9 "]),
                accession_number=f"A{uid[4:]}" if self.stable else random.choice([None, " ", "A1"]),
            )
        )
        self.session.flush()
        for number in range(random.randrange(3)):
            self.session.add(
                a_series(
                    uid,
                    f"{uid}.{number}",
                    job_id,
                    modality=random.choice(["CT", "MG", "SR"]),
                    station_name=random.choice([None, " ", "CT1", " CT2 "]),
                    reason=random.choice([Reason.RDSR, Reason.EXCLUDED_STATION]),
                    instance_count=1 if self.stable else None,
                )
            )
        if self.stable and decision == "keep":
            self.session.add(an_object(uid, f"{uid}.1", f"{uid}.1.1", job_id))
        self.session.flush()

    def end(self) -> None:
        """End what runs; decide some of its studies."""
        for query in self.session.scalars(select(Query).where(Query.status == "running")):
            query.status = self.random.choice(["completed", "incomplete"])
            for study in self.session.scalars(select(QueryStudy).where(QueryStudy.job_id == query.id)):
                if study.state != "decided" and self.random.random() < 0.7:
                    study.state, study.type, study.reason = "decided", "CT", Reason.RDSR.value
            open_tasks = (QueryTask.job_id == query.id, QueryTask.state == "pending")
            state = self.random.choice(["failed", "done"])
            self.session.execute(update(QueryTask).where(*open_tasks).values(state=state))
        self.session.flush()

    def rerun(self) -> None:
        """Begin a query that has ended once more; what it decided may be decided anew."""
        ended = self.session.scalars(select(Query).where(Query.status != "running")).all()
        if not ended:
            return
        query = self.random.choice(ended)
        query.status, query.round = "running", query.round + 1
        for study in self.session.scalars(select(QueryStudy).where(QueryStudy.job_id == query.id)):
            if self.random.random() < 0.4:
                study.state, study.type, study.decision, study.reason = "found", None, "", ""
                which = (
                    QuerySeries.job_id == query.id,
                    QuerySeries.study_instance_uid == study.study_instance_uid,
                )
                self.session.execute(delete(QuerySeries).where(*which))
        failed = (QueryTask.job_id == query.id, QueryTask.state == "failed")
        self.session.execute(update(QueryTask).where(*failed).values(state="pending"))
        self.session.flush()

    def store(self) -> None:
        """Let a report arrive, and be read."""
        uid = f"1.2.{self.random.randrange(9)}"
        sop = f"{uid}.1.1" if self.stable else f"{uid}.{self.number}.{self.random.randrange(1000)}"
        if self.session.get(StoredObject, sop) is not None:
            return
        sop_class = self.random.choice(
            ["1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.22", "1.2"]
        )
        self.session.add(
            StoredObject(
                sop_instance_uid=sop, series_instance_uid=f"{uid}.1", study_instance_uid=uid,
                sop_class_uid=sop_class, source="store", received_at=NOW, last_received_at=NOW,
            )
        )  # fmt: skip
        self.session.flush()

    def tally(self, steps: int) -> None:
        """Add up a part of what has ended, or all of it."""
        for _ in range(steps):
            due = due_queries(self.session)
            if due is None:
                return
            after: str | None = ""
            while after is not None:
                after = add_up(self.session, due, after)
                if steps == 1 and self.random.random() < 0.3:
                    return  # it dies half-way
