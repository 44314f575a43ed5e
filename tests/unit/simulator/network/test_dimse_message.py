"""DIMSE messages as bytes, held against what pynetdicom makes of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import P_DATA_TF

from simulator.network import dimse_message


def fragments(pdus: bytes) -> list[tuple[int, int, bytes]]:
    """Return context, control header and content of each fragment."""
    found: list[tuple[int, int, bytes]] = []
    while pdus:
        length = int.from_bytes(pdus[2:6], "big") + 6
        pdu = P_DATA_TF()
        pdu.decode(pdus[:length])
        found.extend(
            (item.context_id or 0, value[0], value[1:])
            for item in pdu.presentation_data_value_items
            if (value := item.presentation_data_value)
        )
        pdus = pdus[length:]
    return found


@given(
    payload=st.binary(max_size=2000),
    maximum=st.integers(min_value=0, max_value=300).filter(lambda n: n == 0 or n > 6),
)
def test_fragments_join_to_the_payload_and_only_the_last_is_marked(payload, maximum):
    # When
    parts = fragments(dimse_message.p_data(3, payload, is_command=False, maximum_length=maximum))

    # Then
    assert b"".join(content for _context, _header, content in parts) == payload
    assert [header for _context, header, _content in parts] == [0] * (len(parts) - 1) + [2]
    assert all(maximum == 0 or len(content) + 6 <= maximum for _context, _header, content in parts)


def test_command_set_has_its_length_and_data_set_type():
    # When
    encoded = dimse_message.command_set(
        [(dimse_message.STATUS, 0xFF00), (dimse_message.AFFECTED_SOP_CLASS_UID, "1.2.3")], has_data_set=True
    )

    # Then
    assert int.from_bytes(encoded[8:12], "little") == len(encoded) - 12
    assert encoded[12:26] == b"\x00\x00\x02\x00\x06\x00\x00\x001.2.3\x00"
    assert encoded[26:36] == b"\x00\x00\x00\x08\x02\x00\x00\x00\x01\x00"
