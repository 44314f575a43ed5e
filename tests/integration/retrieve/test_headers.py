"""Headers only: what is kept because of its header comes without its bulk data, by whatever way there is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from shared.contract.messages import ObjectsStored
from shared.database.models import StoredObject
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
