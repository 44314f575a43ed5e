"""Which addresses may connect to the store."""

from __future__ import annotations

import pytest

from services.store.scp.admission import admitted_addresses
from shared.settings import Settings


@pytest.mark.parametrize(
    ("networks", "address", "admitted"),
    [
        ((), "192.0.2.1", True),
        (("192.0.2.0/24",), "192.0.2.1", True),
        (("192.0.2.0/24",), "198.51.100.1", False),
        (("198.51.100.7", "2001:db8::/32"), "198.51.100.7", True),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("192.0.2.0/24",), "::ffff:192.0.2.1", True),
        (("192.0.2.0/24",), "::ffff:198.51.100.1", False),
        (("192.0.2.0/24",), "127.0.0.1", True),
        (("192.0.2.0/24",), "::1", True),
        (("192.0.2.0/24",), "::ffff:127.0.0.1", True),
    ],
)
def test_only_addresses_of_the_networks_are_admitted(networks, address, admitted):
    # When
    admit = admitted_addresses(Settings(store_networks=networks))
    # Then
    assert admit(address) is admitted


def test_a_network_with_host_bits_is_refused():
    # When / Then
    with pytest.raises(ValueError, match=r"must be an IP address or a network, as 10\.1\.0\.0/16"):
        Settings(store_networks=("192.0.2.1/24",))
