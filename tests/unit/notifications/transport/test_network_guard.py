"""The process that sends may read its libraries, and nothing else of this machine."""

from __future__ import annotations

import certifi
import pytest

from shared.notifications.transport.network_guard import ForbiddenByPolicyError, NetworkGuard


def a_guard(**values) -> NetworkGuard:
    return NetworkGuard(values.get("hosts", ()), local=values.get("local", False))


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.connect", (None, ("127.0.0.1", 80))),
        ("socket.connect", (None, "/run/dbus/system_bus_socket")),
        ("socket.connect", (None, ("fe80::1", 80, 0, 2))),
        ("subprocess.Popen", ("/bin/sh", [], None, None)),
        ("os.system", (b"true",)),
        ("open", ("/root/.netrc", "r", 0)),
        ("open", ("/usr/../etc/passwd", "r", 0)),
        ("open", (certifi.where(), "w", 0)),
    ],
)
def test_what_an_address_must_not_do_is_refused(event, arguments):
    with pytest.raises(ForbiddenByPolicyError):
        a_guard()._hook(event, arguments)


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.connect", (None, ("10.0.0.8", 25))),
        ("socket.getaddrinfo", ("mail.example.org", 25, 0, 0, 0)),
        ("open", (certifi.where(), "r", 0)),
        ("open", (3, "r", 0)),
        ("import", ("json", None, None, None, None)),
    ],
)
def test_what_sending_needs_is_allowed(event, arguments):
    # When
    guard = a_guard(hosts=(".example.org",))
    guard._hook(event, arguments)
    # Then
    assert guard.refusals == []
