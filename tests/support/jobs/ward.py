"""A small archive with a study of every kind, the right decisions about it, and queries of PACS that hold it.

The truth does not come from the code under test: the blueprints of the simulator know what holds the dose. A
PACS without faults is queried once; the result of another one is compared study by study, series by series.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.query.profile.learner import Learner
from shared.backoff import Backoff
from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.contract.criteria import CODES
from shared.database.models import Node, NodeBudget
from shared.database.session import Database
from shared.node_access.leases import forget_outages
from shared.nodes.peers import peer_of
from shared.querying.profile import Profile
from shared.reading.query_json import QueryJson
from shared.settings import Settings
from simulator.archive.model import Archive, Study
from simulator.behaviour import Behaviour, Fault
from simulator.generator.blueprints import KINDS, expected_objects, make_study
from simulator.scp import ScriptedPacs
from tests.support.ports import free_port
from tests.support.servers.databases import prepare
from tests.support.services.in_process import System, shorten_waits

FIRST_DAY, LAST_DAY = dt.date(2024, 3, 4), dt.date(2024, 3, 6)
TYPES = ["CT", "MG", "FL", "DX", "NM"]
SPAN = {"date_from": str(FIRST_DAY), "date_until": str(LAST_DAY)}
#: All types, reports alone, three days.
CRITERIA: dict[str, Any] = {"types": TYPES, "include_sr_only": True, **SPAN}

#: Kinds of the small archive, in the order of their times; what is judged in another way is all there.
_KINDS = (
    *("ct_rdsr", "ct_rdsr", "mg_images", "ct_philips", "ct_esr", "dx_images", "sr_only_rdsr"),
    *("ct_rdsr", "mr", "rf_rdsr", "ct_philips_undescribed", "nm_images", "mg_rdsr", "petct"),
)


def make_ward(kinds: Iterable[str], *, seed: int = 5) -> list[Study]:
    """Return a study of each of these kinds, in this order, over the three days; the same every time."""
    names = list(kinds)
    days = (LAST_DAY - FIRST_DAY).days + 1
    return [
        make_study(
            KINDS[name],
            f"2.25.{seed}{place:06d}",
            FIRST_DAY + dt.timedelta(days=place * days // len(names)),
            dt.time(8 + place % 12, (7 * place) % 60, 11),
            random.Random(f"{seed}/{place}"),
            accession_number=f"W{place:05d}",
        )
        for place, name in enumerate(names)
    ]


WARD = make_ward(_KINDS)
#: The last study of each kind.
ONE: dict[str, Study] = {study.kind: study for study in WARD}


def uid_of(kind: str) -> str:
    """Return the UID of the last study of a kind."""
    return ONE[kind].study_instance_uid


def series_of(kind: str, modality: str) -> str:
    """Return the UID of the first series of this modality in the last study of a kind."""
    return next(entry.series_instance_uid for entry in ONE[kind].series if entry.modality == modality)


# The right decisions


def is_wanted(study: Study, criteria: Mapping[str, Any] = CRITERIA) -> bool:
    """Return whether a study is of the days, and has a requested type."""
    if study.date is not None and not criteria["date_from"] <= str(study.date) <= criteria["date_until"]:
        return False
    codes = {entry.modality for entry in study.series}
    if any(not codes.isdisjoint(CODES[name]) for name in criteria["types"]):
        return True
    return bool(criteria.get("include_sr_only")) and codes == {"SR"}


def truth_of(study: Study, criteria: Mapping[str, Any] = CRITERIA) -> frozenset[str]:
    """Return the objects of a study that are to be kept."""
    return expected_objects(
        study,
        criteria["types"],
        include_sr_only=bool(criteria.get("include_sr_only")),
        toshiba=bool(criteria.get("toshiba")),
    )


def kept_of(judged: Mapping[str, Any], study: Study) -> frozenset[str]:
    """Return the objects of a study that a query keeps, those of whole series by what the archive has."""
    objects = {
        entry.series_instance_uid: [instance.sop_instance_uid for instance in entry.instances]
        for entry in study.series
    }
    kept: set[str] = set()
    for series in judged["series"]:
        if series["decision"] != "keep":
            continue
        named = [entry["sop_instance_uid"] for entry in series["objects"] if entry["decision"] == "keep"]
        kept.update(named or objects[series["series_instance_uid"]])
    return frozenset(kept)


def judged_of(query: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the decided studies that have a requested type, by UID."""
    return {
        study["study_instance_uid"]: study
        for study in query["studies"]
        if study["type"] and study["state"] == "decided"
    }


def missing_studies(query: Mapping[str, Any]) -> set[str]:
    """Return the studies that a query names as missing."""
    return {entry["study_instance_uid"] for entry in query["missing"] if entry["kind"] == "study"}


