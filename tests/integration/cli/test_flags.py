"""Every flag of `doseqr qr` and `doseqr query`: what it changes in what is found, kept and sent.

One PACS, one store and one set of services for all; what each flag is to change was put into the studies.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import delete

from shared.broker.bridge.server import BridgeServer
from shared.broker.memory.broker import MemoryBroker
from shared.database.models import StoredObject
from shared.database.session import Database
from shared.settings import Settings, load
from simulator.archive.model import Series, Study
from simulator.behaviour import Behaviour
from simulator.scp import ScriptedPacs
from tests.support.peers.storage_scp import StoreScp
from tests.support.peers.studies import (
    dx_study,
    fl_study,
    nm_study,
    objects,
    series,
    sr_only_study,
    study,
    toshiba_ct_study,
)
from tests.support.ports import free_port
from tests.support.servers.databases import prepare
from tests.support.services.cli import Doseqr, Result
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

TODAY = dt.datetime.now(dt.UTC).astimezone().date()


def day(number: int) -> dt.date:
    """Return the day of the archive with this number; all lie within the last days, so that -f is quick."""
    return TODAY - dt.timedelta(days=9 - number)


def at(station: str, *members: Series, number: int = 0, **fields: Any) -> Study:
    """Return a study whose series all come from one station."""
    placed = (replace(member, station_name=station) for member in members)
    return study(*placed, date=day(number), **fields)


def ct(station: str, **fields: Any) -> Study:
    return at(
        station, series("ct_image", 3, description="Thorax"), series("rdsr_ct", description="Dose"), **fields
    )


#: What the archive holds, by names of these tests.
STUDIES: Mapping[str, Study] = {
    "thorax": ct("CT1", time=dt.time(8), description="CT Thorax", accession_number="A1"),
    "knee": ct("CT2", time=dt.time(12, 30), description="CT Knee left", accession_number="A2"),
    "head": ct("CT1", number=1, description="CT Head", accession_number="A3"),
    "late": ct("CT1", number=2, description="CT Abdomen", accession_number="A4"),
    "mg": at("MG1", series("mg_image", 2), series("key_objects"), description="Mammo"),
    "fl": fl_study(date=day(0)),
    "dx": dx_study(date=day(0)),
    "nm": nm_study(date=day(0)),
    "sr": sr_only_study(date=day(0)),
    "toshiba": toshiba_ct_study(date=day(5)),
    "rooms": study(
        series("mg_image", 1, station_name="ROOM1"), series("mg_image", 1, station_name="ROOM2"), date=day(6)
    ),
}
NAMES = {entry.study_instance_uid: name for name, entry in STUDIES.items()}
DAY = str(day(0))


@dataclass(frozen=True)
class City:
    """The whole system of the module."""

    settings: Settings
    system: System
    pacs: ScriptedPacs
    store: StoreScp


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """All services over an embedded broker, a PACS, one that is mute at image level, one that is away."""
    with pytest.MonkeyPatch.context() as environment:
        for name in Settings.model_fields:
            environment.delenv(f"DOSEQR_{name.upper()}", raising=False)
        values = {
            "DATA_DIR": tmp_path_factory.mktemp("city"),
            "AMQP_URL": "memory://",
            "STORE_PORT": free_port(),
            # No peer here keeps anybody waiting: these only bound a busy machine.
            "DIMSE_TIMEOUT": 30,
            "CONNECT_TIMEOUT": 10,
            "RETRY_PAUSES": "[0.1]",
            "PATIENCE": 1,
            "GRACE": 5,
        }
        for name, value in values.items():
            environment.setenv(f"DOSEQR_{name}", str(value))
        yield from _built(load())


def _built(settings: Settings) -> Iterator[City]:
    store = StoreScp("ARCHIVE").start()
    destinations = {
        "ARCHIVE": store.address,
        settings.store_ae_title: ("127.0.0.1", settings.store_port),
    }
    pacs = ScriptedPacs(STUDIES.values(), Behaviour(), destinations=destinations).start()
    mute_behaviour = Behaviour(image_level_empty_for=frozenset({"SR"}))
    mute = ScriptedPacs(STUDIES.values(), mute_behaviour, destinations=destinations).start()
    database = Database(settings.database)
    prepare(database)
    broker = MemoryBroker()
    broker.declare()
    system = System(settings, broker, database)
    system.add_own_store()
    system.add_store("archive", *store.address, "ARCHIVE")
    system.add_remote("pacs", pacs.host, pacs.port, pacs.ae_title)
    system.add_remote("mute", mute.host, mute.port, mute.ae_title)
    system.add_remote("away", "127.0.0.1", free_port(), "AWAY")
    system.add_store("absent", "127.0.0.1", free_port(), "ABSENT")
    system.start("store", "echo", "query", "retrieve")
    bridge = BridgeServer(broker, settings.bridge_socket)
    yield City(settings, system, pacs, store)
    bridge.close()
    system.close()
    broker.close()
    database.close()
    for scp in (pacs, mute, store):
        scp.stop()


@pytest.fixture
def doseqr(city: City, capsys: pytest.CaptureFixture[str], logging_as_before: None) -> Doseqr:
    """Give the command line of the city."""
    return Doseqr(capsys, city.settings)


def kept(query: Mapping[str, Any]) -> set[str]:
    """Return the names of the studies that a query kept."""
    return {NAMES[entry["study_instance_uid"]] for entry in query["studies"] if entry["decision"] == "keep"}


def classic(doseqr: Doseqr, *flags: str, remote: str = "pacs", store: str = "archive") -> Result:
    """Run `doseqr qr` with JSON, which must end well."""
    result = doseqr("qr", *flags, "--json", remote, store)
    assert result.code == 0, result.err
    return result


def query(doseqr: Doseqr, *flags: str, remote: str = "pacs", store: str = "archive") -> Result:
    """Run `doseqr query` with JSON, which must end well."""
    result = doseqr("query", "--remote", remote, "--store", store, *flags, "--json")
    assert result.code == 0, result.err
    return result


CLASSIC = [
    # Types
    ("-ct -sd {0}", {"thorax", "knee"}),
    ("-mg -sd {0}", {"mg"}),
    ("-fl -sd {0}", {"fl"}),
    ("-dx -sd {0}", {"dx"}),
    ("-nm -sd {0}", {"nm"}),
    ("-sr -sd {0}", {"sr"}),
    ("-ct -mg -dx -sd {0}", {"thorax", "knee", "mg", "dx"}),
    # Dates and times
    ("-ct -f {1}", {"head", "late"}),
    ("-ct --dfrom {1}", {"head", "late"}),
    ("-ct -t {1}", {"thorax", "knee", "head"}),
    ("-ct --duntil {1}", {"thorax", "knee", "head"}),
    ("-ct -f {1} -t {1}", {"head"}),
    ("-ct --single_date {1}", {"head"}),
    ("-ct -sd {0} -tf 1200", {"knee"}),
    ("-ct -sd {0} --tfrom 1200", {"knee"}),
    ("-ct -sd {0} -tt 1200", {"thorax"}),
    ("-ct -sd {0} --tuntil 1200", {"thorax"}),
    ("-ct -sd {0} -tf 0700 -tt 0900", {"thorax"}),
    # Filters
    ("-ct -sd {0} -e KNEE,hip", {"thorax"}),
    ("-ct -sd {0} --desc_exclude knee", {"thorax"}),
    ("-ct -sd {0} -i knee", {"knee"}),
    ("-ct -sd {0} --desc_include knee", {"knee"}),
    ("-ct -sd {0} -sne ct2", {"thorax"}),
    ("-ct -sd {0} --stationname_exclude ct2", {"thorax"}),
    ("-ct -sd {0} -sni ct2,ct9", {"knee"}),
    ("-ct -sd {0} --stationname_include ct2", {"knee"}),
    ("-mg -sd {6} -sne room2", {"rooms"}),
    ("-mg -sd {6} -sne room2 --stationname_study_level", set()),
    # Options
    ("-ct -sd {5}", set()),
    ("-ct -sd {5} -toshiba", {"toshiba"}),
]


@pytest.mark.parametrize(("flags", "names"), CLASSIC, ids=[flags for flags, _ in CLASSIC])
def test_a_classic_flag_changes_what_is_kept_and_sent(
    city: City, doseqr: Doseqr, flags: str, names: set[str]
) -> None:
    # Given
    before = len(city.store.received)
    # When
    result = classic(doseqr, *flags.format(*map(day, range(7))).split())
    # Then
    assert kept(result.json["query"]) == names
    arrived = {entry.sop_instance_uid for entry in city.store.received[before:]}
    assert {name for name in STUDIES if arrived & objects(STUDIES[name])} == names
    if not names:
        assert result.json["retrieve"] is None
    else:
        assert result.json["retrieve"]["counts"]["arrived"] == len(arrived)


def test_the_nodes_of_a_classic_line_are_named_by_number_or_name(doseqr: Doseqr) -> None:
    # Given
    numbers = {node["name"]: str(node["id"]) for node in doseqr("nodes", "list", "--json").json}
    # When
    result = classic(doseqr, "-ct", "-sd", DAY, remote=numbers["pacs"], store=numbers["archive"])
    # Then
    assert (result.json["query"]["remote"], result.json["query"]["store"]) == ("pacs", "archive")


def test_a_classic_line_without_json_describes_both_jobs(doseqr: Doseqr) -> None:
    # When
    result = doseqr("qr", "-ct", "-sd", DAY, "pacs", "archive")
    # Then
    assert result.code == 0
    heads = [line.split()[0] for line in result.out.splitlines() if not line.startswith(" ")]
    assert heads == ["Query", "Retrieve"]
    assert "2 requested, 2 arrived" in result.out


def test_dup_requests_again_what_is_in_the_database(city: City, doseqr: Doseqr) -> None:
    # Given
    first = classic(doseqr, "-nm", "-sd", DAY, store="doseqr")
    # When
    again = classic(doseqr, "-nm", "-sd", DAY, store="doseqr")
    dup = classic(doseqr, "-nm", "-sd", DAY, "-dup", store="doseqr")
    # Then
    assert [kept(result.json["query"]) for result in (first, again, dup)] == [{"nm"}, set(), {"nm"}]
    assert dup.json["retrieve"]["counts"]["arrived"] == first.json["retrieve"]["counts"]["arrived"] == 1
    forget(city)


def test_emptysr_takes_reports_without_a_match_at_image_level(city: City, doseqr: Doseqr) -> None:
    # Given
    before = len(city.store.received)
    # When
    without = classic(doseqr, "-fl", "-sd", DAY, remote="mute")
    with_them = classic(doseqr, "-fl", "-sd", DAY, "-emptysr", remote="mute")
    # Then
    assert [kept(result.json["query"]) for result in (without, with_them)] == [set(), {"fl"}]
    arrived = {entry.sop_instance_uid for entry in city.store.received[before:]}
    assert arrived == objects(STUDIES["fl"], content="rdsr_fl")


@pytest.mark.parametrize(
    ("arguments", "field", "problem"),
    [
        ("-sd {0} pacs archive", "types", "at least one"),
        ("-sr -ct -sd {0} pacs archive", "sr", "stands alone"),
        ("-ct -sd {0} -f {0} pacs archive", "single_date", "cannot be given"),
        ("-ct -sd {0} -t {0} pacs archive", "single_date", "cannot be given"),
        ("-ct -sd 05/03/2024 pacs archive", "date_from", "yyyy-mm-dd"),
        ("-ct -f 2024-02-30 pacs archive", "date_from", "no such date"),
        ("-ct -t 2024-2-3 pacs archive", "date_until", "yyyy-mm-dd"),
        ("-ct -f {1} -t {0} pacs archive", "date_from", "is after"),
        ("-ct -f {0} -tf 0800 pacs archive", "time_from", "single date"),
        ("-ct -sd {0} -tf 2500 pacs archive", "time_from", "no such time"),
        ("-ct -sd {0} -tt 8 pacs archive", "time_until", "hhmm"),
        ("-ct -sd {0} -tf 0900 -tt 0800 pacs archive", "time_from", "is after"),
        ("-ct -sd {0} nowhere archive", "qr_id", "no remote node"),
        ("-ct -sd {0} pacs nowhere", "store_id", "no store node"),
        ("-ct -sd {0} archive pacs", "qr_id", "is a store node"),
        ("-ct -sd {0} 999 archive", "qr_id", "no remote node"),
        ("-ct -sd {0} pacs", "", "store_id"),
        ("-ct -e -sd {0} pacs archive", "", "-e/--desc_exclude"),
        ("-xx -sd {0} pacs archive", "", "-xx"),
    ],
)
def test_a_wrong_classic_line_names_what_is_wrong(
    doseqr: Doseqr, arguments: str, field: str, problem: str
) -> None:
    # When
    result = doseqr("qr", "--json", *arguments.format(*map(day, range(7))).split())
    # Then
    assert (result.code, result.json["error"]["code"], result.json["error"]["field"]) == (
        2,
        "wrong_usage",
        field,
    )
    assert problem.casefold() in result.json["error"]["problem"].casefold()


@pytest.mark.parametrize(
    ("remote", "store", "code", "node"),
    [("away", "archive", "remote_unreachable", "away"), ("pacs", "absent", "store_unreachable", "absent")],
)
def test_a_classic_line_tests_both_nodes_first(
    doseqr: Doseqr, remote: str, store: str, code: str, node: str
) -> None:
    # When
    result = doseqr("qr", "-ct", "-sd", DAY, "--json", remote, store)
    # Then
    assert result.code == 3
    assert (result.json["error"]["code"], result.json["error"]["node"]) == (code, node)
    assert result.json["error"]["outcome"] == "connection refused"


QUERY = [
    # Types
    ("--ct --from {0} --until {0}", {"thorax", "knee"}),
    ("--mg --from {0} --until {0}", {"mg"}),
    ("--fl --from {0} --until {0}", {"fl"}),
    ("--dx --from {0} --until {0}", {"dx"}),
    ("--nm --from {0} --until {0}", {"nm"}),
    ("--include-sr-only --from {0} --until {0}", {"sr"}),
    ("--ct --include-sr-only --from {0} --until {0}", {"thorax", "knee", "sr"}),
    # Dates and times
    ("--ct --from {1}", {"head", "late"}),
    ("--ct --until {1}", {"thorax", "knee", "head"}),
    ("--ct --from {0} --until {0} --time-from 1200", {"knee"}),
    ("--ct --from {0} --until {0} --time-until 12:00", {"thorax"}),
    # Filters
    ("--ct --from {0} --until {1} --exclude knee --exclude head", {"thorax"}),
    ("--ct --from {0} --until {1} --keep knee,head", {"knee", "head"}),
    ("--ct --from {0} --until {0} --exclude-station ct2", {"thorax"}),
    ("--ct --from {0} --until {0} --keep-station ct2", {"knee"}),
    ("--mg --from {6} --until {6} --exclude-station room2", {"rooms"}),
    ("--mg --from {6} --until {6} --exclude-station room2 --station-at-study-level", set()),
    # Named studies
    ("--ct --accession-number A1 --accession-number A4", {"thorax", "late"}),
    ("--ct --study {knee}", {"knee"}),
    # Options
    ("--ct --from {5} --until {5}", set()),
    ("--ct --from {5} --until {5} --toshiba", {"toshiba"}),
]


@pytest.mark.parametrize(("flags", "names"), QUERY, ids=[flags for flags, _ in QUERY])
def test_a_flag_of_a_query_changes_what_is_kept(doseqr: Doseqr, flags: str, names: set[str]) -> None:
    # Given
    uids = {name: entry.study_instance_uid for name, entry in STUDIES.items()}
    # When
    result = query(doseqr, *flags.format(*map(day, range(7)), **uids).split())
    # Then
    assert kept(result.json) == names
    assert "retrieve" not in result.json


def test_empty_sr_takes_reports_without_a_match_at_image_level(doseqr: Doseqr) -> None:
    # Given
    flags = ("--fl", "--from", DAY, "--until", DAY)
    # When
    results = [query(doseqr, *flags, *more, remote="mute") for more in ((), ("--empty-sr",))]
    # Then
    assert [kept(result.json) for result in results] == [set(), {"fl"}]


def test_include_known_keeps_what_is_in_the_database(city: City, doseqr: Doseqr) -> None:
    # Given
    flags = ("--dx", "--from", DAY, "--until", DAY)
    query(doseqr, *flags, "--retrieve", store="doseqr")
    # When
    results = [query(doseqr, *flags, *more) for more in ((), ("--include-known",))]
    # Then
    assert [kept(result.json) for result in results] == [set(), {"dx"}]
    forget(city)


def test_retrieve_sends_what_was_kept(city: City, doseqr: Doseqr) -> None:
    # Given
    before = len(city.store.received)
    # When
    result = query(doseqr, "--ct", "--from", DAY, "--until", DAY, "--retrieve")
    # Then
    assert result.json["retrieve"]["counts"] == result.json["retrieve"]["counts"] | {"asked": 2, "arrived": 2}
    arrived = {entry.sop_instance_uid for entry in city.store.received[before:]}
    assert arrived == objects(STUDIES["thorax"], STUDIES["knee"], content="rdsr_ct")


def test_no_wait_leaves_before_the_end_and_the_query_goes_on(city: City, doseqr: Doseqr) -> None:
    # Given
    city.pacs.change(request_delay_s=0.5)
    # When
    result = query(doseqr, "--ct", "--from", DAY, "--until", DAY, "--no-wait")
    city.pacs.change(request_delay_s=0.0)
    # Then
    assert result.json["status"] in ("queued", "running")
    wait_until(lambda: city.system.status(result.json["id"]) == "completed")
    assert kept(doseqr("show", result.json["id"], "--json").json) == {"thorax", "knee"}


def test_without_json_a_query_is_described(doseqr: Doseqr) -> None:
    # When
    result = doseqr("query", "--remote", "pacs", "--store", "archive", "--ct", "--from", DAY, "--until", DAY)
    # Then
    assert result.code == 0
    assert result.out.startswith("Query ")
    assert "2 found, 2 examined, 2 kept" in result.out


def test_an_estimate_is_judged_by_earlier_queries_without_a_request(city: City, doseqr: Doseqr) -> None:
    # Given
    flags = ("--ct", "--from", DAY, "--until", DAY)
    query(doseqr, *flags)
    jobs = doseqr("jobs", "--json").json
    # When
    known = query(doseqr, *flags, "--estimate").json
    # Then
    assert (known["slices"], known["days"]) == (1, 1)
    assert known["queries"] >= 1
    assert known["studies"]["high"] >= 1
    assert doseqr("jobs", "--json").json == jobs


@pytest.mark.parametrize(
    ("arguments", "field", "problem"),
    [
        ("--from {0}", "types", "at least one"),
        ("--ct --from 05/03/2024", "date_from", "yyyy-mm-dd"),
        ("--ct --until 2024-02-30", "date_until", "no such date"),
        ("--ct --from {1} --until {0}", "date_from", "is after"),
        ("--ct --from {0} --time-from 0800", "time_from", "single date"),
        ("--ct --from {0} --until {0} --time-until 8", "time_until", "hhmm"),
        ("--ct --from {0} --accession-number A1", "accession_numbers", "cannot be combined"),
        ("--ct --study 1.2.x", "study_instance_uids.0", "must be a UID"),
        ("--ct --remote nowhere", "remote", "no remote node"),
        ("--ct --store pacs", "store", "is a remote node"),
        ("--ct --exclude " + "x" * 201, "exclude_descriptions.0", "at most 200 characters"),
    ],
)
def test_a_wrong_query_names_the_field(doseqr: Doseqr, arguments: str, field: str, problem: str) -> None:
    # When
    given = arguments.format(*map(day, range(7))).split()
    result = doseqr("query", "--remote", "pacs", "--store", "archive", *given, "--json")
    # Then
    assert (result.code, result.json["error"]["field"]) == (2, field)
    assert problem in result.json["error"]["problem"]


@pytest.mark.parametrize("arguments", [(), ("--remote", "pacs"), ("--store", "archive"), ("--cat",)])
def test_options_that_are_missing_or_unknown_are_wrong_usage(
    doseqr: Doseqr, arguments: tuple[str, ...]
) -> None:
    # When / Then
    assert doseqr("query", "--ct", *arguments).code == 2


def test_a_query_of_a_node_that_is_away_ends_with_3(doseqr: Doseqr) -> None:
    # When
    result = doseqr("query", "--remote", "away", "--store", "archive", "--ct", "--from", DAY, "--json")
    # Then
    assert result.code == 3
    assert result.json["error"]["code"] == "remote_unreachable"


def forget(city: City) -> None:
    """Make what the own store has received unknown, for the tests that follow."""
    with city.system.database.write() as session:
        session.execute(delete(StoredObject))
