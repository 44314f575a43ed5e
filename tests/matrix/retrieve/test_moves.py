"""Each fault of a retrieve (moves.py): the right requests, the right ledger, the right end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from services.retrieve.planning import fruitless
from shared.backoff import Backoff
from shared.broker.memory.broker import MemoryBroker
from shared.database.session import Database
from shared.jobs import runner
from shared.settings import Settings
from simulator.behaviour import Behaviour
from simulator.scp import ScriptedPacs
from simulator.witness import RecordedRequest
from tests.matrix.retrieve.moves import ROWS, Case, Row
from tests.matrix.rows import name_of
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.query_store import QueryableStore
from tests.support.peers.storage_scp import StoreScp
from tests.support.peers.studies import series, study
from tests.support.ports import free_port
from tests.support.servers.databases import prepare
from tests.support.services.in_process import System

_numbers = count(1)


#: How long it is waited, in seconds, for what never comes, and for what does.
SHORT, LONG = (0.4, 1.0), (20.0, 20.0)


@contextmanager
def running(folder: Path, arrival_grace_s: float, dimse_timeout_s: float) -> Iterator[Retrieves]:
    """Run store and retrieve services over the in-memory broker and SQLite."""
    settings = Settings(
        data_dir=folder / "data",
        store_port=free_port(),
        dimse_timeout=dimse_timeout_s,
        connect_timeout=2 * dimse_timeout_s,
        retry_pauses=(0.05, 0.05),
        retrieve_workers=4,
        patience=3.0,
    )
    database = Database(f"sqlite:///{folder / 'table.sqlite'}")
    prepare(database)
    broker = MemoryBroker()
    broker.declare()
    system = System(settings, broker, database)
    system.start("store")
    retrieves = Retrieves(system)
    retrieves.grace_s = arrival_grace_s
    retrieves.start()
    yield retrieves
    retrieves.stop()
    system.close()
    database.close()


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Row], Retrieves]]:
    """Services for all rows: those that wait for what never comes, and those that no busy machine hurries."""
    started: dict[tuple[float, float], Retrieves] = {}
    with ExitStack() as stack:
        # Pauses between tries are short here; looking for what is due once a second would dominate them.
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(runner, "SWEEP_S", 0.3)
        patch.setattr(fruitless, "PAUSES", Backoff(0.05, 0.1))

        def house_of(row: Row) -> Retrieves:
            times = LONG if row.waits_for_nothing else SHORT
            if times not in started:
                started[times] = stack.enter_context(running(tmp_path_factory.mktemp("table"), *times))
            return started[times]

        yield house_of


def a_case(kept: str) -> Case:
    kept_study = study(series("ct_image", 41 if kept == "long" else 5), series("ct_image", 2))
    everything = [instance.sop_instance_uid for member in kept_study.series for instance in member.instances]
    places = {"series": slice(None), "list": slice(0, 3), "long": slice(9, 41), "single": slice(0, 1)}
    return Case(kept_study, tuple(everything[places[kept]]))


def a_store(stack: ExitStack, row: Row, case: Case, house: Retrieves, number: int) -> Any:
    """Return the store node of a row, and what it holds in the end where it is not ours."""
    if row.store == "own":
        return house.system.add_own_store(), None
    store = StoreScp().start() if row.store == "plain" else QueryableStore()
    stack.callback(store.stop)
    left = Counter({case.kept[place]: 1 for place in row.store_refuses})

    def status_of(uid: str) -> int:
        refused = left[uid] > 0
        if refused and not row.store_refuses_always:
            left[uid] -= 1
        return row.store_refuses[case.kept.index(uid)] if refused else 0x0000

    store.status_for = status_of
    return house.system.add_store(f"store-{number}", "127.0.0.1", store.port, store.ae_title), store


def written_requests(pacs: ScriptedPacs) -> list[str]:
    return [written(request) for request in recorded_requests(pacs)]


def written(request: RecordedRequest) -> str:
    if request.level == "SERIES":
        return "S"
    return f"I{len(request.keys.get('SOPInstanceUID', ()))}"


@pytest.mark.parametrize("row", ROWS, ids=map(name_of, ROWS))
def test_a_behaviour_leads_to_the_right_ledger_and_end(houses: Callable[[Row], Retrieves], row: Row) -> None:
    number, house = next(_numbers), houses(row)
    with ExitStack() as stack:
        # Given
        case = a_case(row.kept)
        other = study(series("ct_image", 6))
        pacs = stack.enter_context(ScriptedPacs([other, case.study], Behaviour(**row.traits(case))))
        house.remote = house.system.add_remote(f"pacs-{number}", pacs.host, pacs.port, pacs.ae_title)
        house.store, store = a_store(stack, row, case, house, number)
        pacs.destinations[house.store.ae_title] = (house.store.host, house.store.port)
        query_id = house.kept([case.study], only=case.kept, job_id=f"query-{number}")
        # When
        retrieve = house.run(query_id)
    # Then
    lost = {case.kept[place] for place in row.lost}
    ledger = house.objects(retrieve["id"])
    if row.requests is not None:
        assert written_requests(pacs) == row.requests.split()
    assert len(recorded_requests(pacs)) <= row.at_most
    assert (retrieve["status"], retrieve["failure"]) == (row.status, row.failure)
    assert set(ledger) == set(case.kept)
    assert {uid for uid, entry in ledger.items() if entry.state != "arrived"} == lost
    assert {(entry.state, entry.reason) for uid, entry in ledger.items() if uid in lost} <= {row.lost_as}
    assert retrieve["counts"]["arrived"] == len(case.kept) - len(lost)
    if store is not None:
        assert store.uids & set(case.kept) == set(case.kept) - lost
