"""Slices of the ledger in words."""

from __future__ import annotations

import pytest

from services.web.views.criteria_text import slice_text


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (
            {"code": "CT\\SR", "date_from": "2024-04-01", "date_until": "2024-04-02"},
            "CT, SR; 2024-04-01 to 2024-04-02",
        ),
        (
            {"date_from": "2024-04-01", "date_until": "2024-04-01", "time_from": "08:00"},
            "any modality; 2024-04-01, 08:00\N{EN DASH}23:59",
        ),
        (
            {"code": "DX", "date_from": "2024-04-01", "date_until": "2024-04-01", "again": True},
            "DX; 2024-04-01; once more",
        ),
        ({"study_instance_uid": "1.2"}, "Study 1.2"),
        ({"study_instance_uids": ["1.2", "1.3"]}, "2 study UIDs"),
        ({"accession_number": "A1"}, "Accession number A1"),
    ],
)
def test_a_slice_is_written_in_words(site, payload, text):
    with site.app.test_request_context():
        assert slice_text(payload) == text
