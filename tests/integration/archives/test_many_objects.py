"""Small reports and a series of images from Orthanc and dcmqrscp to three kinds of stores, all compared."""

from __future__ import annotations

import pytest

from tests.support.archives import retrieve_many
from tests.support.archives.retrieve_many import Holdings

REPORTS, IMAGES = 30, 12


@pytest.fixture(scope="session")
def holdings(tmp_path_factory: pytest.TempPathFactory) -> Holdings:
    return retrieve_many.holdings(tmp_path_factory.mktemp("holdings"), REPORTS, IMAGES)


@pytest.fixture
def store(request, system, make_orthanc, make_reference):
    """Return a store node of the kind that the test names, and what arrives there."""
    if request.param == "own":
        return retrieve_many.own(system)
    if request.param == "storescp":
        return retrieve_many.plain(system, make_reference())
    return retrieve_many.orthanc(system, make_orthanc("ARCHIVE"))


STORES = pytest.mark.parametrize("store", ["own", "storescp", "orthanc"], indirect=True)


@STORES
@pytest.mark.parametrize("some_are_lost", [False, True], ids=["all", "some_lost"])
def test_what_an_orthanc_holds_arrives_and_what_it_has_lost_is_named(
    system, store, make_orthanc, holdings, some_are_lost
):
    # Given
    node, arrived = store
    pacs = make_orthanc("ORTHANC")
    retrieve_many.send_files(pacs, holdings.folder)
    lost = holdings.one_percent() if some_are_lost else frozenset()
    if lost:
        pacs.stop()
        retrieve_many.lose(pacs.storage, lost)
        pacs.start()
    pacs.send_to(node.ae_title, node.host, node.port)
    # When
    ended = retrieve_many.retrieve(system, pacs, node, holdings.studies, lists=True)
    # Then
    retrieve_many.check(holdings, ended, arrived, lost)


@STORES
@pytest.mark.parametrize("some_are_lost", [False, True], ids=["all", "some_lost"])
def test_what_a_dcmqrscp_holds_arrives_and_what_it_has_lost_is_named(
    system, store, make_dcmqrscp, holdings, some_are_lost
):
    # Given
    node, arrived = store
    pacs = make_dcmqrscp("QRSCP", {node.ae_title: (node.host, node.port)})
    retrieve_many.send_files(pacs, holdings.folder)
    lost = holdings.one_percent() if some_are_lost else frozenset()
    retrieve_many.lose(pacs.storage, lost)
    # When
    ended = retrieve_many.retrieve(system, pacs, node, holdings.studies, lists=False)
    # Then
    retrieve_many.check(holdings, ended, arrived, lost)
