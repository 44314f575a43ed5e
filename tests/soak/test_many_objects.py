"""The long form: 2,000 dose reports and 300 images of one series, from each archive to each store."""

from __future__ import annotations

import pytest

from tests.integration.archives.test_many_objects import (
    store,
    test_what_a_dcmqrscp_holds_arrives_and_what_it_has_lost_is_named,
    test_what_an_orthanc_holds_arrives_and_what_it_has_lost_is_named,
)
from tests.support.archives import retrieve_many
from tests.support.archives.retrieve_many import Holdings

__all__ = [
    "store",
    "test_what_a_dcmqrscp_holds_arrives_and_what_it_has_lost_is_named",
    "test_what_an_orthanc_holds_arrives_and_what_it_has_lost_is_named",
]

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="session")
def holdings(tmp_path_factory: pytest.TempPathFactory) -> Holdings:
    return retrieve_many.holdings(tmp_path_factory.mktemp("holdings"), 2_000, 300)
