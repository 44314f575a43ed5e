"""Which kept objects carry the dose in their header."""

from __future__ import annotations

import pytest

from shared.contract.reasons import Kind, Reason, kind
from shared.querying.header_objects import HEADER_REASONS, header_is_enough

MG, SECONDARY_CAPTURE, RDSR = "1.2", "7", "88.67"
ROOT = "1.2.840.10008.5.1.4.1.1."
WHOLE_REASONS = {
    Reason.RDSR,
    Reason.RRDSR,
    Reason.ESR,
    Reason.UNKNOWN_SR,
    Reason.PHILIPS_DOSE_INFO,
    Reason.PHILIPS_MAYBE_DOSE_INFO,
    Reason.TOSHIBA_SECONDARY_CAPTURE,
}


def test_every_reason_to_keep_is_for_header_or_whole() -> None:
    kept = {reason for reason in Reason if kind(reason.value) is Kind.KEEP}
    assert kept == HEADER_REASONS | WHOLE_REASONS
    assert not HEADER_REASONS & WHOLE_REASONS


@pytest.mark.parametrize("reason", sorted(HEADER_REASONS))
def test_header_is_enough_but_not_of_dose_screens_and_reports(reason) -> None:
    assert header_is_enough(reason, ROOT + MG)
    assert header_is_enough(reason, "")
    for whole in (SECONDARY_CAPTURE, "7.4", RDSR, "88.22", "104.1"):
        assert not header_is_enough(reason, ROOT + whole)


@pytest.mark.parametrize("reason", sorted(WHOLE_REASONS))
def test_pixels_or_reports_that_hold_the_dose_stay_whole(reason) -> None:
    assert not header_is_enough(reason, ROOT + MG)