def missing_windows(query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the windows that a query names as missing."""
    return [entry for entry in query["missing"] if entry["kind"] == "slice"]


def lies_in(study: Study, window: Mapping[str, Any]) -> bool:
    """Return whether a study belongs to a window that is missing."""
    days, code = window["window"], window["code"]
    codes = code.split("\\") if isinstance(code, str) else code
    if codes and not {entry.modality for entry in study.series} & set(codes):
        return False
    if study.date is None or study.time is None:
        return True
    moment = study.time.strftime("%H:%M")
    return (days["date_from"] or "") <= study.date.isoformat() <= (days["date_until"] or "9") and (
        days["time_from"] or ""
    ) <= moment <= (days["time_until"] or "9")


def verdict_on(judged: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a decision and those about its series; which objects are kept is compared elsewhere.

    How many objects there are, and the names of those of a whole series, depend on what the PACS returns.
    """
    keys = ("modality", "decision", "reason", "note", "whole")
    series = {series["series_instance_uid"]: [series[key] for key in keys] for series in judged["series"]}
    return judged["type"], judged["decision"], judged["reason"], judged["note"], series


def check_against_truth(
    query: Mapping[str, Any],
    studies: Collection[Study],
    expected: Mapping[str, Mapping[str, Any]] | None = None,
    criteria: Mapping[str, Any] = CRITERIA,
) -> set[str]:
    """Hold every study against the truth: right, or named as missing; return the UIDs of those not judged.

    With `expected`, the decisions of another query, each decision is the same to the last series and object.
    """
    judged, unnamed, lost = judged_of(query), [], set()
    windows, named = missing_windows(query), missing_studies(query)
    assert (query["status"] == "completed") == (query["missing"] == [])
    for study in studies:
        uid = study.study_instance_uid
        if uid in judged:
            assert kept_of(judged[uid], study) == truth_of(study, criteria), study.kind
            assert expected is None or verdict_on(judged[uid]) == verdict_on(expected[uid]), study.kind
        elif is_wanted(study, criteria):
            lost.add(uid)
            if uid not in named and not any(lies_in(study, window) for window in windows):
                unnamed.append(study.kind)
    assert unnamed == [], "neither judged nor named as missing"
    wanted = {study.study_instance_uid for study in studies if is_wanted(study, criteria)}
    assert judged.keys() <= wanted
    return lost


# Queries


@dataclass
class Desk:
    """A system with short waits that queries one PACS after the other."""

    system: System
    pacs: list[ScriptedPacs] = field(default_factory=list)
    _right: dict[str, Any] | None = None

    def open(self, archive: Archive | Iterable[Study], **options: Any) -> str:
        """Start a PACS and make it known; return the name of its node. `options` are its traits."""
        pacs = ScriptedPacs(archive, Behaviour(**options))
        self.pacs.append(pacs)
        pacs.start()
        name = f"pacs-{len(self.pacs)}"
        self.system.add_remote(name, pacs.host, pacs.port, pacs.ae_title)
        return name

    def learn(self, name: str, profile: Profile) -> None:
        """Let this be known of a node."""
        settings, database = self.system.settings, self.system.database
        with database.read() as session:
            node = session.scalars(select(Node).where(Node.name == name)).one()
        learner = Learner(database, node.id, peer_of(node, settings), utc_now)
        with database.write() as session:
            learner.learn(lambda _before: profile)
            learner.save_in(session)

    def query(self, name: str, criteria: Mapping[str, Any] = CRITERIA, timeout_s: float = 60) -> QueryJson:
        """Return the JSON of a query that has ended."""
        job_id = self.system.query(criteria, remote=name)
        self.system.wait_for_end(job_id, timeout_s)
        return self.system.query_json(job_id)

    def run_query(
        self,
        traits: Mapping[str, Any],
        faults: Iterable[Fault] = (),
        *,
        archive: Archive | Iterable[Study] = WARD,
        criteria: Mapping[str, Any] = CRITERIA,
        learned: Profile | None = None,
    ) -> QueryJson:
        """Query a PACS with these traits and this profile; the PACS is the last of `pacs`."""
        name = self.open(archive, **traits, faults=tuple(faults))
        if learned is not None:
            self.learn(name, learned)
        try:
            return self.query(name, criteria)
        finally:
            # An idle association costs time: its two ends poll.
            self.pacs[-1].stop()
            self._forget_outages()

    def _forget_outages(self) -> None:
        """Let no node of another test count as away: the more there are, the rarer each is tried."""
        with self.system.database.write() as session:
            forget_outages(session, session.scalars(select(NodeBudget.node_id)).all())

    def right(self) -> dict[str, Any]:
        """Return the decisions for a PACS without faults; it is queried once."""
        if self._right is None:
            query = self.run_query({})
            assert check_against_truth(query, WARD) == set()
            self._right = judged_of(query)
        return self._right

    def close_pacs(self) -> None:
        """Stop the PACS that were opened, and let go of those that are stopped."""
        for pacs in self.pacs:
            pacs.stop()


def make_settings(folder: Path, **changes: Any) -> Settings:
    """Return settings with short waits."""
    values: dict[str, Any] = {
        "data_dir": folder / "data",
        "store_port": free_port(),
        "web_port": free_port(),
        "dimse_timeout": 5.0,
        "connect_timeout": 3.0,
        "grace": 5.0,
        "retry_pauses": (0.05, 0.1),
        "patience": 10.0,
    }
    return Settings(**values | changes)


@pytest.fixture(scope="module")
def make_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Desk]]:
    """Make desks for the tests of a module; what waits between tries waits for a moment only."""
    desks: list[Desk] = []
    databases: list[Database] = []
    with pytest.MonkeyPatch.context() as patch:
        shorten_waits(patch)
        # Shorter than the patience of any desk: who waits for the try of another comes back in time.
        patch.setattr("shared.node_access.outage.PAUSES", Backoff(0.1, 30.0))
        patch.setattr("shared.node_access.outage.TRY_TAKES", dt.timedelta(seconds=0.1))

        def make(**changes: Any) -> Desk:
            folder = tmp_path_factory.mktemp("desk")
            databases.append(Database(f"sqlite:///{folder / 'desk.sqlite'}"))
            prepare(databases[-1])
            broker = MemoryBroker()
            broker.declare()
            system = System(make_settings(folder, **changes), broker, databases[-1])
            system.add_own_store()
            system.start("query")
            desks.append(Desk(system))
            desks[-1].right()
            return desks[-1]

        yield make
        for desk in desks:
            desk.system.close()
            desk.close_pacs()
        for database in databases:
            database.close()
