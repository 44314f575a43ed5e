"""Who we are to peers."""

from __future__ import annotations

import uuid

from shared.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.identifiers import Uid


def test_the_class_uid_is_derived_from_a_random_uuid():
    # When
    drawn = uuid.UUID(int=int(IMPLEMENTATION_CLASS_UID.removeprefix("2.25.")))
    # Then
    assert Uid.problem_of(IMPLEMENTATION_CLASS_UID) is None
    assert drawn == uuid.UUID("5e97db10-3266-4d12-81c8-f120b46307e9")
    assert drawn.version == 4


def test_the_version_name_fits_its_element_and_names_us():
    assert IMPLEMENTATION_VERSION_NAME.startswith("DOSEQR_")
    assert 1 <= len(IMPLEMENTATION_VERSION_NAME) <= 16
