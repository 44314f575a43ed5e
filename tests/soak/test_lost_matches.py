"""The long form: 20,000 C-FINDs at series level on four associations, every match complete."""

from __future__ import annotations

import pytest

from shared.dicom.peer import Peer
from tests.integration.archives.test_lost_matches import filled
from tests.support.archives.concurrent_finds import find_series

FINDS = 20_000


@pytest.mark.timeout(1800)
def test_twenty_thousand_finds_lose_no_match(make_orthanc):
    # Given
    orthanc = make_orthanc("ORTHANC")
    expected = filled(orthanc, 50)
    peer = Peer(orthanc.host, orthanc.port, orthanc.ae_title, "DOSEQR")
    # When
    lost = find_series(peer, expected, associations=4, finds=FINDS)
    # Then
    assert lost == []
