"""How a final response is read: what may still come, and what is reported as sent."""

from __future__ import annotations

import pytest

from tests.unit.retrieve.planning.responses import final_response


@pytest.mark.parametrize(
    ("response", "number"),
    [
        (final_response(0x0000, 3, 0, 0), 3),
        (final_response(0x0000), 3),
        (final_response(0x0000, 0, 0, 0), 0),
        (final_response(0x0000, 9), 3),
        (final_response(0x0000, failed=1), 2),
        (final_response(0xB000, 1, 2, 0), 1),
        (final_response(0xB000, uids=["1", "2"]), 1),
        (final_response(0xA702, 1, 2, 0), 1),
        (final_response(0xC000), 0),
        (final_response(None), 0),
    ],
)
def test_no_more_objects_may_come_than_reported(response, number):
    assert response.may_come(3) == number


@pytest.mark.parametrize(
    ("response", "sop_instance_uids", "arrived"),
    [
        (final_response(0x0000, 2, 0, 0), ["1", "2"], {"1", "2"}),
        (final_response(0x0000), ["1", "2"], {"1", "2"}),
        (final_response(0x0000, 0, 0, 0), ["1", "2"], set()),
        (final_response(0x0000, 1, 0, 0), ["1", "2"], set()),
        (final_response(0x0000, 1, 0, 1), ["1", "2"], {"1", "2"}),
        (final_response(0x0000, 1, 1, 0), ["1", "2"], set()),
        (final_response(0xB000, 1, 1, 0, ["2"]), ["1", "2"], {"1"}),
        (final_response(0xB000, None, None, None, ["2"]), ["1", "2"], {"1"}),
        (final_response(0xB000, 1, 1, 0), ["1", "2"], set()),
        (final_response(0xB000, 2, 1, 0, ["3"]), ["1", "2"], {"1", "2"}),
        (final_response(0xA702, 1, 1, 0, ["2"]), ["1", "2"], {"1"}),
        (final_response(0xA702), ["1"], set()),
        (final_response(None), ["1"], set()),
        (final_response(0x0000, 5, 0, 0), [""], {""}),
        (final_response(0x0000), [""], {""}),
        (final_response(0x0000, 0, 0, 0), [""], set()),
        (final_response(0xB000, 1, 1, 0), [""], set()),
        (final_response(0xB000, 2, 1, 0, ["3"]), [""], set()),
    ],
)
def test_what_the_pacs_reports_counts_only_where_it_is_clear(response, sop_instance_uids, arrived):
    assert response.reported_sent(sop_instance_uids) == arrived
