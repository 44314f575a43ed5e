"""Headers only: what is kept because of its header comes without its bulk data, by whatever way there is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from shared.contract.messages import ObjectsStored
from shared.database.models import NodeProfile, StoredObject
from simulator.dicomweb.behaviour import WebBehaviour
from tests.support.archives.content import files_of
from tests.support.archives.dicomweb_server import web_fault
from tests.support.archives.orthanc import with_dicomweb
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import series, study
from tests.support.waiting import wait_until

IMAGES = "images_no_report"


def mammography(images: int = 2) -> Any:
    """Return a study of mammograms, a dose screen as secondary capture, and a report."""
    screen = series("mg_image", sop_class_uid="1.2.840.10008.5.1.4.1.1.7")
    return study(series("mg_image", images), screen, series("rdsr_mg"))


def stored(retrieves: Retrieves) -> dict[str, StoredObject]:
    with retrieves.system.database.read() as session:
        return {row.sop_instance_uid: row for row in session.query(StoredObject)}


def file_of(retrieves: Retrieves, row: StoredObject) -> Path:
    return retrieves.system.settings.objects_dir / row.path


def read(retrieves: Retrieves, row: StoredObject) -> Dataset:
    return dcmread(io.BytesIO(file_of(retrieves, row).read_bytes()))


def contents(retrieves: Retrieves) -> dict[str, str]:
    return {uid: row.content for uid, row in stored(retrieves).items()}


def announced(retrieves: Retrieves) -> dict[str, str]:
    events = retrieves.system.published(ObjectsStored)
    return {entry.sop_instance_uid: entry.content for event in events for entry in event.objects}


@pytest.mark.parametrize("named", [True, False])
def test_only_headers_of_what_is_kept_for_them_are_stored(retrieves, scripted_pacs, named) -> None:
    # Given
    kept = mammography()
    pacs = scripted_pacs([kept])
    retrieves.connect(pacs)
    retrieves.kept([kept], named=named, reason=IMAGES)

    # When
    retrieve = retrieves.run(content="headers")

    # Then
    assert (retrieve["status"], retrieve["content"]) == ("completed", "headers")
    assert (retrieve["counts"]["arrived"], retrieve["counts"]["headers"]) == (4, 2)
    images, screen, report = ([uid.sop_instance_uid for uid in member.instances] for member in kept.series)
    expected = dict.fromkeys(images, "headers") | dict.fromkeys([*screen, *report], "whole")
    assert contents(retrieves) == expected
    for uid in images:
        header = read(retrieves, stored(retrieves)[uid])
        assert "PixelData" not in header
        assert header.Rows > 0
        assert header.private_block(0x0009, "DOSEQR HEADER")[1].value == "LEFT OUT ON ARRIVAL"
        assert header.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    wait_until(lambda: announced(retrieves) == expected)


def test_whole_objects_take_the_place_of_their_headers(retrieves, scripted_pacs) -> None:
    # Given
    kept = mammography()
    retrieves.connect(scripted_pacs([kept]))
    retrieves.kept([kept], reason=IMAGES)
    retrieves.run(content="headers")

    # When
    whole = retrieves.run(content="whole")
    again = retrieves.run(content="whole")
    headers = retrieves.run(content="headers")

    # Then
    assert (whole["status"], whole["counts"]["asked"], whole["counts"]["headers"]) == ("completed", 2, 0)
    assert again["counts"]["asked"] == headers["counts"]["asked"] == 0
    assert set(contents(retrieves).values()) == {"whole"}
    assert all(row.conflicts == 0 for row in stored(retrieves).values())
    assert all(
        "PixelData" in read(retrieves, stored(retrieves)[uid.sop_instance_uid])
        for uid in kept.series[0].instances
    )


def test_node_is_set_up_for_headers_and_an_order_for_whole(retrieves, scripted_pacs) -> None:
    # Given
    kept = mammography(1)
    retrieves.connect(scripted_pacs([kept]))
    with retrieves.system.database.write() as session:
        session.merge(retrieves.remote).retrieve_content = "headers"
    retrieves.kept([kept], reason=IMAGES)

    # When
    by_node = retrieves.run()
    by_order = retrieves.run(content="whole")

    # Then
    assert (by_node["content"], by_node["counts"]["headers"]) == ("headers", 1)
    assert (by_order["content"], by_order["counts"]["arrived"]) == ("whole", 1)


def test_series_that_the_pacs_does_not_list_come_as_headers(retrieves, scripted_pacs) -> None:
    # Given
    kept = study(series("mg_image", 3))
    pacs = scripted_pacs([kept], image_level_empty_for=["MG"])
    retrieves.connect(pacs)
    retrieves.kept([kept], named=False, reason=IMAGES)

    # When
    retrieve = retrieves.run(content="headers")
    whole = retrieves.run(content="whole")

    # Then
    assert (retrieve["status"], retrieve["counts"]["headers"]) == ("completed", 3)
    assert (whole["status"], whole["counts"]["arrived"]) == ("completed", 3)
    assert set(contents(retrieves).values()) == {"whole"}


def ways(retrieves: Retrieves) -> set[str]:
    """Return how the stored headers came."""
    headers = [row for row in stored(retrieves).values() if row.content == "headers"]
    return {read(retrieves, row).private_block(0x0009, "DOSEQR HEADER")[1].value for row in headers}


def offers(retrieves: Retrieves) -> bool | None:
    with retrieves.system.database.read() as session:
        profile = session.get(NodeProfile, retrieves.remote.id)
        return None if profile is None else profile.data.get("headers")


def test_headers_come_by_c_get_without_bulk_data_where_offered(retrieves, scripted_pacs) -> None:
    # Given
    kept = mammography()
    retrieves.connect(scripted_pacs([kept], without_bulk_data=True))
    retrieves.kept([kept], reason=IMAGES)

    # When
    retrieve = retrieves.run(content="headers")
    whole = retrieves.run(content="whole")

    # Then
    assert (retrieve["status"], retrieve["counts"]["arrived"], retrieve["counts"]["headers"]) == (
        "completed",
        4,
        2,
    )
    assert offers(retrieves) is True
    first = retrieves.moves(retrieve["id"])[0]
    assert (first.level, first.completed) == ("IMAGE", 2)
    assert (whole["status"], whole["counts"]["arrived"]) == ("completed", 2)
    assert set(contents(retrieves).values()) == {"whole"}


def test_way_of_headers_is_what_the_node_offers_and_is_remembered(retrieves, scripted_pacs) -> None:
    # Given
    kept = mammography()
    lost = kept.series[0].instances[0].sop_instance_uid
    retrieves.connect(scripted_pacs([kept], without_bulk_data=True, fail=[lost], fail_times=1))
    retrieves.kept([kept], reason=IMAGES)

    # When
    retrieve = retrieves.run(content="headers")

    # Then one that fails comes by the next way, and the node is not blamed
    assert (retrieve["status"], retrieve["counts"]["headers"]) == ("completed", 2)
    assert ways(retrieves) == {"C-GET WITHOUT BULK DATA", "LEFT OUT ON ARRIVAL"}
    assert offers(retrieves) is True


def test_node_without_that_service_is_not_requested_again(retrieves, scripted_pacs) -> None:
    # Given
    kept, later = mammography(), mammography()
    pacs = scripted_pacs([kept, later])
    retrieves.connect(pacs)
    retrieves.kept([kept], reason=IMAGES)
    retrieves.kept([later], reason=IMAGES, job_id="query-2")

    # When
    first, second = retrieves.run(content="headers"), retrieves.run("query-2", content="headers")

    # Then
    assert first["status"] == second["status"] == "completed"
    assert first["counts"]["headers"] == second["counts"]["headers"] == 2
    assert ways(retrieves) == {"LEFT OUT ON ARRIVAL"}
    assert offers(retrieves) is False


@pytest.mark.parametrize("fault", [None, "metadata"])
def test_headers_come_as_metadata_from_a_dicomweb_server(retrieves, dicomweb_server, fault) -> None:
    # Given
    kept = mammography()
    behaviour = WebBehaviour() if fault is None else web_fault(501, fault)
    server = dicomweb_server([kept], behaviour)
    retrieves.store = retrieves.system.add_own_store()
    retrieves.remote = retrieves.system.add_dicomweb("web", server.url)
    retrieves.system.start("store")
    retrieves.start()
    retrieves.kept([kept], reason=IMAGES)

    # When
    retrieve = retrieves.run(content="headers")
    came = ways(retrieves)
    whole = retrieves.run(content="whole")

    # Then
    assert (retrieve["status"], retrieve["counts"]["headers"]) == ("completed", 2)
    assert came == {"WADO-RS METADATA" if fault is None else "LEFT OUT ON ARRIVAL"}
    assert offers(retrieves) is (fault is None)
    assert (whole["status"], whole["counts"]["arrived"]) == ("completed", 2)
    assert set(contents(retrieves).values()) == {"whole"}


def test_headers_of_orthanc_come_as_metadata_and_whole_objects_later(retrieves, make_orthanc) -> None:
    # Given
    kept = mammography()
    orthanc = make_orthanc("ORTHANC", **with_dicomweb())
    for _, content in files_of([kept]):
        orthanc.add_bytes(content)
    retrieves.store = retrieves.system.add_own_store()
    retrieves.remote = retrieves.system.add_dicomweb("web", orthanc.dicomweb_url)
    retrieves.system.start("store")
    retrieves.start()
    retrieves.kept([kept], reason=IMAGES)

    # When
    retrieve = retrieves.run(content="headers")
    came, headers = ways(retrieves), {row.path: read(retrieves, row) for row in stored(retrieves).values()}
    whole = retrieves.run(content="whole")

    # Then
    assert (retrieve["status"], retrieve["counts"]["headers"]) == ("completed", 2)
    assert came == {"WADO-RS METADATA"}
    assert (whole["status"], whole["counts"]["arrived"]) == ("completed", 2)
    for row in stored(retrieves).values():
        now, before = read(retrieves, row), headers[row.path]
        assert "PixelData" in now or "ContentSequence" in now
        changed = {
            element.tag for element in now if element.tag not in before or before[element.tag] != element
        }
        assert {tag for tag in changed if tag != 0x7FE00010} == set()
