"""Orthanc with its DICOMweb plug-in: the same decisions and the same objects as over DIMSE."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.archives import test_strangers
from tests.integration.archives.test_strangers import EVERYTHING, arrived_in, header_of, kept_of
from tests.support.archives.orthanc import with_dicomweb
from tests.support.services.store import data_set_in

real_files = test_strangers.real_files

pytestmark = test_strangers.pytestmark


@pytest.fixture
def orthanc_with_both(system, make_orthanc, real_files):
    """Return the files that an Orthanc has, which is known as `pacs` and `web`."""
    orthanc = make_orthanc("ORTHANC", **with_dicomweb())
    files = orthanc.add(real_files)
    system.add_remote("pacs", orthanc.host, orthanc.port, orthanc.ae_title)
    system.add_dicomweb("web", orthanc.dicomweb_url)
    system.add_own_store()
    system.start("store", "query", "retrieve")
    return files


#: This Orthanc returns modalities of reports over DICOMweb that it returns and matches otherwise over DIMSE.
CRITERIA = EVERYTHING | {"include_sr_only": True}


def kept_in(query: dict[str, Any]) -> set[str]:
    """Return the studies, series and objects that are kept."""
    studies = [study for study in query["studies"] if study["decision"] == "keep"]
    series = [entry for study in studies for entry in study["series"] if entry["decision"] == "keep"]
    return {
        *(study["study_instance_uid"] for study in studies),
        *(entry["series_instance_uid"] for entry in series),
        *(
            instance["sop_instance_uid"]
            for entry in series
            for instance in entry["objects"]
            if instance["decision"] == "keep"
        ),
    }


def test_dicomweb_leads_to_the_decisions_and_objects_of_dimse(system, orthanc_with_both):
    # Given
    files = orthanc_with_both
    stored = {str(header_of(path).SOPInstanceUID): data_set_in(path) for path in files}
    over_dimse = system.finished_query(CRITERIA)
    # When
    over_web = system.finished_query(CRITERIA, remote="web")
    again = system.finished_query(CRITERIA, remote="web")
    retrieve = system.finished_retrieve(over_web["id"])
    # Then
    kept, arrived = kept_of(over_web, files), arrived_in(system)
    assert over_dimse["status"] == over_web["status"] == "completed"
    assert kept_in(over_web) == kept_in(over_dimse) == kept_in(again)
    assert set(arrived) == kept == kept_of(over_dimse, files)
    assert [uid for uid in kept if arrived[uid] != stored[uid]] == []
    assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
    assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(kept)
