"""No match is lost on our side, however many associations one process has (pynetdicom's issue 875)."""

from __future__ import annotations

from shared.dicom.peer import Peer
from tests.support.archives.concurrent_finds import find_series
from tests.support.archives.content import files_of, slim, studies
from tests.support.archives.orthanc import Orthanc

#: C-FINDs in the tests; `make soak` sends many times as many.
FINDS = 40


def filled(orthanc: Orthanc, number: int) -> dict[str, frozenset[str]]:
    """Put studies into an Orthanc; return the series of each."""
    made = [slim(study) for study in studies(number)]
    for _, content in files_of(made):
        orthanc.add_bytes(content)
    return {
        study.study_instance_uid: frozenset(entry.series_instance_uid for entry in study.series)
        for study in made
    }


def test_four_associations_of_one_process_get_every_match_of_an_orthanc(make_orthanc):
    # Given
    orthanc = make_orthanc("ORTHANC")
    expected = filled(orthanc, 25)
    peer = Peer(orthanc.host, orthanc.port, orthanc.ae_title, "DOSEQR")
    # When
    lost = find_series(peer, expected, associations=4, finds=FINDS)
    # Then
    assert lost == []
