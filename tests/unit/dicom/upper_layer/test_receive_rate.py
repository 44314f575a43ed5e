"""A sender may pause and be slow, but not for ever."""

from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.upper_layer.receive_rate import ReceiveRate


def seconds_until_out_of_patience(pace: ReceiveRate, size_bytes: int, every_s: float) -> float:
    passed_s = 0.0
    while pace.left_s > 0 and passed_s < 10_000:
        passed_s += every_s
        pace.came(size_bytes, every_s)
    return passed_s


def test_a_byte_now_and_then_uses_patience_up():
    # When / Then
    assert seconds_until_out_of_patience(ReceiveRate(30.0), 1, 29.0) <= 58.0


def test_an_object_of_512_mebibytes_over_a_slow_line_is_waited_for():
    # Given 16 KiB/s, in pieces with long pauses
    pace = ReceiveRate(30.0)
    # When
    for _ in range((512 << 20) // (320 << 10)):
        pace.came(320 << 10, 20.0)
        # Then
        assert pace.left_s > 20.0


def test_what_came_quickly_does_not_pay_for_later_silence():
    # Given
    pace = ReceiveRate(30.0)
    # When
    pace.came(100 << 20, 1.0)
    # Then
    assert pace.left_s == 30.0


def test_a_new_request_has_all_patience():
    # Given
    pace = ReceiveRate(30.0)
    pace.came(1, 29.0)
    # When
    pace.begin()
    # Then
    assert pace.left_s == 30.0


@given(
    patience_s=st.floats(0.5, 600),
    pieces=st.lists(st.tuples(st.integers(1, 1 << 18), st.floats(0, 100)), max_size=50),
)
def test_no_more_is_waited_than_the_patience_and_what_the_bytes_are_worth(patience_s, pieces):
    # Given
    pace = ReceiveRate(patience_s, 1000.0)
    waited_s = came_bytes = 0.0
    # When
    for size_bytes, wanted_s in pieces:
        if pace.left_s <= 0:
            break
        wait_s = min(wanted_s, pace.left_s)
        pace.came(size_bytes, wait_s)
        waited_s += wait_s
        came_bytes += size_bytes
    # Then
    assert waited_s <= patience_s + came_bytes / 1000.0 + 1e-6
    assert pace.left_s <= patience_s
